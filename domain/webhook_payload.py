"""What is sent: the envelope of Standard Webhooks (`type`, `timestamp`, `data`), and what is in it when no document shapes it.

The default is what `transactionEvents` answers when it is asked for everything that an event has of its own; a test compares the two.
It is written by hand because it is sent thousands of times a second.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.event import Event, LoggedEvent, Subject
from domain.ids import IdKind, encode_id
from domain.payment import Payment
from domain.webhook import TEST_TYPE

DEFAULT_SHAPE = """subscription {
  transactionEvents {
    id sequence type occurredAt subjectId previousState
    request { idempotencyKey }
    payment {
      id reference orderId customerId state createdAt needsReview reviewReasons
      amount { minorUnits currency formatted }
      card { brand lastFour }
      history { state at }
      bankReferences { authorization capture void refund }
      decline { code message }
    }
  }
}"""


def envelope(event_type: str, at: datetime, data: Mapping[str, Any] | None) -> dict[str, Any]:
    """A message's body: `type` is the event's name with a dot, `timestamp` when it happened."""
    return {"type": event_type, "timestamp": show_time(at), "data": data}


def default_data(logged: LoggedEvent) -> dict[str, Any]:
    """All that an event has, in the names and spellings of the GraphQL schema."""
    event = logged.event
    kind, about = (event.about.kind, event.about) if isinstance(event.about, Subject) else (IdKind.PAYMENT, event.about)
    return {
        "id": encode_id(IdKind.EVENT, event.id),
        "sequence": logged.sequence,
        "type": event.type.name,
        "occurredAt": show_time(event.occurred_at),
        "subjectId": encode_id(kind, about.id),
        "previousState": event.previous_state if event.payment else None,
        "request": {"idempotencyKey": event.idempotency_key} if event.idempotency_key is not None else None,
        "payment": _payment(event),
    }


def test_message(endpoint_id: str, at: datetime) -> dict[str, Any]:
    """The body of a test event: nothing in it can be taken for something that happened."""
    return envelope(TEST_TYPE, at, {"webhookEndpointId": endpoint_id, "message": "This is a test. Nothing has happened."})


def show_time(at: datetime) -> str:
    """RFC 3339 in UTC with a Z, as the schema's DateTime."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _payment(event: Event) -> dict[str, Any] | None:
    payment: Payment | None = event.payment
    if payment is None:
        return None
    return {
        "id": encode_id(IdKind.PAYMENT, payment.id),
        "reference": payment.reference,
        "orderId": payment.order_id,
        "customerId": payment.customer_id,
        "state": payment.state.value,
        "createdAt": show_time(payment.created_at),
        "needsReview": bool(payment.review_reasons),
        "reviewReasons": sorted(payment.review_reasons),
        "amount": {
            "minorUnits": payment.amount.minor_units,
            "currency": payment.amount.currency,
            "formatted": payment.amount.formatted,
        },
        "card": {"brand": payment.card.brand.value, "lastFour": payment.card.last_four},
        "history": [{"state": state.value, "at": show_time(at)} for state, at in payment.history],
        "bankReferences": {
            "authorization": payment.bank.authorization,
            "capture": payment.bank.capture,
            "void": payment.bank.void,
            "refund": payment.bank.refund,
        },
        "decline": {"code": payment.decline.code.value, "message": payment.decline.message} if payment.decline else None,
    }
