"""Runs of the reconciliation: one at a time for each partner, found when they are due, read in pages, forgotten when they are old."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import exc, text

from domain.discrepancy import Discrepancy, DiscrepancyKind, Remedy
from domain.partner import Mode, tenant_of
from domain.payment import Authorized, ReviewReason, Verb, review
from domain.reconciliation import Counts, Phase, Place, ReportLine, Run, Trigger
from gateway.attempts import Finding, begin_authorizations, finish
from persistence.payment_pages import Cursor
from persistence.payments import save_payments
from persistence.reconciliations import (
    begin_run,
    forget_reports,
    hold_run,
    insert_report_lines,
    last_finished_run,
    page_at_rest,
    page_of_recent,
    partners_due,
    renew_run,
    reported_kinds,
    save_run,
    take_over_run,
)
from persistence.reports import LinePlace, LinesWanted, get_runs, page_of_runs, pages_of_lines

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
K = DiscrepancyKind


@pytest.fixture
def new_run(here):
    """Makes runs of this moment; nothing is written."""

    def make(**how):
        usual = {
            "id": here.world.new_uuid(),
            "trigger": Trigger.SCHEDULE,
            "started_at": here.time,
            "since": here.time - HOUR,
            "lease_until": here.time + MINUTE,
            "lease_token": here.world.new_uuid(),
        }
        return Run(**{**usual, **how})

    return make


@pytest.fixture
def finished(database, tenant, new_run):
    """Makes runs that are over."""

    async def make(tenant_id=tenant, **how):
        run = new_run(**how)
        done = run.past_page(None, Counts(1, 2, 3, 4), None, run.started_at).past_page(None, Counts(), None, run.started_at)
        async with database.tenant(tenant_id) as tx:
            assert await begin_run(tx, tenant_id, run)
            await save_run(tx, tenant_id, done)
        return done

    return make


@pytest.fixture
async def payments(parts, tenant, wish, here):
    """Six payments, a second apart: the first four are authorized, the fifth declined, the last PENDING."""
    made = []
    for _ in range(6):
        here.pass_by(1)
        made += await begin_authorizations(parts, tenant, [wish()])
    here.pass_by(1)
    for begun in made[:4]:
        await finish(parts, tenant, [Finding(begun.attempt, Authorized("auth_1"))])
        here.pass_by(1)
    return [begun.payment for begun in made]


async def test_a_partner_has_one_run_at_a_time(database, tenant, new_run):
    first, second = new_run(), new_run()

    async with database.tenant(tenant) as tx:
        begun = [await begin_run(tx, tenant, each) for each in (first, second)]
        await save_run(
            tx, tenant, first.past_page(None, Counts(), None, first.started_at).past_page(None, Counts(), None, first.started_at)
        )
        begun.append(await begin_run(tx, tenant, second))

    assert begun == [True, False, True]


async def test_a_run_is_taken_over_when_its_lease_has_run_out_and_its_holder_is_fenced_out(database, tenant, new_run, here):
    left, token = new_run(), UUID(int=9)
    until = left.lease_until + HOUR
    async with database.tenant(tenant) as tx:
        await begin_run(tx, tenant, left)

        too_early = await take_over_run(tx, tenant, now=left.lease_until - MINUTE, lease_until=until, lease_token=token)
        taken = await take_over_run(tx, tenant, now=left.lease_until, lease_until=until, lease_token=token)
        held = [await hold_run(tx, tenant, each) for each in (left, taken)]
        renewed = [await renew_run(tx, tenant, each, until + HOUR) for each in (left, taken)]
        await save_run(tx, tenant, left.past_page(Place(token), Counts(agreed=5), None, here.time))
        (stored,) = await page_of_runs(tx, tenant, limit=10)

    assert too_early is None
    assert (taken.id, taken.lease_token, taken.lease_until) == (left.id, token, until)
    assert held == renewed == [False, True]
    assert (stored.counts, stored.lease_until) == (Counts(), until + HOUR)


async def test_what_is_saved_of_a_run_is_what_is_read(database, tenant, new_run, here):
    run = new_run(trigger=Trigger.OPERATOR)
    place = Place(UUID(int=7), here.time - HOUR)
    moved = run.past_page(None, Counts(1, 2, 3, 4), here.time - MINUTE, here.time).past_page(place, Counts(), None, here.time)

    async with database.tenant(tenant) as tx:
        await begin_run(tx, tenant, run)
        await save_run(tx, tenant, moved)
        found = await get_runs(tx, tenant, [run.id, UUID(int=1)])

    assert found == {run.id: moved}
    assert moved.phase is Phase.RECENT


async def test_the_last_finished_run_is_the_one_that_began_last(database, tenant, finished, new_run, here):
    await finished()
    second = await finished(started_at=here.time + MINUTE)

    async with database.tenant(tenant) as tx:
        await begin_run(tx, tenant, new_run(started_at=here.time + HOUR))
        last = await last_finished_run(tx, tenant)

    assert last == second


# --- Who is due -------------------------------------------------------------------------------------------------------


async def due(watch, now, tenants, mode=Mode.LIVE):
    """Who of these is due; the database of this module has other partners too."""
    async with watch.without_tenant() as tx:
        found = await partners_due(tx, now, HOUR, mode)
    return [each for each in found if each in tenants]


async def test_a_partner_is_due_an_hour_after_its_last_run_and_at_most_six_minutes_later(watch, tenant, finished, here):
    await finished()

    assert await due(watch, here.time + HOUR - MINUTE, {tenant}) == []
    assert await due(watch, here.time + HOUR + 6 * MINUTE, {tenant}) == [tenant]


async def test_a_new_partners_first_run_is_due_an_hour_after_its_creation(watch, tenant, here):
    created = here.time

    assert await due(watch, created + HOUR - MINUTE, {tenant}) == []
    assert await due(watch, created + HOUR + 6 * MINUTE, {tenant}) == [tenant]


async def test_who_waits_longest_comes_first(watch, tenant, other_tenant, finished, here):
    await finished(started_at=here.time + MINUTE)

    assert await due(watch, here.time + 2 * HOUR, {tenant, other_tenant}) == [other_tenant, tenant]


async def test_a_run_that_was_left_is_due_when_its_lease_has_run_out(watch, database, tenant, finished, new_run, here):
    await finished()
    left = new_run(started_at=here.time + MINUTE)
    async with database.tenant(tenant) as tx:
        await begin_run(tx, tenant, left)

    assert await due(watch, left.lease_until - MINUTE, {tenant}) == []
    assert await due(watch, left.lease_until, {tenant}) == [tenant]


async def test_partners_that_began_together_drift_apart(watch, owner, database, finished, here):
    ids = [UUID(int=here.world.new_uuid().int >> 8 << 8 | last) for last in (0, 128, 255)]
    async with owner.without_tenant() as tx:
        for each in ids:
            await tx.execute(text("insert into partners values (:id, 'x', now())"), {"id": each})
    for each in ids:
        await finished(each)

    seconds = {
        await_due: [await due(watch, here.time + HOUR + timedelta(seconds=await_due), {each}) for each in ids]
        for await_due in (0, 180, 359)
    }

    assert [[bool(each) for each in found] for found in seconds.values()] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


# --- What is looked at ------------------------------------------------------------------------------------------------


async def test_at_rest_are_authorized_payments_and_flagged_ones_up_to_the_start_of_the_run(
    database, tenant, payments, new_run, parts, wish, here
):
    flagged = review(payments[5], ReviewReason.BANK_KEY_EXPIRED)
    run = new_run()
    here.pass_by(1)
    (late,) = await begin_authorizations(parts, tenant, [wish()])
    await finish(parts, tenant, [Finding(late.attempt, Authorized("auth_1"))])
    async with database.tenant(tenant) as tx:
        await save_payments(tx, tenant, [flagged])

        pages, place = [], None
        while page := await page_at_rest(tx, tenant, run.past_page(place, Counts(), None, here.time) if place else run, 2):
            pages.append([payment.id for payment in page])
            place = Place(page[-1].id)

    ids = [payment.id for payment in payments]
    assert pages == [ids[0:2], ids[2:4], [ids[5]]]


async def test_recent_operations_come_in_the_order_of_their_closing_between_two_moments(
    database, tenant, payments, new_run, here
):
    async with database.tenant(tenant) as tx:
        times = (await tx.execute(text("select closed_at from attempts where closed_at is not null order by 1"))).scalars().all()
    run = new_run(since=times[0], started_at=times[3])
    recent = run.past_page(None, Counts(), None, here.time)

    async with database.tenant(tenant) as tx:
        first = await page_of_recent(tx, tenant, recent, 2)
        rest = await page_of_recent(
            tx, tenant, recent.past_page(Place(first[-1].id, first[-1].closed_at), Counts(), None, here.time), 2
        )

    assert [(each.payment_id, each.closed_at) for each in first + rest] == [(payments[n].id, times[n]) for n in (1, 2, 3)]
    assert {each.verb for each in first} == {Verb.AUTHORIZE}
    assert first[0].then.bank.authorization == "auth_1"


@pytest.mark.parametrize(
    ("index", "page"),
    [("payments_that_may_differ", page_at_rest), ("attempts_by_closing", page_of_recent)],
    ids=["rest", "recent"],
)
async def test_each_page_has_its_index(database, tenant, payments, new_run, index, page):
    scans = text(f"select pg_stat_get_xact_numscans('{index}'::regclass)")

    async with database.tenant(tenant) as tx:
        await tx.execute(text("set local enable_seqscan = off"))
        before = (await tx.execute(scans)).scalar_one()
        found = await page(tx, tenant, new_run(), 10)
        after = (await tx.execute(scans)).scalar_one()

    assert found
    assert after > before


# --- Reports ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def line(here):
    def make(run, payment, kind=K.HOLD_EXPIRED):
        found = Discrepancy(kind, "AUTHORIZED, hold auth_1", "the hold has run out, unused")
        return ReportLine(run.id, payment.id, found, Remedy.REPAIRED, here.time)

    return make


async def test_the_runs_are_listed_newest_first_in_pages(database, tenant, finished, here):
    runs = [await finished(started_at=here.time + n * MINUTE) for n in range(5)][::-1]

    pages, after = [], None
    async with database.tenant(tenant) as tx:
        while page := await page_of_runs(tx, tenant, limit=2, after=after):
            pages.append(page)
            after = Cursor(page[-1].started_at, page[-1].id)

    assert pages == [runs[:2], runs[2:4], runs[4:]]


async def test_the_lines_of_several_reports_are_read_at_once_each_from_its_own_place(
    database, tenant, finished, payments, line, here
):
    one, other = await finished(), await finished(started_at=here.time + MINUTE)
    lines = [line(one, payment, kind) for payment in payments[:2] for kind in (K.HOLD_EXPIRED, K.SECOND_HOLD)]
    others = [line(other, payments[3])]
    async with database.tenant(tenant) as tx:
        await insert_report_lines(tx, tenant, lines + others)

        pages = await pages_of_lines(
            tx,
            tenant,
            [
                LinesWanted(other.id, 10),
                LinesWanted(one.id, 2),
                LinesWanted(one.id, 2, LinePlace(payments[0].id, K.SECOND_HOLD)),
                LinesWanted(UUID(int=1), 10),
                LinesWanted(one.id, 0),
            ],
        )
        reported = await reported_kinds(tx, tenant, one, [payments[0].id, payments[3].id])

    assert pages == [others, lines[:2], lines[2:], [], []]
    assert reported == {(payments[0].id, K.HOLD_EXPIRED), (payments[0].id, K.SECOND_HOLD)}


async def test_old_reports_are_forgotten_with_their_lines_and_younger_ones_are_kept(
    database, tenant, finished, payments, line, here
):
    old, young = await finished(), await finished(started_at=here.time + HOUR)
    async with database.tenant(tenant) as tx:
        await insert_report_lines(tx, tenant, [line(run, payment) for run in (old, young) for payment in payments[:3]])

    deleted = []
    while not deleted or deleted[-1]:
        async with database.tenant(tenant) as tx:
            deleted.append(await forget_reports(tx, tenant, before=here.time + MINUTE, limit=2))

    async with database.tenant(tenant) as tx:
        left = await page_of_runs(tx, tenant, limit=10)
        (lines,) = await pages_of_lines(tx, tenant, [LinesWanted(young.id, 10)])
    assert deleted == [2, 1, 1, 0]
    assert left == [young]
    assert len(lines) == 3


async def test_a_run_under_way_is_never_forgotten(database, tenant, new_run, here):
    run = new_run()
    async with database.tenant(tenant) as tx:
        await begin_run(tx, tenant, run)

        assert await forget_reports(tx, tenant, before=here.time + HOUR, limit=10) == 0


async def test_another_partner_finds_and_touches_nothing_of_it(database, tenant, other_tenant, new_run, payments, line, here):
    run = new_run()
    async with database.tenant(tenant) as tx:
        await begin_run(tx, tenant, run)
        await insert_report_lines(tx, tenant, [line(run, payments[0])])

    async with database.tenant(other_tenant) as tx:
        for whose in (tenant, other_tenant):
            assert (
                await take_over_run(tx, whose, now=run.lease_until, lease_until=run.lease_until, lease_token=UUID(int=1)) is None
            )
            assert not await hold_run(tx, whose, run)
            assert await page_of_runs(tx, whose, limit=10) == []
            assert await get_runs(tx, whose, [run.id]) == {}
            assert await pages_of_lines(tx, whose, [LinesWanted(run.id, 10)]) == [[]]
            assert await page_at_rest(tx, whose, run, 10) == []
            assert await page_of_recent(tx, whose, run, 10) == []
    with pytest.raises(exc.DBAPIError, match="row-level security"):
        async with database.tenant(other_tenant) as tx:
            await begin_run(tx, tenant, new_run())


async def test_sandboxes_are_due_apart_from_live_tenants(watch, tenant, here):
    sandbox, later = tenant_of(tenant, Mode.TEST), here.time + 2 * HOUR

    assert await due(watch, later, [tenant, sandbox]) == [tenant]
    assert await due(watch, later, [tenant, sandbox], Mode.TEST) == [sandbox]
