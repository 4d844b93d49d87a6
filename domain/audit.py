"""The audit log: who, other than a partner's own request, changed what is known of a payment, when, and why."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.payment import Payment

RECONCILIATION = "reconciliation"  # the actor of what no person did
MAX_ACTOR_LENGTH = 255  # as the table has it
MAX_NOTE_LENGTH = 1000  # as the table has it: a note says why, a ticket holds the correspondence


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing done to a payment. `before` and `after` are its receipts, which hold nothing secret; alike where only something
    about it was done.
    """

    id: UUID
    at: datetime
    actor: str
    action: str  # in the past tense, as events are: `payment.reference_settled`
    payment_id: UUID | None
    note: str
    before: Payment | None = None
    after: Payment | None = None
