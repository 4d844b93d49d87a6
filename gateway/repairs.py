"""What a compared page leads to, in one transaction: repairs, flags, the report, the audit log, and how far the run is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.attempt import Attempt, Resolution
from domain.audit import RECONCILIATION, ActorKind, AuditEntry
from domain.discrepancy import MAX_REPAIRS_OF_RUN, Discrepancy, DiscrepancyKind, Remedy, Treatment, treat
from domain.failpoint import Failpoint
from domain.payment import Payment
from domain.reconciliation import Counts, Place, ReportLine, Run
from gateway.changes import Change, record_changes, release
from gateway.comparing import Compared
from gateway.parts import Parts
from persistence.attempts import Closing, close_attempts, open_attempts_of
from persistence.database import Transaction
from persistence.payments import lock_payments
from persistence.reconciliations import hold_run, insert_report_lines, reported_kinds, save_run


@dataclass(slots=True)
class _Page:
    """What is known of a page's discrepancies under lock, and what is to be written of it."""

    now: datetime
    locked: dict[UUID, Payment]
    under_way: dict[UUID, Attempt]
    reported: set[tuple[UUID, DiscrepancyKind]]
    counts: Counts = field(default_factory=Counts)
    unanswered: list[datetime] = field(default_factory=list)  # when what is unanswered was closed
    lines: list[ReportLine] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)
    changes: dict[UUID, Change] = field(default_factory=dict)
    releases: list[Payment] = field(default_factory=list)
    settled: list[UUID] = field(default_factory=list)


async def record_page(
    parts: Parts, tenant_id: UUID, run: Run, compared: Sequence[Compared], last: Place | None, repair_limit_minor: int
) -> Run | None:
    """Write a page that ended at `last` (None: its phase is over). The run as it is then; None: its lease was lost, nothing is done.

    A payment that is no longer as it was when the bank was asked is left alone: the next run looks at it again.
    """
    await parts.world.reach(Failpoint.RECONCILIATION_PAGE_COMPARED)
    async with parts.database.tenant(tenant_id) as tx:
        if not await hold_run(tx, tenant_id, run):
            return None
        page = await _lock(parts, tx, tenant_id, run, compared)
        for each in compared:
            await _write(parts, tx, tenant_id, run, page, each, repair_limit_minor)
        after = run.past_page(last, page.counts, min(page.unanswered, default=None), page.now)
        if page.lines:
            await insert_report_lines(tx, tenant_id, page.lines)
        await save_run(tx, tenant_id, after)
        await release(parts, tx, tenant_id, page.releases)
        await record_changes(parts, tx, tenant_id, list(page.changes.values()), page.entries)
    await parts.world.reach(Failpoint.RECONCILIATION_PAGE_COMMITTED)
    parts.wakeups.announce(page.settled)
    return after


async def _lock(parts: Parts, tx: Transaction, tenant_id: UUID, run: Run, compared: Sequence[Compared]) -> _Page:
    ids = sorted({each.payment.id for each in compared if each.found is not None})
    page = _Page(parts.world.now(), {}, {}, set())
    if ids:
        page.locked = await lock_payments(tx, tenant_id, ids)
        page.under_way = await open_attempts_of(tx, tenant_id, ids)
        page.reported = await reported_kinds(tx, tenant_id, run, ids)
    return page


async def _write(
    parts: Parts, tx: Transaction, tenant_id: UUID, run: Run, page: _Page, compared: Compared, repair_limit_minor: int
) -> None:
    found, payment_id = compared.found, compared.payment.id
    if found is None and compared.is_answered:
        page.counts += Counts(agreed=1)
        return
    if found is None or not _is_as_it_was(page, compared):
        _leave(page, compared)
        return
    if (payment_id, found.kind) in page.reported:
        return  # a closed operation and the payment at rest told the same: counted once
    before = page.changes[payment_id].after if payment_id in page.changes else compared.payment
    repairs_left = MAX_REPAIRS_OF_RUN - run.counts.repaired - page.counts.repaired
    treatment = treat(before, compared.verb, found, page.now, repairs_left=repairs_left, repair_limit_minor=repair_limit_minor)
    if treatment.remedy is Remedy.REPAIRED:
        if compared.resting is not None and not await _settle(tx, tenant_id, page, compared.resting, treatment.after):
            _leave(page, compared)
            return
        if found.kind is DiscrepancyKind.HOLD_NOT_RELEASED:
            page.releases.append(treatment.after)
    _note(parts, run, page, compared, found, before, treatment)


def _is_as_it_was(page: _Page, compared: Compared) -> bool:
    """Whether nothing has happened to the payment since the bank was asked, and nothing is happening to it."""
    payment_id = compared.payment.id
    return page.locked[payment_id] == compared.payment and page.under_way.get(payment_id) == compared.resting


def _leave(page: _Page, compared: Compared) -> None:
    page.counts += Counts(unanswered=1)
    if compared.closed_at is not None:
        page.unanswered.append(compared.closed_at)


async def _settle(tx: Transaction, tenant_id: UUID, page: _Page, resting: Attempt, payment: Payment) -> bool:
    """Close an attempt that nobody holds; False when somebody has taken it in this moment."""
    closing = Closing(resting.id, resting.lease_token, Resolution(payment))
    closed = await close_attempts(tx, tenant_id, [closing], page.now)
    page.settled += closed
    return bool(closed)


def _note(
    parts: Parts, run: Run, page: _Page, compared: Compared, found: Discrepancy, before: Payment, treatment: Treatment
) -> None:
    """The line of the report; and where something is done, the change of the payment and its entry in the audit log."""
    after, is_repaired = treatment.after, treatment.remedy is Remedy.REPAIRED
    page.counts += Counts(repaired=1) if is_repaired else Counts(flagged=1)
    page.reported.add((before.id, found.kind))
    page.lines.append(ReportLine(run.id, before.id, found, treatment.remedy, page.now))
    if is_repaired or after != before:
        page.entries.append(
            AuditEntry(
                id=parts.world.new_uuid(),
                at=page.now,
                kind=ActorKind.RECONCILIATION,
                actor=RECONCILIATION,
                action="payment.reconciled" if is_repaired else "payment.flagged",
                payment_id=before.id,
                note=f"{found.kind.value}: ours is {found.ours}; the bank's is {found.the_banks}",
                before=before,
                after=after,
            )
        )
    if after != before:
        key = compared.resting.idempotency_key if compared.resting else None
        page.changes[before.id] = Change(page.locked[before.id], after, key)
