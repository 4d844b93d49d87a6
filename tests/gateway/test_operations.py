"""An order's whole life through the gateway, with a real Postgres and a bank that keeps its contract."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from domain.answer import IdempotencyInProgress, IdempotencyMismatch, InvalidTransition, NotFound, OrderAlreadyPaid, Performed
from domain.card import CardDetails
from domain.payment import STATE_FOR, DeclineCode, PaymentState, Verb
from domain.request import WaitFor
from gateway.gateway import Gateway
from persistence.attempts import attempts_by_keys
from persistence.database import KEPT_FOR_PROMISES, POOL_SIZE

BROKE = CardDetails("5555555555554444", "789", 9, 2030)
OPERATIONS = (Verb.CAPTURE, Verb.VOID, Verb.REFUND)


async def test_an_authorization_holds_the_money_under_the_attempts_own_key(gateway, tenant, wish, line, ledger):
    answer = await gateway.authorize(tenant, wish(amount=1999))

    (hold,) = (await ledger())["authorizations"]
    assert isinstance(answer, Performed)
    assert not answer.replayed
    assert answer.payment.state is PaymentState.AUTHORIZED
    assert hold["authorization_id"] == answer.payment.bank.authorization
    assert (hold["amount"], hold["state"]) == (1999, "active")
    assert line.keys[0].startswith("att_")


async def test_what_the_bank_has_said_is_written_down_though_arrivals_have_all_their_connections(
    gateway, tenant, wish, line, database
):
    """Else the answer is lost behind requests that are refused in the end, and the payment is flagged for a doubt that was none."""
    async with AsyncExitStack() as crowd:

        async def ask_while_they_arrive(request):
            for _ in range(POOL_SIZE - KEPT_FOR_PROMISES):
                await crowd.enter_async_context(database.tenant(tenant))
            return await line.inner.handle_async_request(request)

        line.accidents.append(ask_while_they_arrive)
        answer = await gateway.authorize(tenant, wish())

    assert answer.payment.state is PaymentState.AUTHORIZED
    assert answer.payment.review_reasons == frozenset()


async def test_a_payment_goes_from_authorized_over_captured_to_refunded(authorized, operate, ledger):
    payment = await authorized()

    captured = await operate(Verb.CAPTURE, payment.id)
    refunded = await operate(Verb.REFUND, payment.id)

    books = await ledger()
    assert captured.payment.state is PaymentState.CAPTURED
    assert refunded.payment.state is PaymentState.REFUNDED
    assert [state for state, _ in refunded.payment.history] == [
        PaymentState.PENDING,
        PaymentState.AUTHORIZED,
        PaymentState.CAPTURED,
        PaymentState.REFUNDED,
    ]
    assert books["captures"][0]["capture_id"] == refunded.payment.bank.capture
    assert books["refunds"][0]["refund_id"] == refunded.payment.bank.refund


async def test_a_void_gives_the_hold_up(authorized, operate, ledger):
    payment = await authorized()

    voided = await operate(Verb.VOID, payment.id)

    assert voided.payment.state is PaymentState.VOIDED
    assert (await ledger())["authorizations"][0]["state"] == "voided"


async def test_a_decline_is_an_outcome_with_the_banks_reason(gateway, tenant, wish):
    answer = await gateway.authorize(tenant, wish(card=BROKE))

    assert answer.payment.state is PaymentState.DECLINED
    assert answer.payment.decline.code is DeclineCode.INSUFFICIENT_FUNDS
    assert answer.payment.bank.authorization is None


@pytest.mark.parametrize("card", [None, BROKE], ids=["success", "decline"])
async def test_a_repetition_answers_the_same_without_asking_the_bank(gateway, tenant, wish, line, card):
    request = wish(key="once", card=card) if card else wish(key="once")
    first = await gateway.authorize(tenant, request)
    asked = len(line.requests)

    second = await gateway.authorize(tenant, request)

    assert second == Performed(first.payment, replayed=True)
    assert len(line.requests) == asked


async def test_a_repetition_answers_as_it_was_then_even_after_the_payment_moved_on(gateway, tenant, wish, operate):
    request = wish()
    first = await gateway.authorize(tenant, request)
    await operate(Verb.VOID, first.payment.id)

    again = await gateway.authorize(tenant, request)

    assert again == Performed(first.payment, replayed=True)


async def test_a_key_used_for_something_else_is_refused_and_nothing_is_done(gateway, tenant, wish, authorized, operate, line):
    await gateway.authorize(tenant, wish(key="mine", order="a", amount=100))
    payment = await authorized()
    asked = len(line.requests)

    other_amount = await gateway.authorize(tenant, wish(key="mine", order="a", amount=101))
    other_order = await gateway.authorize(tenant, wish(key="mine", order="b", amount=100))
    other_operation = await operate(Verb.CAPTURE, payment.id, key="mine")

    assert [other_amount, other_order, other_operation] == [IdempotencyMismatch("mine")] * 3
    assert len(line.requests) == asked


async def test_two_partners_may_use_the_same_key_and_the_same_order(gateway, tenant, other_tenant, wish):
    request = wish()

    mine = await gateway.authorize(tenant, request)
    theirs = await gateway.authorize(other_tenant, request)

    assert not mine.replayed
    assert not theirs.replayed
    assert mine.payment.id != theirs.payment.id


async def test_an_order_is_not_paid_twice(gateway, tenant, wish):
    first = await gateway.authorize(tenant, wish(order="sofa"))

    second = await gateway.authorize(tenant, wish(order="sofa"))

    assert second == OrderAlreadyPaid("sofa", first.payment.id, PaymentState.AUTHORIZED)


async def test_a_refused_request_does_not_use_up_its_key(gateway, tenant, wish, operate):
    first = await gateway.authorize(tenant, wish(order="lamp"))
    refused = await gateway.authorize(tenant, wish(order="lamp", key="later"))
    await operate(Verb.VOID, first.payment.id)

    answer = await gateway.authorize(tenant, wish(order="lamp", key="later"))

    assert isinstance(refused, OrderAlreadyPaid)
    assert answer.payment.state is PaymentState.AUTHORIZED
    assert not answer.replayed


async def test_after_a_decline_the_order_can_be_tried_again(gateway, tenant, wish):
    await gateway.authorize(tenant, wish(order="chair", card=BROKE))

    answer = await gateway.authorize(tenant, wish(order="chair"))

    assert answer.payment.state is PaymentState.AUTHORIZED


@pytest.mark.parametrize("path", [(), (Verb.CAPTURE,), (Verb.VOID,), (Verb.CAPTURE, Verb.REFUND)])
async def test_every_operation_that_the_state_forbids_is_refused_before_the_bank_is_asked(authorized, operate, line, path):
    payment = await authorized()
    for verb in path:
        payment = (await operate(verb, payment.id)).payment
    asked = len(line.requests)

    for verb in OPERATIONS:
        if STATE_FOR[verb] is not payment.state:
            refusal = await operate(verb, payment.id)

            assert isinstance(refusal, InvalidTransition), verb
            assert refusal.state is payment.state
    assert len(line.requests) == asked


async def test_a_declined_payment_allows_nothing(gateway, tenant, wish, operate):
    payment = (await gateway.authorize(tenant, wish(card=BROKE))).payment

    refusals = [await operate(verb, payment.id) for verb in OPERATIONS]

    assert [refusal.state for refusal in refusals] == [PaymentState.DECLINED] * 3


async def test_another_partners_payment_is_as_unknown_as_none(gateway, other_tenant, authorized, on):
    payment = await authorized()

    foreign = await gateway.operate(other_tenant, Verb.CAPTURE, on(payment.id))
    unknown = await gateway.operate(other_tenant, Verb.CAPTURE, on(uuid4()))

    assert isinstance(foreign, NotFound)
    assert foreign == unknown


async def test_a_hundred_repetitions_at_once_have_one_effect(gateway, tenant, wish, ledger):
    request = wish()

    answers = await asyncio.gather(*(gateway.authorize(tenant, request) for _ in range(100)))

    assert len({answer.payment.id for answer in answers}) == 1
    assert {answer.payment.state for answer in answers} == {PaymentState.AUTHORIZED}
    assert [answer.replayed for answer in answers].count(False) == 1
    assert len((await ledger())["authorizations"]) == 1


async def test_of_many_keys_for_one_order_at_once_one_wins(gateway, tenant, wish, ledger):
    answers = await asyncio.gather(*(gateway.authorize(tenant, wish(order="bed")) for _ in range(20)))

    won = [answer for answer in answers if isinstance(answer, Performed)]
    assert len(won) == 1
    assert sum(isinstance(answer, OrderAlreadyPaid) for answer in answers) == 19
    assert len((await ledger())["authorizations"]) == 1


async def test_a_capture_and_a_void_at_once_have_one_winner(authorized, operate, ledger):
    payment = await authorized()

    answers = await asyncio.gather(*(operate(verb, payment.id) for verb in (Verb.CAPTURE, Verb.VOID) for _ in range(5)))

    winners = [answer for answer in answers if isinstance(answer, Performed)]
    books = await ledger()
    assert len(winners) == 1
    assert len(books["captures"]) + len(books["voids"]) == 1


async def test_acceptance_answers_pending_at_once_and_the_outcome_follows(gateway, tenant, wish):
    request = wish()

    accepted = await gateway.authorize(tenant, request, WaitFor.ACCEPTANCE)
    later = await gateway.authorize(tenant, request)

    assert accepted.payment.state is PaymentState.PENDING
    assert accepted.pending.verb is Verb.AUTHORIZE
    assert later.payment.state is PaymentState.AUTHORIZED
    assert later.replayed


async def test_a_caller_that_hangs_up_does_not_make_us_hang_up_on_the_bank(gateway, tenant, wish, line, ledger):
    at_the_bank, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(request):
        at_the_bank.set()
        await may_go_on.wait()
        return await line.inner.handle_async_request(request)

    line.accidents = [slowly]
    request = wish()
    caller = asyncio.create_task(gateway.authorize(tenant, request))
    await at_the_bank.wait()

    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    may_go_on.set()
    answer = await gateway.authorize(tenant, request)

    assert answer.payment.state is PaymentState.AUTHORIZED
    assert len((await ledger())["authorizations"]) == 1


async def test_when_too_many_wait_for_one_request_the_next_is_told_so(gateway, tenant, wish, line, monkeypatch):
    monkeypatch.setattr("gateway.gateway.MAX_WAITING_FOR_OTHERS", 0)
    at_the_bank, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(request):
        at_the_bank.set()
        await may_go_on.wait()
        return await line.inner.handle_async_request(request)

    line.accidents = [slowly]
    request = wish(key="popular")
    first = asyncio.create_task(gateway.authorize(tenant, request))
    await at_the_bank.wait()

    refusal = await gateway.authorize(tenant, request)
    may_go_on.set()

    assert refusal == IdempotencyInProgress("popular")
    assert (await first).payment.state is PaymentState.AUTHORIZED


async def test_closing_waits_for_the_bank_and_says_what_it_leaves_to_recovery(parts, tenant, wish, line):
    gateway = Gateway(parts, outcome_wait_s=0.01)
    may_go_on = asyncio.Event()

    async def slowly(request):
        await may_go_on.wait()
        return await line.inner.handle_async_request(request)

    line.accidents = [slowly]
    await gateway.authorize(tenant, wish())

    impatient = await gateway.close(drain_s=0.01)
    may_go_on.set()
    patient = await gateway.close(drain_s=10)

    assert (impatient, patient) == (1, 0)


async def test_nothing_of_the_card_remains_once_the_bank_has_answered(gateway, tenant, wish, database):
    await gateway.authorize(tenant, wish(key="gone"))

    async with database.tenant(tenant) as tx:
        attempt = (await attempts_by_keys(tx, tenant, ["gone"]))["gone"]
    assert attempt.sealed_card is None
