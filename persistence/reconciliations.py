"""Runs of the reconciliation: begun, leased, carried on page by page and finished; and what each page looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.discrepancy import DiscrepancyKind
from domain.ids import time_ordered_uuid
from domain.partner import Mode
from domain.payment import Payment, Verb
from domain.receipt import from_document
from domain.reconciliation import Counts, Phase, Place, ReportLine, Run, Trigger
from persistence.database import Transaction
from persistence.partners import IN_MODE
from persistence.payments import COLUMNS, payment_of

MAX_DUE_PARTNERS = 100  # found at one look; the rest comes with the next
_NEVER = UUID(int=0)  # before every id of ours

RUN_COLUMNS = (
    "id, trigger, started_at, since, phase, cursor_at, cursor_id, lease_until, lease_token, finished_at, agreed, repaired, "
    "flagged, unanswered, unanswered_since"
)
_BEGIN = text("""
    insert into reconciliation_runs (tenant_id, id, trigger, started_at, since, phase, lease_until, lease_token)
    values (:tenant_id, :id, :trigger, :started_at, :since, :phase, :lease_until, :lease_token)
    on conflict (tenant_id) where finished_at is null do nothing
    returning id
""")
_TAKE_OVER = text(f"""
    update reconciliation_runs set lease_until = :lease_until, lease_token = :lease_token
    where tenant_id = :tenant_id and finished_at is null and lease_until <= :now
    returning {RUN_COLUMNS}
""")
_LAST_FINISHED = text(f"""
    select {RUN_COLUMNS} from reconciliation_runs where tenant_id = :tenant_id and finished_at is not null
    order by started_at desc, id desc limit 1
""")
_HOLD = text("""
    select id from reconciliation_runs
    where tenant_id = :tenant_id and id = :id and lease_token = :lease_token and finished_at is null
    for update
""")
_SAVE = text("""
    update reconciliation_runs set
        phase = :phase, cursor_at = :cursor_at, cursor_id = :cursor_id, lease_until = :lease_until, finished_at = :finished_at,
        checked = :checked, agreed = :agreed, repaired = :repaired, flagged = :flagged, unanswered = :unanswered,
        unanswered_since = :unanswered_since
    where tenant_id = :tenant_id and id = :id and lease_token = :lease_token and finished_at is null
    returning id
""")
_RENEW = text("""
    update reconciliation_runs set lease_until = :lease_until
    where tenant_id = :tenant_id and id = :id and lease_token = :lease_token and finished_at is null
    returning id
""")
# A new partner's first run is due as long after its creation as any other after the one before. The last byte of an id is chance: up to
# a tenth later, each partner its own, so that those who began together drift apart. A run that was left is due when its lease runs out.
_DUE_PARTNERS = text(f"""
    select partners.id from partners left join lateral (
        select started_at, finished_at, lease_until from reconciliation_runs
        where tenant_id = partners.id order by started_at desc limit 1
    ) as latest on true
    where {IN_MODE.format("partners.id")}
    and case when latest.finished_at is null and latest.started_at is not null then latest.lease_until <= :now
        else coalesce(latest.started_at, partners.created_at)
            + cast(:every as interval) * (1 + get_byte(uuid_send(partners.id), 15) / 2560.0) <= :now end
    order by coalesce(latest.started_at, partners.created_at), partners.id limit :limit
""")
# Up to the run's start: what is new while it runs is the next one's, or a busy partner's run would never end.
_AT_REST = text(f"""
    select {COLUMNS} from payments
    where tenant_id = :tenant_id and (state = 'AUTHORIZED' or review_reasons <> '{{}}') and id > :after and id <= :until
    order by id limit :limit
""")
_RECENT = text("""
    select id, payment_id, verb, closed_at, resolution -> 'payment' as receipt from attempts
    where tenant_id = :tenant_id and closed_at > :since and closed_at <= :until
        and (cast(:after_at as timestamptz) is null or (closed_at, id) > (cast(:after_at as timestamptz), cast(:after_id as uuid)))
    order by closed_at, id limit :limit
""")
_REPORT = text("""
    insert into discrepancies (tenant_id, run_id, payment_id, kind, done, ours, the_banks, found_at)
    select :tenant_id, run_id, payment_id, kind, done, ours, the_banks, found_at
    from unnest(
        cast(:run_id as uuid[]), cast(:payment_id as uuid[]), cast(:kind as text[]), cast(:done as text[]),
        cast(:ours as text[]), cast(:the_banks as text[]), cast(:found_at as timestamptz[])
    ) as given (run_id, payment_id, kind, done, ours, the_banks, found_at)
""")
_REPORTED = text(
    "select payment_id, kind from discrepancies "
    "where tenant_id = :tenant_id and run_id = :run_id and payment_id = any(cast(:payment_ids as uuid[]))"
)
# Materialized, as Postgres could else run the limited query once for each row that it joins.
_FORGET_LINES = text("""
    with old as materialized (
        select run_id, payment_id, kind from discrepancies where tenant_id = :tenant_id and run_id in (
            select id from reconciliation_runs where tenant_id = :tenant_id and started_at < :before and finished_at is not null)
        limit :limit
    )
    delete from discrepancies using old
    where discrepancies.tenant_id = :tenant_id and discrepancies.run_id = old.run_id
        and discrepancies.payment_id = old.payment_id and discrepancies.kind = old.kind
""")
_FORGET_RUNS = text("""
    with old as materialized (
        select id from reconciliation_runs where tenant_id = :tenant_id and started_at < :before and finished_at is not null
        order by started_at limit :limit for update skip locked
    )
    delete from reconciliation_runs using old
    where reconciliation_runs.tenant_id = :tenant_id and reconciliation_runs.id = old.id
""")


@dataclass(frozen=True, slots=True)
class ClosedOperation:
    """A closed attempt: its key, and the payment as it left it `then`."""

    id: UUID
    payment_id: UUID
    verb: Verb
    closed_at: datetime
    then: Payment


def run_of(row: Row[Any]) -> Run:
    """A row of RUN_COLUMNS as a run."""
    return Run(
        id=row.id,
        trigger=Trigger(row.trigger),
        started_at=row.started_at,
        since=row.since,
        lease_until=row.lease_until,
        lease_token=row.lease_token,
        phase=Phase(row.phase),
        place=None if row.cursor_id is None else Place(row.cursor_id, row.cursor_at),
        counts=Counts(row.agreed, row.repaired, row.flagged, row.unanswered),
        unanswered_since=row.unanswered_since,
        finished_at=row.finished_at,
    )


async def begin_run(tx: Transaction, tenant_id: UUID, run: Run) -> bool:
    """Insert it; False when the partner has an unfinished one, whose turn it is then."""
    parameters = {
        "tenant_id": tenant_id,
        "id": run.id,
        "trigger": run.trigger.value,
        "started_at": run.started_at,
        "since": run.since,
        "phase": run.phase.value,
        "lease_until": run.lease_until,
        "lease_token": run.lease_token,
    }
    return (await tx.execute(_BEGIN, parameters)).one_or_none() is not None


async def take_over_run(
    tx: Transaction, tenant_id: UUID, *, now: datetime, lease_until: datetime, lease_token: UUID
) -> Run | None:
    """The unfinished run, with a lease of ours, if nobody holds one that still runs."""
    parameters = {"tenant_id": tenant_id, "now": now, "lease_until": lease_until, "lease_token": lease_token}
    row = (await tx.execute(_TAKE_OVER, parameters)).one_or_none()
    return None if row is None else run_of(row)


async def last_finished_run(tx: Transaction, tenant_id: UUID) -> Run | None:
    """The run that began last among those that ended."""
    row = (await tx.execute(_LAST_FINISHED, {"tenant_id": tenant_id})).one_or_none()
    return None if row is None else run_of(row)


async def hold_run(tx: Transaction, tenant_id: UUID, run: Run) -> bool:
    """Lock it until the transaction ends; False when its lease is somebody else's by now."""
    parameters = {"tenant_id": tenant_id, "id": run.id, "lease_token": run.lease_token}
    return (await tx.execute(_HOLD, parameters)).one_or_none() is not None


async def save_run(tx: Transaction, tenant_id: UUID, run: Run) -> None:
    """Write how far it is. Its caller holds it."""
    await tx.execute(
        _SAVE,
        {
            "tenant_id": tenant_id,
            "id": run.id,
            "lease_token": run.lease_token,
            "lease_until": run.lease_until,
            "phase": run.phase.value,
            "cursor_at": run.place.at if run.place else None,
            "cursor_id": run.place.id if run.place else None,
            "finished_at": run.finished_at,
            "checked": run.counts.checked,
            "agreed": run.counts.agreed,
            "repaired": run.counts.repaired,
            "flagged": run.counts.flagged,
            "unanswered": run.counts.unanswered,
            "unanswered_since": run.unanswered_since,
        },
    )


async def renew_run(tx: Transaction, tenant_id: UUID, run: Run, lease_until: datetime) -> bool:
    """Prolong its lease, or end it; False when it is somebody else's by now."""
    parameters = {"tenant_id": tenant_id, "id": run.id, "lease_token": run.lease_token, "lease_until": lease_until}
    return (await tx.execute(_RENEW, parameters)).one_or_none() is not None


async def partners_due(tx: Transaction, now: datetime, every: timedelta, mode: Mode) -> list[UUID]:
    """Whose run is due, or was left, in one mode, the longest waiting first. Needs the worker's login and no tenant."""
    parameters = {"now": now, "every": every, "limit": MAX_DUE_PARTNERS, "mode": mode}
    return [row.id for row in await tx.execute(_DUE_PARTNERS, parameters)]


async def page_at_rest(tx: Transaction, tenant_id: UUID, run: Run, limit: int) -> list[Payment]:
    """The next payments that could differ, in the order of their ids: AUTHORIZED ones, and those that carry a flag."""
    until = time_ordered_uuid(run.started_at, (1 << 74) - 1)  # the last id that there can be at the start
    parameters = {"tenant_id": tenant_id, "after": run.place.id if run.place else _NEVER, "until": until, "limit": limit}
    return [payment_of(row) for row in await tx.execute(_AT_REST, parameters)]


async def page_of_recent(tx: Transaction, tenant_id: UUID, run: Run, limit: int) -> list[ClosedOperation]:
    """The next operations that were closed in the time that the run looks back to, in the order of their closing."""
    parameters = {
        "tenant_id": tenant_id,
        "since": run.since,
        "until": run.started_at,
        "after_at": run.place.at if run.place else None,
        "after_id": run.place.id if run.place else None,
        "limit": limit,
    }
    return [
        ClosedOperation(row.id, row.payment_id, Verb(row.verb), row.closed_at, from_document(row.receipt))
        for row in await tx.execute(_RECENT, parameters)
    ]


async def insert_report_lines(tx: Transaction, tenant_id: UUID, lines: Sequence[ReportLine]) -> None:
    """Append to a run's report. A payment has each kind of discrepancy once in a run: ask `reported_kinds` before."""
    await tx.execute(
        _REPORT,
        {
            "tenant_id": tenant_id,
            "run_id": [line.run_id for line in lines],
            "payment_id": [line.payment_id for line in lines],
            "kind": [line.discrepancy.kind.value for line in lines],
            "done": [line.remedy.value for line in lines],
            "ours": [line.discrepancy.ours for line in lines],
            "the_banks": [line.discrepancy.the_banks for line in lines],
            "found_at": [line.found_at for line in lines],
        },
    )


async def reported_kinds(
    tx: Transaction, tenant_id: UUID, run: Run, payment_ids: Sequence[UUID]
) -> set[tuple[UUID, DiscrepancyKind]]:
    """What this run's report says of these payments already."""
    parameters = {"tenant_id": tenant_id, "run_id": run.id, "payment_ids": list(payment_ids)}
    return {(row.payment_id, DiscrepancyKind(row.kind)) for row in await tx.execute(_REPORTED, parameters)}


async def forget_reports(tx: Transaction, tenant_id: UUID, *, before: datetime, limit: int) -> int:
    """Delete reports of runs that began before then, at most `limit` rows. Returns how many; 0: none are left."""
    parameters = {"tenant_id": tenant_id, "before": before, "limit": limit}
    lines = (await tx.execute(_FORGET_LINES, parameters)).rowcount
    return lines or (await tx.execute(_FORGET_RUNS, parameters)).rowcount
