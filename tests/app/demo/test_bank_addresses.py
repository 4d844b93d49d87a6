"""The bank's control address: what it does not say clearly is not taken for its books."""

import httpx
import pytest

from app.demo.bank_addresses import BankControl, BankUnclear, bank_http
from tests.app.demo.conftest import Time

EMPTY = {"accounts": [], "authorizations": [], "captures": [], "voids": [], "refunds": [], "idempotency_keys": []}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({**EMPTY, "voids": [{"void_id": "void_1"}]}, r"voids\[0\]: its authorization_id is not a text"),
        ({"accounts": []}, "it has no list of authorizations"),
    ],
)
async def test_a_ledger_that_cant_be_read_whole_is_none(clock: Time, document: object, why: str) -> None:
    async with bank_http(httpx.MockTransport(lambda _: httpx.Response(200, json=document))) as http:
        with pytest.raises(BankUnclear, match=why):
            await BankControl(http, "http://control", clock.world).ledger("2026-06-01T12:00:00Z")
