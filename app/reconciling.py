"""`partner-api reconcile`: runs of the reconciliation for an operator at a terminal, and the reports that they leave."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.failpoints import reach_for
from app.house import open_house
from app.settings import WorkSettings
from domain.partner import Mode, Partner, mode_of
from domain.reconciliation import ReportLine, Run
from gateway.reconciliation import Elsewhere, Finished, Interrupted, Reconciliation
from gateway.world import World, real_world
from persistence.database import Database
from persistence.partners import get_partner, partner_ids
from persistence.reconciliations import last_finished_run
from persistence.reports import MAX_PAGE, LinePlace, page_of_lines

MAX_LINES = 10_000  # of a partner's report that are held in memory and shown; whoever has more has another problem

OnProgress = Callable[[Partner, Run], None]


class Outcome(StrEnum):
    """How a partner's run ended."""

    FINISHED = "FINISHED"
    INTERRUPTED = "INTERRUPTED"
    """The bank is away or busy; the worker goes on from there."""
    ELSEWHERE = "ELSEWHERE"
    """Another process is at it, and was not waited for any longer."""
    NEVER = "NEVER"
    """There is no report yet."""


@dataclass(frozen=True, slots=True)
class PartnerReport:
    """What there is to say of one partner."""

    partner: Partner
    outcome: Outcome
    run: Run | None
    lines: list[ReportLine]


class NoSuchPartner(Exception):
    """There is no partner with this id."""


@dataclass(frozen=True, slots=True)
class _Room:
    reconciliations: Mapping[Mode, Reconciliation]
    database: Database
    watch: Database


@asynccontextmanager
async def _open(settings: WorkSettings, world: World | None) -> AsyncIterator[_Room]:
    here = world or real_world(reach_for(settings.failpoint))
    watch = Database(settings.worker_database_url.get_secret_value(), pool_size=1)
    try:
        async with open_house(settings, here) as house:
            await watch.check_login()
            reconciliations = {
                each.mode: Reconciliation(each, repair_limit_minor=settings.repair_limit_minor) for each in house.of_each_mode
            }
            yield _Room(reconciliations, house.parts.database, watch)
    finally:
        await watch.close()


async def reconcile_now(
    settings: WorkSettings,
    only: UUID | None,
    on_progress: OnProgress,
    *,
    world: World | None = None,
) -> AsyncGenerator[PartnerReport, None]:
    """A run for each partner, or for `only` one, and its report as soon as it is there. Raises DatabaseAway and NoSuchPartner."""
    async with _open(settings, world) as room:
        async for partner in _partners(room, only):

            def on_page(run: Run, partner: Partner = partner) -> None:
                on_progress(partner, run)

            match await room.reconciliations[mode_of(partner.id)].reconcile_from_now(partner.id, on_page):
                case Finished(run):
                    yield await _report(room, partner, Outcome.FINISHED, run)
                case Interrupted(run):
                    yield await _report(room, partner, Outcome.INTERRUPTED, run)
                case Elsewhere():
                    yield PartnerReport(partner, Outcome.ELSEWHERE, None, [])


async def last_reports(
    settings: WorkSettings, only: UUID | None, *, world: World | None = None
) -> AsyncGenerator[PartnerReport, None]:
    """Each partner's latest report, without asking the bank."""
    async with _open(settings, world) as room:
        async for partner in _partners(room, only):
            async with room.database.tenant(partner.id) as tx:
                run = await last_finished_run(tx, partner.id)
            if run is None:
                yield PartnerReport(partner, Outcome.NEVER, None, [])
            else:
                yield await _report(room, partner, Outcome.FINISHED, run)


async def _partners(room: _Room, only: UUID | None) -> AsyncIterator[Partner]:
    if only is not None:
        partner = await _partner(room, only)
        if partner is None or mode_of(only) not in room.reconciliations:
            raise NoSuchPartner
        yield partner
        return
    after: UUID | None = None
    while True:
        async with room.watch.without_tenant() as tx:
            page = await partner_ids(tx, after)
        if not page:
            return
        for partner_id in page:
            partner = await _partner(room, partner_id)
            if partner is not None and mode_of(partner.id) in room.reconciliations:
                yield partner
        after = page[-1]


async def _partner(room: _Room, partner_id: UUID) -> Partner | None:
    async with room.database.tenant(partner_id) as tx:
        return await get_partner(tx, partner_id)


async def _report(room: _Room, partner: Partner, outcome: Outcome, run: Run) -> PartnerReport:
    lines: list[ReportLine] = []
    after: LinePlace | None = None
    while len(lines) < MAX_LINES:
        async with room.database.tenant(partner.id) as tx:
            page = await page_of_lines(tx, partner.id, run.id, limit=MAX_PAGE, after=after)
        lines += page
        if len(page) < MAX_PAGE:
            break
        after = LinePlace(page[-1].payment_id, page[-1].discrepancy.kind)
    return PartnerReport(partner, outcome, run, lines)
