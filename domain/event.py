"""Events: what happened to a payment, in the past tense. A partner's events form one gapless sequence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

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
class Event:
    """One state change, with the payment as it was right after it."""

    id: UUID
    type: EventType
    occurred_at: datetime
    payment: Payment
    previous_state: PaymentState | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event at its place in the partner's sequence, which counts 1, 2, 3 … without a gap, in the order of the commits."""

    sequence: int
    event: Event


def event_of(event_id: UUID, previous: PaymentState | None, payment: Payment, idempotency_key: str | None) -> Event:
    """The event of a payment that came from `previous` (None: it is new) into its present state."""
    return Event(event_id, EVENT_OF[payment.state], payment.reached[payment.state], payment, previous, idempotency_key)
