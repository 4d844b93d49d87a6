"""Payments go first: a reconciliation asks little at a time, and gives way when the bank is away or busy, or when told to stop."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx

from bank.breaker import MIN_CALLS, BreakerState
from domain.reconciliation import Counts, Trigger
from gateway import reconciliation as runs
from gateway.bulkhead import Bulkhead
from gateway.looks import LOOKS_AT_ONCE, TRIES
from gateway.reconciliation import Elsewhere, Finished, Interrupted, Reconciliation
from gateway.schedule import Schedule
from persistence.reconciliations import renew_run, save_run

LIMIT = 100_000


async def test_while_the_bank_is_away_a_run_waits_and_then_goes_on(
    parts, tenant, several, expire, of_two, here, line, stored, watch
):
    payments = await several(4)
    await expire(payments[3])
    here.pass_by(1)
    at_the_bank = line.inner
    schedule = Schedule(Reconciliation(parts, repair_limit_minor=LIMIT), watch, parts.world, every=timedelta(hours=1))

    class Away(httpx.AsyncBaseTransport):
        answers = 2

        async def handle_async_request(self, request):
            if not self.answers:
                raise httpx.ConnectError("refused", request=request)
            self.answers -= 1
            return await at_the_bank.handle_async_request(request)

    line.inner = Away()
    asked = len(line.requests)
    away = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)
    asked = len(line.requests) - asked
    line.inner = at_the_bank
    here.pass_by(runs.REST_S - 1)
    too_early = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)
    here.pass_by(1)
    await schedule.run_once()

    (run,) = await stored()
    assert isinstance(away, Interrupted)
    assert away.run.counts == Counts(agreed=2), "the page that could not be asked is not written"
    assert asked <= 2 + 2 * TRIES
    assert too_early == Elsewhere()
    assert (run.id, run.counts) == (away.run.id, Counts(agreed=3 + 4, repaired=1))


async def test_without_a_slot_among_the_payments_it_gives_way(parts, tenant, authorized, here, line):
    await authorized(amount=1)
    here.pass_by(1)
    asked = len(line.requests)

    async def nothing_comes(*_):
        here.pass_by(60)

    crowded = replace(parts, bank_slots=Bulkhead(slots=0, wait=nothing_comes))
    ending = await Reconciliation(crowded, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)

    assert isinstance(ending, Interrupted)
    assert len(line.requests) == asked


async def test_while_the_breaker_is_open_nothing_is_asked_and_then_a_look_is_as_good_a_probe_as_a_payment(
    parts, tenant, several, here, line
):
    await several(1)
    for _ in range(MIN_CALLS):
        parts.breaker.record(here.time, ok=False)
    asked = len(line.requests)

    resting = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)
    not_asked = len(line.requests) - asked
    here.pass_by(runs.REST_S)
    probing = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)

    assert (type(resting), not_asked) == (Interrupted, 0)
    assert (type(probing), probing.run.counts) == (Finished, Counts(agreed=2))
    assert parts.breaker.state(here.time) is BreakerState.CLOSED


async def test_answers_that_the_bank_kept_do_not_hide_that_payments_fail(parts, tenant, several, here):
    await several(MIN_CALLS)
    here.pass_by(60)  # what those calls said of the bank is forgotten
    for _ in range(MIN_CALLS - 1):
        parts.breaker.record(here.time, ok=False)
    run = await Reconciliation(parts, repair_limit_minor=LIMIT)._begin(tenant, Trigger.SCHEDULE)
    async with parts.database.tenant(tenant) as tx:  # past the holds, which are asked for like any payment
        await save_run(tx, tenant, run.past_page(None, Counts(), None, here.time))
        await renew_run(tx, tenant, run, here.time)

    ending = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)
    parts.breaker.record(here.time, ok=False)

    assert ending.run.counts == Counts(agreed=MIN_CALLS)
    assert parts.breaker.state(here.time) is BreakerState.OPEN


async def test_told_to_stop_it_ends_before_the_next_question_and_the_next_worker_goes_on_at_once(
    parts, tenant, several, here, line, of_two, stored
):
    await several(3)
    here.pass_by(1)
    stopped, asked = asyncio.Event(), len(line.requests)

    async def then_stop(request):
        if len(line.requests) == asked + 3:
            stopped.set()
        return await line.inner.handle_async_request(request)

    line.accidents = [then_stop] * 3
    ending = await Reconciliation(parts, repair_limit_minor=LIMIT, is_stopped=stopped.is_set).reconcile(tenant, Trigger.SCHEDULE)
    line.accidents = []
    resumed = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)

    assert isinstance(ending, Interrupted)
    assert len(await stored()) == 1
    assert resumed.run.counts == Counts(agreed=6)


async def test_few_questions_are_under_way_at_a_time(parts, tenant, several, here, line):
    await several(3 * LOOKS_AT_ONCE)
    here.pass_by(1)
    at_the_bank, under_way, peak = line.inner, 0, 0

    class Counting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            nonlocal under_way, peak
            under_way += 1
            peak = max(peak, under_way)
            await asyncio.sleep(0)
            response = await at_the_bank.handle_async_request(request)
            under_way -= 1
            return response

    line.inner = Counting()
    await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(tenant, Trigger.SCHEDULE)

    assert peak == LOOKS_AT_ONCE
