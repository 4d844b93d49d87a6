"""Runs of the reconciliation: they survive their workers, give way to payments, keep their limits, and touch nobody else's rows."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from domain.discrepancy import DiscrepancyKind, Remedy
from domain.failpoint import Failpoint
from domain.payment import Captured, PaymentState, ReviewReason, Verb
from domain.reconciliation import Counts, Trigger
from gateway import reconciliation as runs
from gateway import repairs
from gateway.attempts import LEASE_S, Finding, begin_operations, finish
from gateway.driving import REST_OF_EXPIRED_S, TRIES_AT_ONCE, call_of
from gateway.looks import TRIES
from gateway.reconciliation import Elsewhere, Finished, Reconciliation
from persistence.attempts import lease_due_attempts, open_attempts_of

K = DiscrepancyKind
LIMIT = 100_000


class Died(Exception):
    """What a process does at a failpoint, as far as one process can play it."""


def dying_at(parts, failpoint, passing=1):
    """The same parts in a world in which the process ends at the n-th passing of a failpoint."""
    passed = []

    async def reach(reached):
        if reached is failpoint:
            passed.append(reached)
            if len(passed) == passing:
                raise Died

    return replace(parts, world=replace(parts.world, reach=reach))


# --- Death and takeover -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failpoint", "counted"),
    [(Failpoint.RECONCILIATION_PAGE_COMPARED, 2), (Failpoint.RECONCILIATION_PAGE_COMMITTED, 4)],
)
async def test_a_run_whose_worker_died_goes_on_where_its_last_page_ended(
    parts, tenant, several, expire, of_two, here, line, stored, failpoint, counted
):
    payments = await several(6)
    for payment in payments:
        await expire(payment)
    here.pass_by(1)
    with pytest.raises(Died):
        await Reconciliation(dying_at(parts, failpoint, 2), repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)
    (left,) = await stored()
    line.requests.clear()

    too_early = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)
    here.pass_by(runs.LEASE_S)
    ending = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)

    asked = {request.content for request in line.requests if b"captures" in request.url.raw_path}
    assert left.counts == Counts(repaired=counted)
    assert too_early == Elsewhere()
    assert (ending.run.id, ending.run.counts) == (left.id, Counts(agreed=6, repaired=6))
    assert len(asked) == 6 - counted, "what is written is not asked again"


async def test_killed_at_every_page_it_still_gets_through_and_finds_each_thing_once(
    parts, tenant, several, expire, of_two, here, standing, audited, stored
):
    payments = await several(7)
    for payment in payments[::2]:
        await expire(payment)
    here.pass_by(1)

    deaths = 0
    while not deaths or (await stored())[0].finished_at is None:
        # Before its first page is written, and the next one right after: two deaths a page, and one after the last.
        failpoint = (Failpoint.RECONCILIATION_PAGE_COMPARED, Failpoint.RECONCILIATION_PAGE_COMMITTED)[deaths % 2]
        with pytest.raises(Died):
            await Reconciliation(dying_at(parts, failpoint), repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)
        deaths += 1
        here.pass_by(runs.LEASE_S)

    (run,) = await stored()
    assert deaths == 2 * (4 + 4)  # pages of two: seven payments at rest, seven operations
    assert run.counts == Counts(agreed=3 + 7, repaired=4)
    assert [len(await audited(payment.id)) for payment in payments] == [1, 0, 1, 0, 1, 0, 1]


async def test_two_workers_at_once_make_one_run(parts, tenant, several, expire, of_two, here, stored, audited):
    payments = await several(5)
    for payment in payments:
        await expire(payment)
    here.pass_by(1)

    endings = await asyncio.gather(
        *(Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE) for _ in range(3))
    )

    assert sorted(type(ending).__name__ for ending in endings) == ["Elsewhere", "Elsewhere", "Finished"]
    (run,) = await stored()
    assert run.counts == Counts(agreed=5, repaired=5)
    assert [len(await audited(payment.id)) for payment in payments] == [1] * 5


async def test_who_lost_the_lease_writes_nothing(parts, tenant, authorized, expire, here, line, stored):
    payment = await authorized(amount=1)
    await expire(payment)
    here.pass_by(1)
    others = []

    async def overtaken(request):
        here.pass_by(runs.LEASE_S)
        others.append(await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE))
        return await line.inner.handle_async_request(request)

    line.accidents = [overtaken]
    slow = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)

    (run,) = await stored()
    assert slow == Elsewhere()
    assert isinstance(others[0], Finished)
    assert run.counts == Counts(agreed=1, repaired=1)


async def test_a_lease_is_kept_while_the_bank_takes_its_time(parts, tenant, authorized, here, line, stored):
    await authorized(amount=1)
    here.pass_by(1)
    answer_now, until = asyncio.Event(), []

    async def late(request):
        await answer_now.wait()
        return await line.inner.handle_async_request(request)

    async def wait(future, timeout_s):
        """Time passes, and a lease's worth of it before the bank answers."""
        await asyncio.wait([future], timeout=0)
        here.pass_by(timeout_s)
        until.append((await stored())[0].lease_until)
        if len(until) == 6:
            answer_now.set()
            await future

    line.accidents = [late]
    waiting = replace(parts, world=replace(parts.world, wait=wait))
    ending = await Reconciliation(waiting, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)

    assert isinstance(ending, Finished)
    assert until[5] - until[0] == timedelta(seconds=5 * runs.RENEW_EVERY_S) > timedelta(seconds=runs.LEASE_S)


# --- Nothing is guessed -----------------------------------------------------------------------------------------------


def saying(status, body):
    async def answer(request):
        return httpx.Response(status, text=body, request=request)

    return answer


async def test_what_the_bank_does_not_answer_is_counted_and_asked_by_the_next_run(
    reconcile, authorized, operate, here, line, stored
):
    payment = await authorized(amount=1)
    await operate(Verb.CAPTURE, payment.id)
    line.accidents = [saying(500, "?")] * 2 * TRIES

    first, _ = await reconcile()
    here.pass_by(3600)
    second, _ = await reconcile()
    here.pass_by(3600)
    third, _ = await reconcile()

    assert first == Counts(unanswered=2)
    assert second == Counts(agreed=2)
    assert third == Counts()


async def test_a_failure_now_and_then_is_asked_again_at_once(reconcile, authorized, line):
    await authorized(amount=1)
    line.accidents = [saying(500, "?"), "reset"]

    assert (await reconcile())[0] == Counts(agreed=2)


async def test_a_bank_that_gives_another_id_now_and_then_does_not_make_us_write_it_down(
    reconcile, authorized, operate, control, standing, line
):
    payment = await authorized(amount=1)
    line.accidents = ["lost key"]
    await operate(Verb.CAPTURE, payment.id)
    before = await standing(payment.id)
    await control.patch("/chaos", json={"faults": [{"kind": "other_id", "path": "/api/v1/authorizations"}]})

    counts, lines = await reconcile()

    assert (counts.unanswered, lines) == (1, [])
    assert await standing(payment.id) == before


@pytest.mark.parametrize("meanwhile", ["captured", "being captured"])
async def test_a_payment_that_moves_while_the_bank_is_asked_is_left_alone(
    parts, tenant, here, reconcile, authorized, on, operate, control, standing, line, meanwhile
):
    """The bank says `used` because we have just captured; our row, read before, says AUTHORIZED."""
    payment = await authorized(amount=1)

    async def in_between(request):
        (begun,) = await begin_operations(parts, tenant, [(Verb.CAPTURE, on(payment.id))])
        done = await parts.bank.send(await call_of(parts, tenant, begun.attempt, begun.payment), begun.attempt.bank_key)
        here.pass_by(1)
        if meanwhile == "captured":
            await finish(parts, tenant, [Finding(begun.attempt, Captured(done.reference))])
        return await line.inner.handle_async_request(request)

    line.accidents = [in_between]
    counts, lines = await reconcile()

    after = (await standing(payment.id)).payment
    assert (counts, lines) == (Counts(agreed=1, unanswered=1), [])
    assert after.state is (PaymentState.CAPTURED if meanwhile == "captured" else PaymentState.AUTHORIZED)
    assert not after.review_reasons


async def test_what_is_under_way_is_left_to_its_attempt(parts, tenant, reconcile, authorized, on, expire):
    payment = await authorized(amount=1)
    await expire(payment)
    await begin_operations(parts, tenant, [(Verb.CAPTURE, on(payment.id))])

    counts, lines = await reconcile()

    assert (counts, lines) == (Counts(agreed=1), [])


async def test_an_authorization_that_recovery_has_in_hand_is_left_to_it(
    parts, tenant, gateway, wish, reconcile, recover, here, line
):
    line.accidents = ["lost answer", *["reset"] * (TRIES_AT_ONCE - 1)]
    await gateway.authorize(tenant, wish())
    line.accidents = []
    here.pass_by(24 * 3600)
    await recover()
    here.pass_by(REST_OF_EXPIRED_S)
    async with parts.database.tenant(tenant) as tx:
        until, token = here.time + timedelta(seconds=LEASE_S), parts.world.new_uuid()
        (taken,) = await lease_due_attempts(tx, tenant, now=here.time, lease_until=until, lease_token=token, limit=1)

    counts, lines = await reconcile()

    async with parts.database.tenant(tenant) as tx:
        still = (await open_attempts_of(tx, tenant, [taken.payment_id]))[taken.payment_id]
    assert (counts, lines) == (Counts(), [])
    assert still == taken


# --- Limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "reasons"), [(LIMIT, set()), (LIMIT + 1, {ReviewReason.RECONCILED})])
async def test_over_the_limit_an_expired_hold_is_repaired_and_somebody_has_to_look(
    reconcile, authorized, expire, standing, recover, amount, reasons
):
    payment = await authorized(amount=amount)
    await expire(payment)

    counts, _ = await reconcile()
    await recover()
    again, lines = await reconcile()

    after = await standing(payment.id)
    assert counts.repaired == 1
    assert (after.payment.state, after.payment.review_reasons, after.pending) == (PaymentState.EXPIRED, reasons, None)
    assert after.payment.bank.void is not None
    assert (again, lines) == (Counts(agreed=again.agreed), [])


async def test_beyond_so_many_repairs_the_rest_is_only_reported(
    reconcile, several, expire, standing, audited, of_two, monkeypatch
):
    monkeypatch.setattr(repairs, "MAX_REPAIRS_OF_RUN", 3)
    payments = await several(5)
    for payment in payments:
        await expire(payment)

    counts, lines = await reconcile()

    assert (counts.repaired, counts.flagged) == (3, 2)
    assert [line.remedy for line in lines] == [Remedy.REPAIRED] * 3 + [Remedy.FLAGGED] * 2
    assert {line.discrepancy.kind for line in lines} == {K.HOLD_EXPIRED}
    left = [await standing(payment.id) for payment in payments[3:]]
    assert {(each.payment.state, each.payment.review_reasons) for each in left} == {(PaymentState.AUTHORIZED, frozenset())}
    assert [len(await audited(payment.id)) for payment in payments] == [1, 1, 1, 0, 0]


async def test_every_state_change_is_an_event_in_the_gapless_sequence(reconcile, several, expire, database, tenant):
    payments = await several(3)
    for payment in payments:
        await expire(payment)

    await reconcile()

    query = text("select sequence, type, idempotency_key from events where tenant_id = :t order by 1")
    async with database.tenant(tenant) as tx:
        rows = (await tx.execute(query, {"t": tenant})).all()
    assert [row.sequence for row in rows] == list(range(1, 10))
    assert [(row.type, row.idempotency_key) for row in rows[6:]] == [("payment.expired", None)] * 3


async def test_the_same_run_twice_changes_nothing(reconcile, several, operate, expire, recover, standing, ledger):
    payments = await several(3)
    await expire(payments[0])
    await operate(Verb.CAPTURE, payments[1].id)
    await reconcile()
    await recover()
    before = [await standing(payment.id) for payment in payments]
    books = await ledger()

    counts, lines = await reconcile()

    assert (counts, lines) == (Counts(agreed=counts.agreed), [])
    assert [await standing(payment.id) for payment in payments] == before
    assert await ledger() == books
