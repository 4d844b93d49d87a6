"""Events: what happened, in the past tense. A partner's events, whatever they are about, form one gapless sequence.

The log is kept when personal data is erased, and everybody who may read events reads all of it. So an event tells of a user only which
one it is, and nothing secret of anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.ids import IdKind
from domain.payment import Payment, PaymentState


class EventType(StrEnum):
    """What happened."""

    PAYMENT_CREATED = "payment.created"
    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_CAPTURED = "payment.captured"
    PAYMENT_VOIDED = "payment.voided"
    PAYMENT_REFUNDED = "payment.refunded"
    PAYMENT_EXPIRED = "payment.expired"
    USER_CREATED = "user.created"
    USER_UPDATED = "user.updated"
    USER_DEACTIVATED = "user.deactivated"
    USER_REACTIVATED = "user.reactivated"
    USER_ERASED = "user.erased"
    CARD_ADDED = "card.added"
    CARD_ISSUED = "card.issued"
    CARD_ACTIVATED = "card.activated"
    CARD_FROZEN = "card.frozen"
    CARD_UNFROZEN = "card.unfrozen"
    CARD_CLOSED = "card.closed"
    CARD_RENEWED = "card.renewed"
    CARD_LIMITS_CHANGED = "card.limits_changed"
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    WEBHOOK_ENDPOINT_CREATED = "webhook_endpoint.created"
    WEBHOOK_ENDPOINT_UPDATED = "webhook_endpoint.updated"
    WEBHOOK_ENDPOINT_FAILING = "webhook_endpoint.failing"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    WEBHOOK_ENDPOINT_DELETED = "webhook_endpoint.deleted"


EVENT_OF: Mapping[PaymentState, EventType] = {  # each state, and the event of having reached it
    PaymentState.PENDING: EventType.PAYMENT_CREATED,
    PaymentState.AUTHORIZED: EventType.PAYMENT_AUTHORIZED,
    PaymentState.DECLINED: EventType.PAYMENT_DECLINED,
    PaymentState.CAPTURED: EventType.PAYMENT_CAPTURED,
    PaymentState.VOIDED: EventType.PAYMENT_VOIDED,
    PaymentState.REFUNDED: EventType.PAYMENT_REFUNDED,
    PaymentState.EXPIRED: EventType.PAYMENT_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about that is no payment's: which thing, and as plain JSON what is told of it. Nothing secret, nothing personal."""

    kind: IdKind
    id: UUID
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: to a payment, with the payment as it was right after it, or to something else."""

    id: UUID
    type: EventType
    occurred_at: datetime
    about: Payment | Subject
    previous_state: str | None  # of the payment, or of what else has states; None: it is new, or has none
    idempotency_key: str | None

    @property
    def payment(self) -> Payment | None:
        """The payment that it is about."""
        return self.about if isinstance(self.about, Payment) else None

    @property
    def subject(self) -> Subject | None:
        """What it is about, if that is no payment."""
        return self.about if isinstance(self.about, Subject) else None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event at its place in the partner's sequence, which counts 1, 2, 3 … without a gap, in the order of the commits."""

    sequence: int
    event: Event


def event_of(event_id: UUID, previous: PaymentState | None, payment: Payment, idempotency_key: str | None) -> Event:
    """The event of a payment that came from `previous` (None: it is new) into its present state."""
    return Event(event_id, EVENT_OF[payment.state], payment.reached[payment.state], payment, previous, idempotency_key)
