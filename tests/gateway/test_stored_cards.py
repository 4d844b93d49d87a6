"""Paying with a stored card: what is refused before the bank is asked, and limits that a hundred at once don't pass."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from domain.answer import (
    CardLimitExceeded,
    CardNotUsable,
    IdempotencyMismatch,
    InvalidInput,
    LimitName,
    NotFound,
    OrderAlreadyPaid,
    Performed,
)
from domain.card import CardDetails
from domain.payment import PaymentState, Verb
from domain.request import AuthorizeRequest, ChosenCard
from domain.stored_card import CardReason, CardState
from domain.user import UserState
from gateway.gateway import Gateway
from gateway.parts import Parts
from tests.conftest import GOOD_CARD
from tests.gateway.kept_cards import Keep, Kept, keeper

CARD_PATH = ("input", "source", "storedCard", "cardId")
S, R = CardState, CardReason


@pytest.fixture
def keep(parts: Parts, tenant: UUID) -> Keep:
    """Puts users and cards into the tables."""
    return keeper(parts, tenant, GOOD_CARD)


@pytest.fixture
def pay(gateway: Gateway, tenant: UUID, wish: Callable[..., AuthorizeRequest]) -> Callable[..., Awaitable[Any]]:
    """Pays with a stored card."""

    async def ask(kept: Kept | UUID | None, cvv: str = "123", **how: Any) -> Any:
        card_id = kept.id if isinstance(kept, Kept) else kept
        customer = kept.customer if isinstance(kept, Kept) else "customer-1"
        return await gateway.authorize(tenant, wish(**{"customer": customer, "card": ChosenCard(card_id, cvv)} | how))

    return ask


async def calls(control: httpx.AsyncClient) -> int:
    """How often the bank was asked to hold money."""
    return len((await control.get("/ledger")).json()["authorizations"])


async def test_a_payment_with_a_stored_card_is_made_with_its_number(keep, pay, control):
    kept = await keep()

    answer = await pay(kept)

    assert isinstance(answer, Performed)
    assert (answer.payment.state, answer.payment.card_id) == (PaymentState.AUTHORIZED, kept.id)
    assert answer.payment.card.last_four == GOOD_CARD.number[-4:]
    assert await calls(control) == 1


async def test_the_banks_no_is_an_outcome_with_a_stored_card_too(keep, pay):
    answer = await pay(await keep(), cvv="999")

    assert answer.payment.state is PaymentState.DECLINED


NOT_USABLE = {
    "inactive": {"state": S.INACTIVE},
    "frozen": {"state": S.FROZEN, "reason": R.LOST},
    "closed": {"state": S.CLOSED, "reason": R.STOLEN},
    "expired": {"card": CardDetails(GOOD_CARD.number, "123", 1, 2020)},
    "of a deactivated user": {"owner": UserState.DEACTIVATED},
    "of an erased user": {"owner": UserState.ERASED},
    "without its number": {"with_number": False},
}


@pytest.mark.parametrize("how", NOT_USABLE.values(), ids=NOT_USABLE)
async def test_a_card_that_can_not_be_used_is_refused_before_the_bank_is_asked(keep, pay, control, rows, how):
    kept = await keep(**how)

    answer = await pay(kept)

    assert isinstance(answer, CardNotUsable)
    assert (answer.path, answer.card_id) == (CARD_PATH, kept.id)
    assert await calls(control) == 0
    assert (await rows())["payments"] == []


async def test_another_partners_card_and_an_unknown_one_are_not_found(keep, pay, other_tenant, control):
    foreign = await keep(in_tenant=other_tenant)

    answers = [await pay(each) for each in (foreign, UUID(int=foreign.id.int ^ 1), None)]

    assert answers == [NotFound(CARD_PATH, "card")] * 3
    assert await calls(control) == 0


async def test_a_card_pays_for_its_own_user_only(keep, pay):
    answer = await pay(await keep(customer="ada"), customer="grace")

    assert isinstance(answer, InvalidInput)
    assert [problem.path for problem in answer.problems] == [("input", "customerId")]


async def test_a_repetition_is_answered_whatever_has_become_of_the_card(keep, pay, database, tenant):
    kept = await keep()
    first = await pay(kept, key="k", order="o")
    async with database.tenant(tenant) as tx:
        await tx.execute(text("update cards set state = 'CLOSED', reason = 'LOST' where tenant_id = :t"), {"t": tenant})
        await tx.execute(text("delete from card_numbers where tenant_id = :t"), {"t": tenant})

    again, other = await pay(kept, key="k", order="o"), await pay(kept, key="k", order="another")

    assert again == Performed(first.payment, replayed=True)
    assert isinstance(other, IdempotencyMismatch)
    assert isinstance(await pay(kept), CardNotUsable)


async def test_the_same_card_given_in_full_under_the_same_key_is_another_request(keep, pay, gateway, tenant, wish):
    await pay(await keep(), key="k", order="o", amount=5)

    answer = await gateway.authorize(tenant, wish(key="k", order="o", amount=5))

    assert isinstance(answer, IdempotencyMismatch)


async def test_a_refused_payment_does_not_use_its_key_up(keep, pay):
    kept = await keep(per_transaction=100)
    assert isinstance(await pay(kept, key="k", amount=101), CardLimitExceeded)

    answer = await pay(kept, key="k", amount=100)

    assert isinstance(answer, Performed)
    assert not answer.replayed


async def test_a_refusal_says_which_limit_what_is_left_and_when_it_resets(keep, pay, here):
    here.time = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    kept = await keep(per_transaction=900, per_day=1000, per_month=5000)
    await pay(kept, amount=600)

    one, day = await pay(kept, amount=901), await pay(kept, amount=401)
    new_year = datetime(2027, 1, 1, tzinfo=UTC)

    assert one == CardLimitExceeded(kept.id, LimitName.PER_TRANSACTION, 900, 900, None)
    assert day == CardLimitExceeded(kept.id, LimitName.PER_DAY, 1000, 400, new_year)


async def test_a_limit_is_there_again_the_next_day_and_the_next_month(keep, pay, here):
    here.time = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    kept = await keep(per_day=1000, per_month=1500)
    await pay(kept, amount=1000)
    assert isinstance(await pay(kept, amount=1), CardLimitExceeded)

    here.time += timedelta(days=1)
    tomorrow = [await pay(kept, amount=500), await pay(kept, amount=1)]
    here.time += timedelta(days=1)

    assert isinstance(tomorrow[0], Performed)
    assert tomorrow[1].limit is LimitName.PER_MONTH
    assert isinstance(await pay(kept, amount=1000), Performed)


GIVES_BACK = {"a void": [Verb.VOID], "a refund": [Verb.CAPTURE, Verb.REFUND]}


@pytest.mark.parametrize("verbs", GIVES_BACK.values(), ids=GIVES_BACK)
async def test_what_is_given_back_can_be_spent_again(keep, pay, operate, verbs):
    kept = await keep(per_day=1000)
    payment = (await pay(kept, amount=1000)).payment
    assert isinstance(await pay(kept, amount=1000), CardLimitExceeded)

    for verb in verbs:
        await operate(verb, payment.id)

    assert isinstance(await pay(kept, amount=1000), Performed)


async def test_a_decline_takes_nothing_and_a_capture_gives_nothing_back(keep, pay, operate):
    kept = await keep(per_day=1000)
    await pay(kept, amount=1000, cvv="999")
    payment = (await pay(kept, amount=1000)).payment

    await operate(Verb.CAPTURE, payment.id)

    assert isinstance(await pay(kept, amount=1), CardLimitExceeded)


async def test_an_expired_hold_gives_back_what_it_took(keep, pay, operate, control):
    kept = await keep(per_month=1000)
    payment = (await pay(kept, amount=1000)).payment
    await control.post(f"/authorizations/{payment.bank.authorization}/expire")
    await operate(Verb.CAPTURE, payment.id)  # finds out

    assert isinstance(await pay(kept, amount=1000), Performed)


async def test_a_hundred_at_once_spend_up_to_the_limit_and_not_a_cent_more(keep, pay, control):
    kept = await keep(per_day=1050)

    answers = await asyncio.gather(*(pay(kept, amount=100) for _ in range(100)))

    assert sum(isinstance(answer, Performed) for answer in answers) == 10
    refused = [answer for answer in answers if not isinstance(answer, Performed)]
    assert {answer.limit for answer in refused} == {LimitName.PER_DAY}
    assert {answer.left_minor for answer in refused} == {50}
    assert await calls(control) == 10


async def test_one_request_a_hundred_times_at_once_is_one_payment_though_a_second_would_pass_the_limit(keep, pay, control):
    kept = await keep(per_day=100)

    answers = await asyncio.gather(*(pay(kept, key="k", order="o", amount=100) for _ in range(100)))

    assert len({answer.payment.id for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert await calls(control) == 1


async def test_an_order_is_paid_once_with_stored_cards_too(keep, pay):
    kept = await keep()
    await pay(kept, order="o")

    assert isinstance(await pay(kept, order="o"), OrderAlreadyPaid)


async def test_the_number_and_the_cvv_are_nowhere_in_the_tables(keep, pay, owner, tenant):
    await pay(await keep(), cvv="123")

    async with owner.tenant(tenant) as tx:
        for table in ("payments", "attempts", "events", "audit_log", "cards", "card_numbers", "users"):
            for row in await tx.execute(text(f"select {table}::text as shown from {table} where tenant_id = :t"), {"t": tenant}):
                assert GOOD_CARD.number not in row.shown
                assert GOOD_CARD.number.encode().hex() not in row.shown
