"""All that is on record of one payment, for an operator who looks into it. Nothing of it is secret."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.attempt import Attempt
from domain.audit import AuditEntry
from domain.event import EventType
from domain.ids import IdKind, encode_id
from domain.payment import Payment, PaymentState, Verb
from domain.reconciliation import ReportLine


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """What was asked of the bank, how often, for whom, and what came of it."""

    id: UUID
    verb: Verb
    is_ours: bool  # not a partner's request: the release of an expired hold, or what an operator told of
    idempotency_key: str | None  # None: ours, or forgotten after its time
    opened_at: datetime
    closed_at: datetime | None
    tries: int
    unanswered: int
    lease_until: datetime
    is_held: bool  # somebody has the lease; otherwise it rests until then
    state: PaymentState | None  # of the payment right after it closed
    refusal: str | None

    @property
    def bank_key(self) -> str:
        """The Idempotency-Key at the bank: what to name there."""
        return encode_id(IdKind.ATTEMPT, self.id)


@dataclass(frozen=True, slots=True)
class EventLine:
    """A state change, as the partner's log of events has it."""

    sequence: int
    type: EventType
    occurred_at: datetime
    previous_state: PaymentState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """At one moment; every list is oldest first."""

    tenant_id: UUID
    payment: Payment
    attempt: Attempt | None  # the open one
    attempts: tuple[AttemptLine, ...]
    events: tuple[EventLine, ...]
    discrepancies: tuple[ReportLine, ...]
    entries: tuple[AuditEntry, ...]
