"""Holds that run out are released: the payment becomes EXPIRED and the bank gets its void, whoever notices first."""

import asyncio
from datetime import timedelta

import pytest

from domain.payment import PaymentState, Verb
from gateway.attempts import begin_operations
from gateway.expiry import MARGIN, PAGE, Expiry
from persistence.payments import get_payments, get_standings

LIFE = timedelta(hours=168)


@pytest.fixture
def expiry(parts, watch):
    return Expiry(parts, watch, LIFE)


async def standing_of(database, tenant, payment_id):
    async with database.tenant(tenant) as tx:
        return (await get_standings(tx, tenant, [payment_id]))[payment_id]


async def test_a_hold_near_its_end_is_voided_and_its_payment_expired(
    expiry, recovery, authorized, database, tenant, here, ledger
):
    payment = await authorized()
    here.pass_by((LIFE - MARGIN).total_seconds())

    await expiry.run_once()
    at_once = await standing_of(database, tenant, payment.id)
    await recovery.run_once()

    after = await standing_of(database, tenant, payment.id)
    (hold,), (void,) = (await ledger())["authorizations"], (await ledger())["voids"]
    assert (at_once.payment.state, at_once.pending.verb) == (PaymentState.EXPIRED, Verb.VOID)
    assert (after.payment.state, after.pending) == (PaymentState.EXPIRED, None)
    assert (after.payment.bank.void, hold["state"]) == (void["void_id"], "voided")
    assert not after.payment.review_reasons


async def test_a_younger_hold_is_left_alone(expiry, authorized, database, tenant, here):
    payment = await authorized()
    here.pass_by((LIFE - MARGIN).total_seconds() - 1)

    await expiry.run_once()

    assert (await standing_of(database, tenant, payment.id)).payment.state is PaymentState.AUTHORIZED


async def test_a_bank_with_short_holds_keeps_half_of_their_life(parts, watch, authorized, here, database, tenant):
    expiry = Expiry(parts, watch, timedelta(hours=1))
    payment = await authorized()

    here.pass_by(1799)
    await expiry.run_once()
    too_early = await standing_of(database, tenant, payment.id)
    here.pass_by(1)
    await expiry.run_once()
    in_time = await standing_of(database, tenant, payment.id)

    assert (too_early.payment.state, in_time.payment.state) == (PaymentState.AUTHORIZED, PaymentState.EXPIRED)


async def test_a_hold_that_is_being_captured_is_left_to_the_capture(
    parts, expiry, recovery, authorized, database, tenant, here, on
):
    payment = await authorized()
    here.pass_by(LIFE.total_seconds())
    await begin_operations(parts, tenant, [(Verb.CAPTURE, on(payment.id))])

    await expiry.run_once()
    await recovery.run_once()  # not due yet: the capture is leased

    standing = await standing_of(database, tenant, payment.id)
    assert (standing.payment.state, standing.pending.verb) == (PaymentState.AUTHORIZED, Verb.CAPTURE)


async def test_a_capture_and_the_expiry_at_once_have_one_winner(
    parts, expiry, recovery, authorized, tenant, here, operate, ledger
):
    payments = [await authorized() for _ in range(10)]
    here.pass_by((LIFE - MARGIN).total_seconds())

    captures = asyncio.gather(*(operate(Verb.CAPTURE, payment.id) for payment in payments))
    await asyncio.gather(captures, expiry.run_once(), expiry.run_once())
    await expiry.run_once()
    await recovery.run_once()

    async with parts.database.tenant(tenant) as tx:
        after = await get_payments(tx, tenant, [payment.id for payment in payments])
    holds = {each["authorization_id"]: each["state"] for each in (await ledger())["authorizations"]}
    expected = {PaymentState.CAPTURED: "captured", PaymentState.EXPIRED: "voided"}
    assert {holds[each.bank.authorization] == expected[each.state] for each in after.values()} == {True}


async def test_more_than_a_page_of_holds_expires_in_one_round(expiry, gateway, tenant, wish, here):
    await asyncio.gather(*(gateway.authorize(tenant, wish(amount=1)) for _ in range(PAGE + 1)))
    here.pass_by(LIFE.total_seconds())

    expired = await expiry.run_once()
    then = await expiry.run_once()

    assert expired >= PAGE + 1
    assert then == 0
