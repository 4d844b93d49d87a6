"""Dossiers: one payment with its attempts, its events, what reconciliation said of it and what operators did."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.dossier import AttemptLine, Dossier, EventLine
from domain.event import EventType
from domain.payment import PaymentState, Verb
from persistence.attempts import GIVEN_BACK, open_attempts_of
from persistence.audit import newest_entries
from persistence.database import Transaction
from persistence.payments import get_payments
from persistence.reports import lines_of_payment

MAX_LINES = 200  # of each list, the newest ones: a payment has a handful, unless a partner's program asks in a loop

_ATTEMPTS = text("""
    select id, verb, fingerprint = '' as is_ours, idempotency_key, opened_at, closed_at, tries, unanswered, lease_until,
           lease_token <> :given_back as is_held, resolution #>> '{payment,state}' as state, resolution ->> 'refusal' as refusal
    from attempts where tenant_id = :tenant_id and payment_id = :payment_id order by id desc limit :limit
""")
_EVENTS = text("""
    select sequence, type, occurred_at, previous_state from events
    where tenant_id = :tenant_id and payment_id = :payment_id order by sequence desc limit :limit
""")


async def get_dossier(tx: Transaction, tenant_id: UUID, payment_id: UUID) -> Dossier | None:
    """Everything on record of a payment, or None where the partner has no such payment. Best in a transaction of one moment."""
    payment = (await get_payments(tx, tenant_id, [payment_id])).get(payment_id)
    if payment is None:
        return None
    given = {"tenant_id": tenant_id, "payment_id": payment_id, "limit": MAX_LINES}
    attempts = (await tx.execute(_ATTEMPTS, given | {"given_back": GIVEN_BACK})).all()
    events = (await tx.execute(_EVENTS, given)).all()
    return Dossier(
        tenant_id=tenant_id,
        payment=payment,
        attempt=(await open_attempts_of(tx, tenant_id, [payment_id])).get(payment_id),
        attempts=tuple(_attempt(row) for row in reversed(attempts)),
        events=tuple(_event(row) for row in reversed(events)),
        discrepancies=tuple(await lines_of_payment(tx, tenant_id, payment_id, limit=MAX_LINES))[::-1],
        entries=tuple(await newest_entries(tx, tenant_id, payment_id=payment_id, limit=MAX_LINES))[::-1],
    )


def _attempt(row: Row[Any]) -> AttemptLine:
    return AttemptLine(
        id=row.id,
        verb=Verb(row.verb),
        is_ours=row.is_ours,
        idempotency_key=row.idempotency_key,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        tries=row.tries,
        unanswered=row.unanswered,
        lease_until=row.lease_until,
        is_held=row.is_held,
        state=PaymentState(row.state) if row.state else None,
        refusal=row.refusal,
    )


def _event(row: Row[Any]) -> EventLine:
    previous = PaymentState(row.previous_state) if row.previous_state else None
    return EventLine(row.sequence, EventType(row.type), row.occurred_at, previous)
