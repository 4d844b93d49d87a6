"""The hang-up window over real sockets (contract §7.1): the bank has acted, its answer never came, and it has lost the key."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

OF_EACH = 3
PATHS = {
    "authorize": "/api/v1/authorizations",
    "capture": "/api/v1/captures",
    "void": "/api/v1/voids",
    "refund": "/api/v1/refunds",
}
BOOKS = {
    "authorize": ("authorizations", "authorization_id"),
    "capture": ("captures", "capture_id"),
    "void": ("voids", "void_id"),
    "refund": ("refunds", "refund_id"),
}
ENDS = {  # what the bank did, and what an operator is told
    "authorize": ("AUTHORIZED", ["POSSIBLE_ORPHAN_HOLD"]),
    "capture": ("CAPTURED", ["CAPTURE_REFERENCE_UNKNOWN"]),
    "void": ("VOIDED", ["VOID_REFERENCE_UNKNOWN"]),
    "refund": ("REFUNDED", ["REFUND_REFERENCE_UNKNOWN"]),
}


@pytest.fixture(scope="module")
def system(started: Callable[..., Any]) -> Any:
    """One API process and its worker, in front of a bank that fails only where it is told to."""
    return started()


async def prepared(shop: Any, verb: str) -> str:
    """A payment that is ready for the verb."""
    payment = (await shop.authorize(shop.wish()))["payment"]["id"]
    await shop.settled(payment)
    if verb == "refund":
        await shop.operate("capture", payment, f"{payment}-capture")
        await shop.settled(payment)
    return str(payment)


def effects(ledger: Any) -> dict[str, dict[str, str]]:
    """What the bank did: for each verb the effects, and the key that caused each."""
    return {verb: {each[name]: each["idempotency_key"] for each in ledger[book]} for verb, (book, name) in BOOKS.items()}


async def orders(shop: Any, fault: dict[str, Any], *, in_turn: bool) -> list[Any]:
    """New orders, each of which meets the fault once. Where it is retried within moments, they come one after the other."""
    trouble = {**fault, "path": PATHS["authorize"]}
    if in_turn:
        answers = []
        for _ in range(OF_EACH):
            await shop.weather(faults=[{**trouble, "count": 1}])
            answers.append(await shop.authorize(shop.wish()))
        return answers
    await shop.weather(faults=[{**trouble, "count": OF_EACH}])
    return await asyncio.gather(*(shop.authorize(shop.wish()) for _ in range(OF_EACH)))


@pytest.mark.parametrize(
    ("fault", "in_turn"),
    [
        pytest.param({"kind": "reset_mid_body", "stores_key": False}, True, id="the connection breaks"),
        pytest.param({"kind": "hang_up_window"}, False, id="we hang up after our own twelve seconds"),
    ],
)
async def test_what_the_bank_did_and_forgot_ends_as_what_it_did(
    shop: Any, disagreements: Callable[[list[Any]], Awaitable[list[str]]], fault: dict[str, Any], in_turn: bool
) -> None:
    await shop.weather(failure_rate=0)
    payments = {verb: [await prepared(shop, verb) for _ in range(OF_EACH)] for verb in ("capture", "void", "refund")}
    before = effects(await shop.ledger())
    await shop.weather(faults=[{**fault, "path": PATHS[verb], "count": OF_EACH} for verb in payments])

    operations = [shop.operate(verb, payment, f"{payment}-{verb}") for verb, prepared in payments.items() for payment in prepared]
    answers, *_ = await asyncio.gather(orders(shop, fault, in_turn=in_turn), *operations)
    payments["authorize"] = [answer["payment"]["id"] for answer in answers]
    receipts = {verb: await asyncio.gather(*map(shop.settled, each)) for verb, each in payments.items()}
    ledger = await shop.ledger()

    known = {each["idempotency_key"] for each in ledger["idempotency_keys"]}
    new = {verb: [key for effect, key in each.items() if effect not in before[verb]] for verb, each in effects(ledger).items()}
    assert len(new["authorize"]) == 2 * OF_EACH, "what was forgotten was done again: nobody could know"
    for verb in ("capture", "void", "refund"):
        assert len(new[verb]) == OF_EACH, "the bank refuses to do these twice"
        assert not set(new[verb]) & known, "the key was lost indeed"
    for verb, (state, reasons) in ENDS.items():
        assert [(each["state"], each["reviewReasons"]) for each in receipts[verb]] == [(state, reasons)] * OF_EACH
    assert await disagreements([receipt for each in receipts.values() for receipt in each]) == []
