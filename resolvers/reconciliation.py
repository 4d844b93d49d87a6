"""Reports of the reconciliation."""

from uuid import UUID

from domain.reconciliation import ReportLine, Run
from persistence.payment_pages import Cursor
from persistence.reports import LinePlace, LinesWanted, get_runs, page_of_runs
from resolvers.context import Context, Info
from resolvers.given import given
from resolvers.pages import page_size, place
from schema.connection import PageInfo
from schema.payment import Payment, payment_of
from schema.reconciliation import (
    Discrepancy,
    DiscrepancyConnection,
    DiscrepancyEdge,
    ReconciliationRun,
    ReconciliationRunConnection,
    ReconciliationRunEdge,
    discrepancy_of,
    run_of,
)


async def reconciliation(info: Info, *, first: int | None, after: str | None) -> ReconciliationRunConnection:
    """A page of runs, newest first."""
    context = info.context
    limit, behind = page_size("first", first), place("after", after, Cursor.decode)
    async with context.database.tenant(context.tenant_id) as tx:
        runs = await page_of_runs(tx, context.tenant_id, limit=limit + 1, after=behind)  # one more tells whether there is more
    edges = [
        ReconciliationRunEdge(cursor=Cursor(run.started_at, run.id).encode(), node=_run(context, run)) for run in runs[:limit]
    ]
    return ReconciliationRunConnection(
        edges=edges, page_info=_page_info([edge.cursor for edge in edges], behind is not None, len(runs) > limit)
    )


async def reconciliation_run(info: Info, run_id: UUID) -> ReconciliationRun | None:
    """One run by its id."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        run = (await get_runs(tx, context.tenant_id, [run_id])).get(run_id)
    return None if run is None else _run(context, run)


def _run(context: Context, run: Run) -> ReconciliationRun:
    async def discrepancies(first: int | None, after: str | None) -> DiscrepancyConnection:
        limit, behind = page_size("first", given(first)), place("after", given(after), LinePlace.decode)
        lines = await context.report_lines.load(LinesWanted(run.id, limit + 1, behind))
        edges = [DiscrepancyEdge(cursor=_place(line).encode(), node=_discrepancy(context, line)) for line in lines[:limit]]
        return DiscrepancyConnection(
            edges=edges, page_info=_page_info([edge.cursor for edge in edges], behind is not None, len(lines) > limit)
        )

    return run_of(run, discrepancies)


def _discrepancy(context: Context, line: ReportLine) -> Discrepancy:
    async def payment() -> Payment:
        standing = await context.standings.load(line.payment_id)
        assert standing is not None, "a report tells of payments that there are"
        return payment_of(standing.payment, standing.pending)

    return discrepancy_of(line, payment)


def _place(line: ReportLine) -> LinePlace:
    return LinePlace(line.payment_id, line.discrepancy.kind)


def _page_info(cursors: list[str], has_previous: bool, has_next: bool) -> PageInfo:
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
