"""Reports of the reconciliation, as they are read: pages of runs, newest first, and pages of what each has found."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.discrepancy import Discrepancy, DiscrepancyKind, Remedy
from domain.reconciliation import ReportLine, Run
from persistence.database import Transaction
from persistence.payment_pages import Cursor
from persistence.reconciliations import RUN_COLUMNS, run_of

MAX_PAGE = 100  # lines of a page that is read at once

_RUNS = text(f"""
    select {RUN_COLUMNS} from reconciliation_runs
    where tenant_id = :tenant_id and (cast(:at as timestamptz) is null or (started_at, id) < (cast(:at as timestamptz), cast(:id as uuid)))
    order by started_at desc, id desc limit :limit
""")
_RUNS_OF_IDS = text(
    f"select {RUN_COLUMNS} from reconciliation_runs where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))"
)
# The pages of several runs in one statement: a list of runs asks for all of theirs at once.
_LINES = text("""
    select wanted.number, line.* from unnest(
        cast(:run_id as uuid[]), cast(:after_payment as uuid[]), cast(:after_kind as text[]), cast(:limit as integer[])
    ) with ordinality as wanted (run_id, after_payment, after_kind, count, number)
    cross join lateral (
        select run_id, payment_id, kind, done, ours, the_banks, found_at from discrepancies
        where tenant_id = :tenant_id and run_id = wanted.run_id
            and (wanted.after_payment is null or (payment_id, kind) > (wanted.after_payment, wanted.after_kind))
        order by payment_id, kind limit wanted.count
    ) as line
    order by wanted.number, line.payment_id, line.kind
""")
_LINES_OF_PAYMENT = text("""
    select run_id, payment_id, kind, done, ours, the_banks, found_at from discrepancies
    where tenant_id = :tenant_id and payment_id = :payment_id order by found_at desc, kind desc limit :limit
""")


@dataclass(frozen=True, slots=True)
class LinePlace:
    """Right behind this line, in a run's report: the oldest payment comes first."""

    payment_id: UUID
    kind: DiscrepancyKind

    def encode(self) -> str:
        """Opaque text for clients."""
        return base64.urlsafe_b64encode(self.payment_id.bytes + self.kind.value.encode()).decode()

    @classmethod
    def decode(cls, text: str) -> "LinePlace | None":
        """The place that `encode` wrote, or None for anything else."""
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            place = cls(UUID(bytes=raw[:16]), DiscrepancyKind(raw[16:].decode("ascii")))
        except (UnicodeError, binascii.Error, ValueError):
            return None
        return place if place.encode() == text else None


@dataclass(frozen=True, slots=True)
class LinesWanted:
    """A page of one run's report."""

    run_id: UUID
    limit: int
    after: LinePlace | None = None


async def page_of_runs(tx: Transaction, tenant_id: UUID, *, limit: int, after: Cursor | None = None) -> list[Run]:
    """The next runs behind `after`, newest first."""
    parameters = {
        "tenant_id": tenant_id,
        "at": after.created_at if after else None,
        "id": after.id if after else None,
        "limit": limit,
    }
    return [run_of(row) for row in await tx.execute(_RUNS, parameters)]


async def get_runs(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Run]:
    """The tenant's runs among `ids`."""
    rows = await tx.execute(_RUNS_OF_IDS, {"tenant_id": tenant_id, "ids": list(ids)})
    return {row.id: run_of(row) for row in rows}


async def page_of_lines(
    tx: Transaction, tenant_id: UUID, run_id: UUID, *, limit: int, after: LinePlace | None = None
) -> list[ReportLine]:
    """The next lines of a run's report behind `after`."""
    (page,) = await pages_of_lines(tx, tenant_id, [LinesWanted(run_id, limit, after)])
    return page


async def pages_of_lines(tx: Transaction, tenant_id: UUID, wanted: Sequence[LinesWanted]) -> list[list[ReportLine]]:
    """Pages of several reports, in the order in which they are wanted."""
    parameters = {
        "tenant_id": tenant_id,
        "run_id": [each.run_id for each in wanted],
        "after_payment": [each.after.payment_id if each.after else None for each in wanted],
        "after_kind": [each.after.kind.value if each.after else None for each in wanted],
        "limit": [each.limit for each in wanted],
    }
    pages: list[list[ReportLine]] = [[] for _ in wanted]
    for row in await tx.execute(_LINES, parameters):
        pages[row.number - 1].append(_line_of(row))
    return pages


async def lines_of_payment(tx: Transaction, tenant_id: UUID, payment_id: UUID, *, limit: int) -> list[ReportLine]:
    """What was found of one payment in all runs whose reports are kept, newest first."""
    parameters = {"tenant_id": tenant_id, "payment_id": payment_id, "limit": limit}
    return [_line_of(row) for row in await tx.execute(_LINES_OF_PAYMENT, parameters)]


def _line_of(row: Row[Any]) -> ReportLine:
    found = Discrepancy(DiscrepancyKind(row.kind), row.ours, row.the_banks)
    return ReportLine(row.run_id, row.payment_id, found, Remedy(row.done), row.found_at)
