"""What the bank did is never guessed: tries with the same key, honest PENDINGs, and the traps of contract §7."""

import asyncio

import httpx
import pytest

from domain.answer import InvalidTransition, Performed
from domain.card import CardDetails
from domain.payment import DeclineCode, PaymentState, ReviewReason, Verb
from gateway.driving import TRIES_AT_ONCE, TRIES_AT_ONCE_UNREACHED
from gateway.gateway import Gateway
from persistence.attempts import attempts_by_keys
from persistence.payments import get_payments


async def attempt_of(database, tenant, key):
    async with database.tenant(tenant) as tx:
        return (await attempts_by_keys(tx, tenant, [key]))[key]


async def payment_of(database, tenant, payment_id):
    async with database.tenant(tenant) as tx:
        return (await get_payments(tx, tenant, [payment_id]))[payment_id]


def answering(status, body="", **headers):
    async def answer(request):
        return httpx.Response(status, text=body, headers=headers, request=request)

    return answer


async def test_an_error_of_the_banks_is_retried_with_the_same_key_and_backoff(gateway, tenant, wish, control, line, here, ledger):
    await control.patch("/chaos", json={"faults": [{"kind": "500_before_effect", "count": 3}]})

    answer = await gateway.authorize(tenant, wish())

    assert answer.payment.state is PaymentState.AUTHORIZED
    assert not answer.payment.review_reasons
    assert len(line.keys) == 4
    assert len(set(line.keys)) == 1
    assert len(here.slept) == 3
    assert len((await ledger())["authorizations"]) == 1


async def test_an_answer_lost_on_the_way_is_fetched_by_a_replay_and_flags_nothing(gateway, tenant, wish, line, ledger):
    line.accidents = ["lost answer"]

    answer = await gateway.authorize(tenant, wish())

    assert answer.payment.state is PaymentState.AUTHORIZED
    assert not answer.payment.review_reasons
    assert len((await ledger())["authorizations"]) == 1


async def test_a_hold_that_the_bank_forgot_is_flagged_as_a_possible_orphan(gateway, tenant, wish, line, ledger):
    line.accidents = ["lost key"]

    answer = await gateway.authorize(tenant, wish())

    assert answer.payment.state is PaymentState.AUTHORIZED
    assert answer.payment.review_reasons == {ReviewReason.POSSIBLE_ORPHAN_HOLD}
    assert len((await ledger())["authorizations"]) == 2


async def test_a_decline_after_a_lost_answer_is_flagged_since_the_hold_may_be_the_reason(gateway, tenant, wish, line):
    line.accidents = ["lost key"]

    answer = await gateway.authorize(tenant, wish(amount=900_000))

    assert answer.payment.state is PaymentState.DECLINED
    assert answer.payment.review_reasons == {ReviewReason.POSSIBLE_ORPHAN_HOLD}


async def test_an_already_used_hold_after_a_lost_capture_is_our_own_success(authorized, operate, line):
    payment = await authorized()
    line.accidents = ["lost key"]

    captured = await operate(Verb.CAPTURE, payment.id)
    refund = await operate(Verb.REFUND, payment.id)

    assert captured.payment.state is PaymentState.CAPTURED
    assert captured.payment.bank.capture is None
    assert captured.payment.review_reasons == {ReviewReason.CAPTURE_REFERENCE_UNKNOWN}
    assert isinstance(refund, InvalidTransition)
    assert "reference of the capture is unknown" in refund.message


async def test_an_already_used_hold_after_a_lost_void_is_our_own_success(authorized, operate, line):
    payment = await authorized()
    line.accidents = ["lost key"]

    voided = await operate(Verb.VOID, payment.id)

    assert voided.payment.state is PaymentState.VOIDED
    assert voided.payment.review_reasons == {ReviewReason.VOID_REFERENCE_UNKNOWN}


async def test_an_already_refunded_capture_after_a_lost_refund_is_our_own_success(authorized, operate, line):
    payment = await authorized()
    await operate(Verb.CAPTURE, payment.id)
    line.accidents = ["lost key"]

    refunded = await operate(Verb.REFUND, payment.id)

    assert refunded.payment.state is PaymentState.REFUNDED
    assert refunded.payment.review_reasons == {ReviewReason.REFUND_REFERENCE_UNKNOWN}


async def test_a_hold_used_by_somebody_else_changes_nothing_and_is_flagged(authorized, operate, line, database, tenant):
    payment = await authorized()
    body = '{"error": "authorization_already_used", "message": "used"}'
    line.accidents = [answering(400, body)]

    refusal = await operate(Verb.CAPTURE, payment.id)

    assert isinstance(refusal, InvalidTransition)
    assert "flagged for review" in refusal.message
    after = await payment_of(database, tenant, payment.id)
    assert after.state is PaymentState.AUTHORIZED
    assert after.review_reasons == {ReviewReason.BANK_DISAGREES}


@pytest.mark.parametrize(
    "accident",
    [
        answering(400, '{"error": "internal_error", "message": "database"}'),
        answering(400, '{"error": "authorization_not_found", "message": "no"}'),
        answering(503, "upstream", **{"Retry-After": "1"}),
        answering(429, '{"error": "slow_down"}', **{"Retry-After": "1"}),
        answering(200, "not json"),
        answering(200, '{"capture_id": "cap_1", "status": "captured", "authorization_id": "another", "amount": 1}'),
        answering(401, "who?"),
        "reset",
        "refused",
    ],
)
async def test_an_answer_that_proves_nothing_is_asked_again(authorized, operate, line, accident, ledger):
    payment = await authorized()
    line.accidents = [accident]

    answer = await operate(Verb.CAPTURE, payment.id)

    assert answer.payment.state is PaymentState.CAPTURED
    assert answer.payment.bank.capture is not None
    assert len((await ledger())["captures"]) == 1


async def test_with_the_bank_away_a_payment_is_accepted_as_pending_and_recovered_later(
    gateway, tenant, wish, line, recovery, here, database
):
    line.accidents = ["refused"] * TRIES_AT_ONCE_UNREACHED
    request = wish()

    answer = await gateway.authorize(tenant, request)
    at_once = await recovery.run_once()
    here.pass_by(30)
    recovered = await recovery.run_once()
    again = await gateway.authorize(tenant, request)

    assert answer.payment.state is PaymentState.PENDING
    assert (answer.pending.verb, answer.pending.attempts) == (Verb.AUTHORIZE, TRIES_AT_ONCE_UNREACHED)
    assert (at_once, recovered) == (0, 1)
    assert again.payment.state is PaymentState.AUTHORIZED
    assert again.replayed
    assert not again.payment.review_reasons


async def test_a_bank_that_does_not_answer_in_time_makes_an_honest_pending(parts, tenant, wish, line):
    gateway = Gateway(parts, outcome_wait_s=0.01)
    answer_now = asyncio.Event()

    async def late(request):
        await answer_now.wait()
        return await line.inner.handle_async_request(request)

    line.accidents = [late]
    request = wish()

    pending = await gateway.authorize(tenant, request)
    still = await gateway.authorize(tenant, request)
    answer_now.set()
    await gateway.close(drain_s=10)
    done = await gateway.authorize(tenant, request)

    assert (pending.payment.state, pending.replayed) == (PaymentState.PENDING, False)
    assert pending.pending.verb is Verb.AUTHORIZE
    assert (still.payment.state, still.replayed) == (PaymentState.PENDING, True)
    assert (done.payment.state, done.replayed) == (PaymentState.AUTHORIZED, True)


async def test_while_a_capture_is_under_way_a_void_is_refused(parts, authorized, tenant, on, line):
    payment = await authorized()
    gateway = Gateway(parts, outcome_wait_s=0.01)
    answer_now = asyncio.Event()

    async def late(request):
        await answer_now.wait()
        return await line.inner.handle_async_request(request)

    line.accidents = [late]

    capturing = await gateway.operate(tenant, Verb.CAPTURE, on(payment.id))
    refusal = await gateway.operate(tenant, Verb.VOID, on(payment.id))
    answer_now.set()
    await gateway.close(drain_s=10)

    assert capturing.pending.verb is Verb.CAPTURE
    assert isinstance(refusal, InvalidTransition)
    assert "capture of this payment is under way" in refusal.message


async def test_an_unintelligible_bank_is_asked_on_and_flagged_for_review(gateway, tenant, wish, line, recovery, here, database):
    line.accidents = [answering(418, "teapot")] * 18
    request = wish()

    answer = await gateway.authorize(tenant, request)
    for _ in range(2):
        here.pass_by(60)
        await recovery.run_once()
    flagged = await payment_of(database, tenant, answer.payment.id)
    here.pass_by(60)
    await recovery.run_once()
    done = await gateway.authorize(tenant, request)

    assert flagged.state is PaymentState.PENDING
    assert flagged.review_reasons == {ReviewReason.BANK_UNINTELLIGIBLE}
    assert done.payment.state is PaymentState.AUTHORIZED


@pytest.mark.parametrize(("accident", "asked_again"), [("reset", False), ("refused", True)])
async def test_after_a_day_an_authorization_is_asked_again_only_if_the_bank_can_not_have_seen_it(
    gateway, tenant, wish, line, recovery, here, database, accident, asked_again
):
    line.accidents = [accident] * TRIES_AT_ONCE
    answer = await gateway.authorize(tenant, wish())
    line.accidents = []
    asked = len(line.requests)

    here.pass_by(24 * 3600)
    await recovery.run_once()

    after = await payment_of(database, tenant, answer.payment.id)
    assert (len(line.requests) > asked) is asked_again
    assert after.state is (PaymentState.AUTHORIZED if asked_again else PaymentState.PENDING)
    assert after.review_reasons == (set() if asked_again else {ReviewReason.BANK_KEY_EXPIRED})


async def test_capturing_an_expired_hold_expires_the_payment_and_frees_the_money(
    authorized, operate, control, recovery, ledger, database, tenant
):
    payment = await authorized(amount=5000)
    await control.post(f"/authorizations/{payment.bank.authorization}/expire")

    refusal = await operate(Verb.CAPTURE, payment.id)
    again = await operate(Verb.CAPTURE, payment.id)
    released = await recovery.run_once()

    after = await payment_of(database, tenant, payment.id)
    assert isinstance(refusal, InvalidTransition)
    assert refusal.state is again.state is PaymentState.EXPIRED
    assert released == 1
    assert after.state is PaymentState.EXPIRED
    assert after.bank.void is not None
    assert (await ledger())["authorizations"][0]["state"] == "voided"


async def test_a_refusal_by_the_bank_is_replayed_too(authorized, operate, control, line):
    payment = await authorized()
    await control.post(f"/authorizations/{payment.bank.authorization}/expire")
    first = await operate(Verb.CAPTURE, payment.id, key="expired")
    asked = len(line.requests)

    second = await operate(Verb.CAPTURE, payment.id, key="expired")

    assert isinstance(first, InvalidTransition)
    assert second == first
    assert len(line.requests) == asked


async def test_each_try_is_noted_durably_before_the_next_one(gateway, tenant, wish, line, database):
    seen = []

    async def look(request):
        attempt = await attempt_of(database, tenant, "noted")
        seen.append((attempt.tries, attempt.unanswered))
        return await line.inner.handle_async_request(request)

    line.accidents = [answering(500, "?"), "reset", look]

    answer = await gateway.authorize(tenant, wish(key="noted"))

    assert isinstance(answer, Performed)
    assert seen == [(3, 2)]


async def test_a_card_that_the_bank_says_it_does_not_know_is_asked_about_twice(gateway, tenant, wish, control, line):
    """The bank says the same when its database fails in the look-up (contract §7.4), and a sale would be lost."""
    await control.patch("/chaos", json={"faults": [{"kind": "misleading_error", "count": 1}]})
    unknown = CardDetails("4000000000000002", "123", 12, 2030)

    known_after_all = await gateway.authorize(tenant, wish())
    declined = await gateway.authorize(tenant, wish(card=unknown))

    assert known_after_all.payment.state is PaymentState.AUTHORIZED
    assert declined.payment.decline.code is DeclineCode.INVALID_CARD
    assert not known_after_all.payment.review_reasons
    assert len(line.requests) == 4
