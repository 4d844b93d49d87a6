"""Section 6: where the money is, step by step and for any sequence of steps."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank.mock import Bank, BankSettings, VirtualTime, create_bank

CARDS = [
    ("4111111111111111", "123", 1_000_000),
    ("4242424242424242", "456", 50_000),
    ("5555555555554444", "789", 0),
    ("5105105105105100", "321", 500_000),
]


@pytest.mark.parametrize(("card_number", "cvv", "balance"), CARDS)
async def test_the_bank_knows_these_four_cards(till: Any, card_number: str, cvv: str, balance: int) -> None:
    accounts = {account["last4"]: account for account in (await till.ledger())["accounts"]}
    answer = await till.authorize(card_number=card_number, cvv=cvv, amount=balance + 1)

    assert accounts[card_number[-4:]]["balance"] == accounts[card_number[-4:]]["available"] == balance
    assert answer.json()["error"] == ("card_expired" if balance == 500_000 else "insufficient_funds")


@pytest.mark.parametrize(
    ("card_number", "cvv", "last_good"),
    [
        ("4111111111111111", "123", 1_924_991_999),  # 12/2030
        ("4242424242424242", "456", 1_909_094_399),  # 06/2030
        ("5555555555554444", "789", 1_917_043_199),  # 09/2030
        ("5105105105105100", "321", 1_585_699_199),  # 03/2020
    ],
)
async def test_the_cards_expire_at_the_end_of_these_months(
    till: Any, time: VirtualTime, card_number: str, cvv: str, last_good: int
) -> None:
    codes = []
    for second in (last_good, last_good + 1):
        time.now_ns = second * 10**9
        answer = await till.authorize(card_number=card_number, cvv=cvv, amount=10**9)
        codes.append(answer.json()["error"])

    assert codes == ["insufficient_funds", "card_expired"]


async def test_an_authorization_lowers_what_is_available(till: Any) -> None:
    await till.hold(5000)

    assert await till.money() == (1_000_000, 995_000)


async def test_a_capture_lowers_the_balance(till: Any) -> None:
    await till.captured(5000)

    assert await till.money() == (995_000, 995_000)


async def test_a_void_gives_back_what_was_available(till: Any) -> None:
    await till.void(await till.hold(5000))

    assert await till.money() == (1_000_000, 1_000_000)


async def test_a_refund_raises_both(till: Any) -> None:
    await till.refund(await till.captured(5000))

    assert await till.money() == (1_000_000, 1_000_000)


async def test_concurrent_authorizations_on_one_card_never_hold_more_than_there_is(till: Any) -> None:
    answers = await asyncio.gather(*(till.authorize(amount=300_000) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [402] * 3
    assert await till.money() == (1_000_000, 100_000)


async def test_a_hold_expires_after_seven_days_which_only_a_capture_notices(till: Any, time: VirtualTime) -> None:
    first, second = await till.hold(), await till.hold()
    time.pass_by(7 * 86_400)
    on_time = await till.capture(first)
    time.pass_by(0.001)

    late = await till.capture(second)

    assert on_time.status_code == 200
    assert late.json()["error"] == "authorization_expired"


async def test_an_expired_hold_keeps_its_money_until_somebody_voids_it(till: Any, time: VirtualTime) -> None:
    authorization_id = await till.hold(400_000)
    time.pass_by(365 * 86_400)

    kept = await till.money()
    await till.void(authorization_id)

    assert kept == (1_000_000, 600_000)
    assert await till.money() == (1_000_000, 1_000_000)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("authorize"), st.integers(1, 60_000)),
        st.tuples(st.sampled_from(["capture", "void", "refund"]), st.integers(0, 6)),
        st.tuples(st.just("replay"), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.sampled_from([1, 86_400 * 4])),
    ),
    max_size=30,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, derandomize=True)
async def test_money_is_conserved_by_any_sequence_of_steps(steps: list[tuple[str, int]]) -> None:
    """balance = start − captured + refunded; available = balance − active holds; neither is ever below zero."""
    time = VirtualTime()
    quiet = BankSettings(failure_rate=0, min_latency_ms=0, max_latency_ms=0, state="memory", seed=1)
    bank = create_bank(quiet, clock=time.clock, sleep=time.sleep)
    account = bank.books.ledger.state.accounts["4242424242424242"]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(bank.app), base_url="http://bank") as client:
        await _play(client, steps, time, lambda: _check(bank))

    state = bank.books.ledger.state
    assert account.balance == 50_000 - sum(capture.amount for capture in state.captures.values() if not capture.refunded)
    assert account.available == account.balance - sum(hold.amount for hold in state.holds.values() if hold.state == "active")


def _check(bank: Bank) -> None:
    for account in bank.books.ledger.state.accounts.values():
        assert 0 <= account.available <= account.balance


async def _play(client: httpx.AsyncClient, steps: list[tuple[str, int]], time: VirtualTime, check: Callable[[], None]) -> None:
    holds: list[dict[str, Any]] = []
    captures: list[dict[str, Any]] = []
    sent: list[tuple[str, dict[str, Any], dict[str, str], httpx.Response]] = []
    for number, (verb, choice) in enumerate(steps):
        if verb == "wait":
            time.pass_by(choice)
            continue
        if verb == "replay":
            if choice < len(sent):
                path, body, headers, first = sent[choice]
                again = await client.post(path, json=body, headers=headers)
                assert (
                    first.status_code != 200 or "x-idempotent-replayed" not in again.headers or (again.content == first.content)
                )
                if again.status_code == 200 and again.content != first.content:
                    _remember(path, again.json(), holds, captures)
            check()
            continue
        request = _request(verb, choice, holds, captures)
        if request is not None:
            path, body = request
            headers = {"Idempotency-Key": f"step-{number}"}
            answer = await client.post(path, json=body, headers=headers)
            assert answer.status_code in {200, 400, 402}
            sent.append((path, body, headers, answer))
            if answer.status_code == 200:
                _remember(path, answer.json(), holds, captures)
        check()


def _request(
    verb: str, choice: int, holds: list[dict[str, Any]], captures: list[dict[str, Any]]
) -> tuple[str, dict[str, Any]] | None:
    if verb == "authorize":
        body = {"card_number": "4242424242424242", "cvv": "456", "amount": choice}
        return "/api/v1/authorizations", body
    known = captures if verb == "refund" else holds
    if not known:
        return None
    chosen = known[choice % len(known)]
    if verb == "refund":
        return "/api/v1/refunds", {"capture_id": chosen["capture_id"], "amount": chosen["amount"]}
    return f"/api/v1/{verb}s", {"authorization_id": chosen["authorization_id"], "amount": chosen["amount"]}


def _remember(path: str, answer: dict[str, Any], holds: list[dict[str, Any]], captures: list[dict[str, Any]]) -> None:
    if path.endswith("authorizations"):
        holds.append(answer)
    elif path.endswith("captures"):
        captures.append(answer)
