"""Events: what happened, one gapless sequence for each partner."""

from datetime import datetime

import strawberry

from domain.event import EventType, LoggedEvent, Subject
from domain.ids import IdKind, encode_id
from domain.payment import PaymentState
from schema.connection import PageInfo
from schema.node import Node
from schema.payment import Payment, payment_of
from schema.scalars import MinorUnits


@strawberry.type(description="The request that caused an event.")
class EventRequest:
    idempotency_key: str = strawberry.field(description="The key that it came with.")


@strawberry.type(
    description="Something that happened to a payment or to another thing of yours. Its id is where `events` and "
    "`transactionEvents` go on behind it."
)
class TransactionEvent(Node):
    sequence: MinorUnits = strawberry.field(
        description="Its place among your events: 1, 2, 3 … without a gap, in the order of happening."
    )
    type: EventType = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When.")
    subject_id: strawberry.ID = strawberry.field(
        description="The id of what it happened to: a payment, a card, a user or what else it was."
    )
    payment: Payment | None = strawberry.field(
        description="A payment as it was right after it; null when it happened to something else. What is under way is of now only: "
        "its `pendingOperation` is null here."
    )
    previous_state: PaymentState | None = strawberry.field(
        description="Where the payment stood before; null when it is new, and when it happened to something else."
    )
    request: EventRequest | None = strawberry.field(
        description="What asked for it; null when nobody did, as for a hold that ran out."
    )


@strawberry.type(description="An event and its place in the list.")
class EventEdge:
    cursor: str = strawberry.field(description="The event's id: give it as `after`, here or to `transactionEvents`.")
    node: TransactionEvent = strawberry.field(description="The event.")


@strawberry.type(description="A page of events, oldest first.")
class EventConnection:
    edges: list[EventEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[TransactionEvent]:
        return [edge.node for edge in self.edges]


def event_of(logged: LoggedEvent) -> TransactionEvent:
    """An event as the schema shows it."""
    event = logged.event
    kind, about = (event.about.kind, event.about) if isinstance(event.about, Subject) else (IdKind.PAYMENT, event.about)
    return TransactionEvent(
        id=strawberry.ID(encode_id(IdKind.EVENT, event.id)),
        sequence=MinorUnits(logged.sequence),
        type=event.type,
        occurred_at=event.occurred_at,
        subject_id=strawberry.ID(encode_id(kind, about.id)),
        payment=payment_of(event.payment, None) if event.payment else None,
        previous_state=PaymentState(event.previous_state) if event.payment and event.previous_state else None,
        request=None if event.idempotency_key is None else EventRequest(idempotency_key=event.idempotency_key),
    )
