"""Old idempotency keys are forgotten, never one that was promised to be kept, and payments stay."""

from datetime import timedelta

import pytest

from domain.answer import OrderAlreadyPaid, Performed
from domain.payment import PaymentState
from gateway.attempts import begin_authorizations
from gateway.reaper import KEEP, Reaper
from persistence import attempts as attempt_rows
from persistence.payments import get_payments

PROMISED = timedelta(days=30)


@pytest.fixture
def reaper(parts, watch):
    return Reaper(parts, watch)


async def test_a_key_is_kept_for_as_long_as_promised(reaper, gateway, tenant, wish, here, line):
    request = wish()
    first = await gateway.authorize(tenant, request)
    here.pass_by(PROMISED.total_seconds() + 86_400)

    await reaper.run_once()
    again = await gateway.authorize(tenant, request)

    assert (again.payment, again.replayed) == (first.payment, True)
    assert len(line.requests) == 1


async def test_an_old_key_is_forgotten_and_its_payment_is_not(reaper, gateway, tenant, wish, here, database, line):
    request = wish()
    first = await gateway.authorize(tenant, request)
    here.pass_by(KEEP.total_seconds() + 1)

    reaped = await reaper.run_once()
    again = await gateway.authorize(tenant, request)

    async with database.tenant(tenant) as tx:
        payments = await get_payments(tx, tenant, [first.payment.id])
    assert reaped >= 1
    assert again == OrderAlreadyPaid(request.order_id, first.payment.id, PaymentState.AUTHORIZED)
    assert payments[first.payment.id] == first.payment
    assert len(line.requests) == 1


async def test_an_open_attempt_is_never_forgotten_however_old(reaper, parts, tenant, wish, here, recovery):
    request = wish()
    await begin_authorizations(parts, tenant, [request])
    here.pass_by(2 * KEEP.total_seconds())

    await reaper.run_once()

    async with parts.database.tenant(tenant) as tx:
        assert request.idempotency_key in await attempt_rows.attempts_by_keys(tx, tenant, [request.idempotency_key])
    await recovery.run_once()


async def test_a_retry_that_meets_the_reaper_is_answered_by_the_old_key_or_as_a_new_request(
    reaper, parts, gateway, tenant, wish, here, monkeypatch
):
    """The key is found taken, and forgotten before it is read: the request then is a new one."""
    declined = wish(amount=10**12)
    first = await gateway.authorize(tenant, declined)
    here.pass_by(KEEP.total_seconds() + 1)
    find = attempt_rows.attempts_by_keys

    async def find_too_late(tx, tenant_id, keys):
        await reaper.run_once()
        return await find(tx, tenant_id, keys)

    monkeypatch.setattr(attempt_rows, "attempts_by_keys", find_too_late)

    again = await gateway.authorize(tenant, declined)

    assert isinstance(first, Performed) and isinstance(again, Performed)
    assert not again.replayed
    assert again.payment.id != first.payment.id


async def test_reports_of_reconciliations_are_kept_for_ninety_days(reaper, reconcile, stored, here):
    await reconcile()
    here.pass_by(timedelta(days=89).total_seconds())
    await reconcile()
    await reaper.run_once()
    after_89_days = await stored()

    here.pass_by(timedelta(days=2).total_seconds())
    await reaper.run_once()

    assert len(after_89_days) == 2
    assert await stored() == after_89_days[:1]
