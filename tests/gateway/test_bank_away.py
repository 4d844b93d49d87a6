"""With the bank away nobody storms it, everything that was accepted waits, and all of it ends when the bank is back."""

import httpx
import pytest

from bank.breaker import BreakerState
from bank.retry_budget import FREE_RETRIES_PER_S, WINDOW_S
from domain.payment import PaymentState, ReviewReason
from gateway.attempts import begin_authorizations
from gateway.driving import IN_DOUBT_AFTER, REST_IN_DOUBT_S, ROUND_S, TRIES_AT_ONCE, drive
from persistence.attempts import GIVEN_BACK, open_attempts_of
from persistence.payments import get_payments

AWAY = "refused"


@pytest.fixture
async def accepted(parts, gateway, tenant, wish, line):
    """Thirty payments that were accepted while the bank was away, which opened the breaker."""
    line.accidents = [AWAY] * 10_000
    answers = [await gateway.authorize(tenant, wish()) for _ in range(30)]
    assert parts.breaker.state(parts.world.now()) is BreakerState.OPEN
    return [answer.payment.id for answer in answers]


async def states(database, tenant, ids):
    async with database.tenant(tenant) as tx:
        return {payment.state for payment in (await get_payments(tx, tenant, ids)).values()}


async def test_while_the_breaker_is_open_payments_are_accepted_and_the_bank_is_left_alone(
    accepted, gateway, tenant, wish, line, recovery, database
):
    asked = len(line.requests)

    answer = await gateway.authorize(tenant, wish())
    recovered = await recovery.run_once()

    assert answer.payment.state is PaymentState.PENDING
    assert answer.pending is not None
    assert recovered == 0
    assert len(line.requests) == asked


async def test_when_its_pause_is_over_one_probe_goes_out_and_if_it_fails_the_next_pause_begins(
    accepted, parts, line, recovery, here
):
    here.pass_by(parts.breaker.reopens_in_s(here.time))
    asked = len(line.requests)

    await recovery.run_once()

    assert len(line.requests) == asked + 1
    assert parts.breaker.state(here.time) is BreakerState.OPEN


async def test_when_the_bank_is_back_all_that_was_accepted_ends_and_nobody_suspects_a_second_hold(
    accepted, parts, tenant, line, recovery, here, database, ledger
):
    line.accidents = []
    here.pass_by(60)

    probed = await recovery.run_once()
    closed = parts.breaker.state(here.time)
    while await recovery.run_once():
        pass

    assert (probed, closed) == (1, BreakerState.CLOSED)
    assert await states(database, tenant, accepted) == {PaymentState.AUTHORIZED}
    keys = [hold["idempotency_key"] for hold in (await ledger())["authorizations"]]
    assert len(keys) == len(set(keys)) >= len(accepted)
    async with database.tenant(tenant) as tx:
        payments = await get_payments(tx, tenant, accepted)
    assert not any(payment.review_reasons for payment in payments.values())


async def test_an_attempt_that_waits_for_the_breaker_keeps_no_lease_and_spends_no_try_at_the_bank(
    accepted, parts, gateway, tenant, wish, here, database
):
    answer = await gateway.authorize(tenant, wish())

    async with database.tenant(tenant) as tx:
        attempt = (await open_attempts_of(tx, tenant, [answer.payment.id]))[answer.payment.id]
    assert attempt.lease_token == GIVEN_BACK
    assert attempt.unanswered == 0
    assert (attempt.lease_until - here.time).total_seconds() <= parts.breaker.reopens_in_s(here.time) + 1


async def test_retries_beyond_the_budget_are_left_to_recovery(parts, tenant, wish, line, here):
    """A bank that fails for everybody is not asked by everybody again."""
    while parts.retries.withdraw(here.time):
        pass
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    line.accidents = ["reset"] * TRIES_AT_ONCE

    resolution = await drive(parts, tenant, begun.attempt, begun.payment)

    assert resolution is None
    assert len(line.requests) == 1


async def test_a_quiet_system_can_afford_its_retries(parts, here):
    granted = [parts.retries.withdraw(here.time) for _ in range(FREE_RETRIES_PER_S * WINDOW_S + 1)]

    assert granted == [True] * (FREE_RETRIES_PER_S * WINDOW_S) + [False]


async def test_nobody_keeps_trying_for_longer_than_a_round(parts, tenant, wish, line, here):
    async def silence(request):
        here.pass_by(ROUND_S / 2)
        raise httpx.ReadTimeout("no answer", request=request)

    line.accidents = [silence] * TRIES_AT_ONCE
    (begun,) = await begin_authorizations(parts, tenant, [wish()])

    resolution = await drive(parts, tenant, begun.attempt, begun.payment)

    assert resolution is None
    assert len(line.requests) == 2


async def test_a_bank_that_fails_half_of_the_time_is_asked_on(parts, gateway, tenant, wish, line):
    async def error(request):
        return httpx.Response(500, json={"error": "internal_error", "message": "Random failure injection"}, request=request)

    async def through(request):
        return await line.inner.handle_async_request(request)

    line.accidents = [error, through] * 40

    answers = [await gateway.authorize(tenant, wish()) for _ in range(30)]

    assert {answer.payment.state for answer in answers} == {PaymentState.AUTHORIZED}
    assert parts.breaker.state(parts.world.now()) is BreakerState.CLOSED


async def test_an_authorization_that_brings_no_answer_again_and_again_is_asked_seldom(
    parts, gateway, tenant, wish, line, recovery, here, ledger
):
    """Each try may leave a hold of its own, when the bank loses its key; an answer that is lost on the way leaves none."""
    line.accidents = ["lost key"] * 1000

    answer = await gateway.authorize(tenant, wish(amount=777))
    for _ in range(int(600 / 5)):
        here.pass_by(5)
        await recovery.run_once()

    holds = [hold for hold in (await ledger())["authorizations"] if hold["amount"] == answer.payment.amount.minor_units]
    assert IN_DOUBT_AFTER < len(holds) <= IN_DOUBT_AFTER + 600 / REST_IN_DOUBT_S
    line.accidents = []
    here.pass_by(120)
    while await recovery.run_once():
        pass
    async with parts.database.tenant(tenant) as tx:
        payment = (await get_payments(tx, tenant, [answer.payment.id]))[answer.payment.id]
    assert payment.state is PaymentState.AUTHORIZED
    assert payment.review_reasons == {ReviewReason.POSSIBLE_ORPHAN_HOLD}


async def test_an_authorization_in_doubt_is_asked_again_at_once_when_the_bank_says_that_nothing_was_done(
    gateway, tenant, wish, line, control, recovery, here, database
):
    """Else the bank's usual failures, one in twenty, keep some payments open for minutes."""
    line.accidents = ["reset"] * IN_DOUBT_AFTER
    answer = await gateway.authorize(tenant, wish())
    await control.patch("/chaos", json={"faults": [{"kind": "500_before_effect", "count": 2}]})

    here.pass_by(REST_IN_DOUBT_S * 2)
    await recovery.run_once()

    assert await states(database, tenant, [answer.payment.id]) == {PaymentState.AUTHORIZED}
