"""The bank's ledger is read as the mock shows it, entry by entry; what can't be understood is named, never guessed."""

import copy
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bank.ledger import LedgerAway, NotALedger, fetch_ledger, read_ledger
from bank.mock import Bank
from domain.ledger import Capture, Hold, LedgerIndex, Refund, Void

DOCUMENT: dict[str, Any] = {
    "accounts": [],
    "authorizations": [
        {
            "authorization_id": f"auth_{number}",
            "account": "f",
            "last4": "1111",
            "amount": 1999,
            "currency": "USD",
            "state": state,
            "created_at": "2026-06-01T12:00:00Z",
            "expires_at": "2026-06-08T12:00:00Z",
            "idempotency_key": f"att_{number}",
        }
        for number, state in ((1, "captured"), (2, "voided"))
    ],
    "captures": [
        {
            "capture_id": "cap_1",
            "authorization_id": "auth_1",
            "amount": 1999,
            "currency": "USD",
            "state": "refunded",
            "captured_at": "2026-06-01T12:00:00Z",
            "idempotency_key": "att_3",
        }
    ],
    "voids": [
        {
            "void_id": "void_2",
            "authorization_id": "auth_2",
            "amount": 1999,
            "currency": "USD",
            "voided_at": "2026-06-01T12:00:00Z",
            "idempotency_key": "att_4",
        }
    ],
    "refunds": [
        {
            "refund_id": "ref_1",
            "capture_id": "cap_1",
            "amount": 1999,
            "currency": "USD",
            "refunded_at": "2026-06-01T12:00:00Z",
            "idempotency_key": "att_5",
        }
    ],
    "idempotency_keys": [
        {"idempotency_key": key, "path": "p", "reference": reference, "stored_at": "2026-06-01T12:00:00Z"}
        for key, reference in (("att_1", "auth_1"), ("att_2", "auth_2"), ("att_3", "cap_1"), ("att_4", "void_2"))
    ],
}


def changed(change: Callable[[Any], object]) -> Any:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


def test_every_effect_is_read_with_its_key() -> None:
    ledger = read_ledger(DOCUMENT)

    assert ledger.holds == (
        Hold("auth_1", 1999, "USD", "1111", "captured", "att_1"),
        Hold("auth_2", 1999, "USD", "1111", "voided", "att_2"),
    )
    assert ledger.captures == (Capture("cap_1", "auth_1", 1999, "USD", True, "att_3"),)
    assert ledger.voids == (Void("void_2", "auth_2", "att_4"),)
    assert ledger.refunds == (Refund("ref_1", "cap_1", 1999, "USD", "att_5"),)
    assert (ledger.lost_keys, ledger.unreadable) == (1, ())


def test_an_index_finds_what_belongs_together() -> None:
    index = LedgerIndex(read_ledger(DOCUMENT))

    assert index.hold("auth_1") == index.ledger.holds[0]
    assert index.hold(None) is None
    assert index.capture("cap_1") == index.ledger.captures[0]
    assert index.captures_of("auth_1") == [index.ledger.captures[0]]
    assert index.voids_of("auth_2") == [index.ledger.voids[0]]
    assert index.refunds_of("cap_1") == [index.ledger.refunds[0]]
    assert index.holds_under("att_1") == [index.ledger.holds[0]]
    assert index.effects_under("att_5") == [index.ledger.refunds[0]]
    assert not index.effects_under("att_x")
    assert index.keys == {f"att_{number}" for number in range(1, 6)}


@pytest.mark.parametrize(
    ("name", "field", "value", "told"),
    [
        ("authorizations", "amount", "1999", "authorizations[0]: its amount is not a whole number"),
        ("authorizations", "amount", 19.99, "authorizations[0]: its amount is not a whole number"),
        ("captures", "amount", True, "captures[0]: its amount is not a whole number"),
        ("refunds", "amount", None, "refunds[0]: its amount is not a whole number"),
        ("authorizations", "last4", 1111, "authorizations[0]: its last4 is not a text"),
        ("voids", "idempotency_key", None, "voids[0]: its idempotency_key is not a text"),
        ("idempotency_keys", "reference", [], "idempotency_keys[0]: its reference is not a text"),
    ],
)
def test_an_entry_that_cant_be_understood_is_named_and_the_others_are_read(
    name: str, field: str, value: object, told: str
) -> None:
    ledger = read_ledger(changed(lambda document: document[name][0].update({field: value})))

    assert ledger.unreadable == (told,)
    assert len(list(ledger.effects)) == (5 if name == "idempotency_keys" else 4)


def test_an_entry_that_is_no_object_is_named() -> None:
    assert read_ledger(changed(lambda document: document["voids"].append(7))).unreadable == ("voids[1]: it is not an object",)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "it is not a JSON object"),
        ([], "it is not a JSON object"),
        ({}, "it has no list of authorizations"),
        (changed(lambda document: document.pop("refunds")), "it has no list of refunds"),
        (changed(lambda document: document.update(voids="none")), "it has no list of voids"),
    ],
)
def test_what_is_no_ledger_is_refused(document: object, why: str) -> None:
    with pytest.raises(NotALedger, match=why):
        read_ledger(document)


async def test_the_mocks_ledger_is_fetched_and_understood(bank: Bank) -> None:
    card = {"card_number": "4111111111111111", "cvv": "123", "amount": 1999, "expiry_month": 12, "expiry_year": 2030}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=bank.app), base_url="http://bank") as http:
        hold = await http.post("/api/v1/authorizations", json=card, headers={"Idempotency-Key": "att_1"})
        await http.post(
            "/api/v1/voids",
            json={"authorization_id": hold.json()["authorization_id"]},
            headers={"Idempotency-Key": "att_2"},
        )

    ledger = read_ledger(await fetch_ledger("http://control/", httpx.ASGITransport(app=bank.control)))

    assert [(each.state, each.last_four, each.key) for each in ledger.holds] == [("voided", "1111", "att_1")]
    assert [each.key for each in ledger.voids] == ["att_2"]
    assert (ledger.lost_keys, ledger.unreadable) == (0, ())


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (httpx.Response(500), "answered GET /ledger with status 500"),
        (httpx.Response(200, text="<html>"), "something that is not JSON"),
    ],
)
async def test_a_control_address_that_shows_no_ledger_is_away(response: httpx.Response, why: str) -> None:
    with pytest.raises(LedgerAway, match=why):
        await fetch_ledger("http://control", httpx.MockTransport(lambda _: response))


async def test_a_control_address_that_does_not_answer_is_away() -> None:
    with pytest.raises(LedgerAway, match="does not answer"):
        await fetch_ledger("http://127.0.0.1:1")
