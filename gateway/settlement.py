"""Settling a payment by an operator's word: in one transaction what changes, an entry in the audit log, and the event of a new state.

An open attempt is closed as everybody closes it: by the holder of its lease. A driver that wakes up after that is fenced out.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.attempt import Attempt, Resolution
from domain.audit import AuditEntry
from domain.failpoint import Failpoint
from domain.ids import IdKind, encode_id
from domain.payment import Payment
from domain.settlement import (
    AskAgain,
    ConfirmDone,
    LearnReference,
    NotSettled,
    Settled,
    Settlement,
    action_of,
    fitting,
    is_about_the_attempt,
    settle,
)
from gateway.attempts import lease_end
from gateway.changes import Change, own_attempt, record_changes
from gateway.interpretation import refusal_sentence
from gateway.parts import Desk
from persistence.attempts import GIVEN_BACK, Closing, Renewal, close_attempts, open_attempts_of, open_operations, renew_leases
from persistence.database import Transaction
from persistence.payments import lock_payments
from persistence.reviews import payment_with_reference


@dataclass(frozen=True, slots=True)
class Word:
    """What an operator says of a payment, who says it, and why."""

    settlement: Settlement
    actor: str
    note: str


@dataclass(frozen=True, slots=True)
class Written:
    """The payment before and after an operator's word."""

    before: Payment
    after: Payment


@dataclass(frozen=True, slots=True)
class Unfit:
    """The word does not fit the payment: why, and what would fit it as it stands."""

    message: str
    instead: tuple[Settlement, ...] = ()


@dataclass(frozen=True, slots=True)
class BeingAsked:
    """Somebody is asking the bank at this moment, until `until` at the latest unless they ask once more."""

    until: datetime


Answer = Written | Unfit | BeingAsked | None  # None: the partner has no such payment


class _TakenBack(Exception):
    """Rolls back a transaction that was only to show what it would do."""


async def settle_payment(desk: Desk, tenant_id: UUID, payment_id: UUID, word: Word, *, dry_run: bool = False) -> Answer:
    """Write an operator's word; with `dry_run` do all of it and take it back."""
    # Before the payment is locked, for it is a scan. Two who enter one reference at the same moment are not worth a lock.
    taken = await _taken_reference(desk, tenant_id, payment_id, word.settlement)
    if taken is not None:
        return taken
    closed: list[UUID] = []
    try:
        async with desk.database.tenant(tenant_id) as tx:
            answer = await _settle(desk, tx, tenant_id, payment_id, word, closed)
            if dry_run:
                raise _TakenBack
            if isinstance(answer, Written):
                await desk.world.reach(Failpoint.SETTLEMENT_WRITTEN)
    except _TakenBack:
        return answer
    desk.wakeups.announce(closed)
    return answer


async def _settle(desk: Desk, tx: Transaction, tenant_id: UUID, payment_id: UUID, word: Word, closed: list[UUID]) -> Answer:
    now = desk.world.now()
    payment = (await lock_payments(tx, tenant_id, [payment_id])).get(payment_id)
    if payment is None:
        return None
    found = (await open_attempts_of(tx, tenant_id, [payment_id])).get(payment_id)
    attempt = found
    if found is not None and is_about_the_attempt(word.settlement):
        if _is_driven(found, now):
            return BeingAsked(found.lease_until)
        attempt = _taken_over(desk, found, word.settlement, now)
    settled = settle(payment, attempt, word.settlement, now)
    if isinstance(settled, NotSettled):
        return Unfit(settled.message, tuple(fitting(payment, found, now)))
    if found is not None and attempt is not None and not await _take_over(tx, tenant_id, found, attempt):
        return BeingAsked(lease_end(now))  # a worker was quicker by a moment
    if settled.outcome is not None:
        closing = attempt or await _on_record(desk, tx, tenant_id, payment, word.settlement)
        closed += await _close(tx, tenant_id, closing, settled, now)
    entry = AuditEntry(
        id=desk.world.new_uuid(),
        at=now,
        actor=word.actor,
        action=action_of(word.settlement),
        payment_id=payment_id,
        note=word.note,
        before=payment,
        after=settled.after,
    )
    key = attempt.idempotency_key if attempt is not None and closed else None
    await record_changes(desk, tx, tenant_id, [Change(payment, settled.after, key)], [entry])
    return Written(payment, settled.after)


def _is_driven(attempt: Attempt, now: datetime) -> bool:
    return attempt.lease_token != GIVEN_BACK and attempt.lease_until > now


def _taken_over(desk: Desk, attempt: Attempt, settlement: Settlement, now: datetime) -> Attempt:
    """The attempt as it is once its lease is ours; or, to be asked again, once it is given back to whoever comes first."""
    died = attempt.lease_token != GIVEN_BACK  # in the middle of a try, as recovery takes it too
    again = isinstance(settlement, AskAgain)
    return replace(
        attempt,
        lease_token=GIVEN_BACK if again else desk.world.new_uuid(),
        lease_until=now if again else lease_end(now),
        unanswered=attempt.unanswered + int(died),
    )


async def _take_over(tx: Transaction, tenant_id: UUID, before: Attempt, after: Attempt) -> bool:
    """False when somebody has taken it since it was read. Where the word is not about the attempt, there is nothing to take."""
    if after is before:
        return True
    unanswered = after.unanswered - before.unanswered
    renewal = Renewal(before.id, before.lease_token, after.lease_token, after.lease_until, tries=0, unanswered=unanswered)
    return bool(await renew_leases(tx, tenant_id, [renewal]))


async def _on_record(desk: Desk, tx: Transaction, tenant_id: UUID, payment: Payment, settlement: Settlement) -> Attempt:
    """An attempt for what the bank did without one of ours: every state that a payment has reached is explained by one."""
    assert isinstance(settlement, ConfirmDone), "nothing else has an outcome without an attempt"
    attempt = own_attempt(desk, payment, settlement.verb)
    opened = await open_operations(tx, tenant_id, [attempt])
    assert opened, "the payment is locked, and nothing is under way for it"
    return attempt


async def _close(tx: Transaction, tenant_id: UUID, attempt: Attempt, settled: Settled, now: datetime) -> set[UUID]:
    assert settled.outcome is not None, "an attempt ends with an outcome"
    resolution = Resolution(settled.after, refusal_sentence(attempt.verb, settled.after, settled.outcome))
    closed = await close_attempts(tx, tenant_id, [Closing(attempt.id, attempt.lease_token, resolution)], now)
    assert closed, "its lease was taken in this transaction"
    return closed


async def _taken_reference(desk: Desk, tenant_id: UUID, payment_id: UUID, settlement: Settlement) -> Unfit | None:
    """Whether another payment has this reference. A copy of the wrong line would capture or refund somebody else's money."""
    if not isinstance(settlement, LearnReference | ConfirmDone):
        return None
    async with desk.database.tenant(tenant_id) as tx:
        owner = await payment_with_reference(tx, tenant_id, settlement.verb, settlement.reference)
    if owner is None or owner == payment_id:
        return None
    return Unfit(f"Another payment, {encode_id(IdKind.PAYMENT, owner)}, has this reference. Look again at the bank's line.")
