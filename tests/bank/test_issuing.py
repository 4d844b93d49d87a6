"""What a bank that can issue cards answers, and what one says that can't."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bank.answer import Unclarity, Unclear
from bank.client import AuthorizeCall, BankClient, bank_http
from bank.issuing import CannotIssue, Details, Issued
from bank.mock import Bank, BankSettings, create_bank
from domain.card import CardDetails

REFERENCE = "icard_6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b"
DETAILS = {"card_id": REFERENCE, "card_number": "4500000000000007", "cvv": "012", "expiry_month": 1, "expiry_year": 2030}


@pytest.fixture
async def client(bank: Bank) -> AsyncIterator[BankClient]:
    """A client of the mock bank, without sockets."""
    made = BankClient(bank_http("http://bank", httpx.ASGITransport(app=bank.app)))
    yield made
    await made.close()


def answering(status: int, content: Any) -> BankClient:
    """A client of a bank that always answers this."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return BankClient(bank_http("http://bank", httpx.MockTransport(lambda _: httpx.Response(status, content=body))))


async def test_a_card_is_issued_once_under_a_key_and_can_be_charged(client: BankClient) -> None:
    issued, again, other = [await client.issue_card(key) for key in ("k", "k", "l")]
    assert isinstance(issued, Issued)
    details = await client.card_details(issued.reference)
    assert isinstance(details, Details)

    card = CardDetails(details.number, details.cvv, details.expiry_month, details.expiry_year)
    charged = await client.send(AuthorizeCall(card, 500), "a")

    assert again == issued
    assert other != issued
    assert type(charged).__name__ == "Done"


async def test_a_bank_without_issuing_says_so() -> None:
    bank = create_bank(BankSettings(0, 0.0, 0, 0, state="memory", issuing=False))
    client = BankClient(bank_http("http://bank", httpx.ASGITransport(app=bank.app)))

    assert await client.issue_card("k") == CannotIssue()
    assert await client.card_details(REFERENCE) == CannotIssue()


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_so_does_whatever_else_has_no_such_path(status: int) -> None:
    assert await answering(status, b"<html>nothing here</html>").issue_card("k") == CannotIssue()


@pytest.mark.parametrize(
    ("status", "content", "why"),
    [
        (500, {"error": "internal_error", "message": "Random failure injection"}, Unclarity.BANK_ERROR),
        (400, {"error": "internal_error"}, Unclarity.BANK_ERROR),
        (404, {"error": "not_found"}, Unclarity.BANK_ERROR),
        (429, b"", Unclarity.BANK_ERROR),
        (200, b"not JSON", Unclarity.UNINTELLIGIBLE),
        (200, {"card_id": REFERENCE}, Unclarity.UNINTELLIGIBLE),
        (200, {"card_id": "../../../etc", "status": "issued"}, Unclarity.UNINTELLIGIBLE),
        (200, {"card_id": 7, "status": "issued"}, Unclarity.UNINTELLIGIBLE),
        (301, b"", Unclarity.UNINTELLIGIBLE),
    ],
)
async def test_anything_else_is_asked_again(status: int, content: Any, why: Unclarity) -> None:
    answer = await answering(status, content).issue_card("k")

    assert isinstance(answer, Unclear)
    assert answer.why is why


@pytest.mark.parametrize(
    "change",
    [
        {"card_id": REFERENCE.replace("6", "7")},
        {"card_number": "4500000000000006"},
        {"card_number": None},
        {"cvv": "12"},
        {"cvv": 123},
        {"expiry_month": 13},
        {"expiry_month": True},
        {"expiry_year": 30},
    ],
    ids=str,
)
async def test_details_that_make_no_sense_or_are_another_cards_are_none(change: dict[str, Any]) -> None:
    good = await answering(200, DETAILS).card_details(REFERENCE)
    answer = await answering(200, DETAILS | change).card_details(REFERENCE)

    assert isinstance(good, Details)
    assert isinstance(answer, Unclear)


async def test_a_bank_that_does_not_answer_is_unclear() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = BankClient(bank_http("http://bank", httpx.MockTransport(refuse)))

    assert isinstance(await client.issue_card("k"), Unclear)
    assert isinstance(await client.card_details(REFERENCE), Unclear)


async def test_details_show_nothing_of_themselves() -> None:
    details = await answering(200, DETAILS).card_details(REFERENCE)

    assert repr(details) == "Details()"
