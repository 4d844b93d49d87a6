"""The worker's reconciliations: of who is due, each partner's for itself."""

import asyncio
from datetime import timedelta

from domain.reconciliation import Counts, Trigger
from gateway import reconciliation as runs
from gateway.reconciliation import Reconciliation
from gateway.schedule import Schedule

LIMIT = 100_000


async def test_another_partners_payments_are_another_run(reconcile, gateway, other_tenant, wish, expire, parts):
    foreign = (await gateway.authorize(other_tenant, wish(amount=1))).payment
    await expire(foreign)

    mine, lines = await reconcile()
    theirs = await Reconciliation(parts, repair_limit_minor=LIMIT).reconcile(other_tenant, Trigger.OPERATOR)

    assert (mine, lines) == (Counts(), [])
    assert theirs.run.counts.repaired == 1


async def test_the_worker_reconciles_who_is_due_and_stops_when_it_is_told_to(
    parts, tenant, other_tenant, here, watch, authorized, stored
):
    await authorized(amount=1)
    here.pass_by(2 * 3600)
    stopped = asyncio.Event()
    schedule = Schedule(Reconciliation(parts, repair_limit_minor=LIMIT), watch, parts.world, every=timedelta(hours=1))

    while await schedule.run_once():
        pass
    at_once = await schedule.run_once()
    here.pass_by(2 * 3600)
    stopped.set()
    await schedule.run(stopped)
    while await schedule.run_once():
        pass

    assert at_once == 0
    assert [run.trigger for run in await stored()] == [Trigger.SCHEDULE] * 2
    assert all(run.finished_at for run in await stored())


async def test_a_worker_does_not_take_over_its_own_run(parts, tenant, several, here, watch, line, stored):
    schedule = Schedule(Reconciliation(parts, repair_limit_minor=LIMIT), watch, parts.world, every=timedelta(hours=1))
    await several(1)
    here.pass_by(2 * 3600)
    asked, answer_now = asyncio.Event(), asyncio.Event()

    async def late(request):
        asked.set()
        await answer_now.wait()
        return await line.inner.handle_async_request(request)

    line.accidents = [late]
    while tenant not in schedule._tasks:
        await schedule.start_due()
        await asyncio.sleep(0)
    await asked.wait()
    here.pass_by(runs.LEASE_S)
    mine = schedule._tasks[tenant]
    await schedule.start_due()
    same = schedule._tasks.get(tenant) is mine
    answer_now.set()
    await schedule.settle()

    assert same
    assert [run.counts for run in await stored()] == [Counts(agreed=2)]
