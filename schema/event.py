"""Events: what happened, one gapless sequence for each partner."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain.card_document import card_from_document
from domain.event import EventType, LoggedEvent, Subject
from domain.ids import IdKind, encode_id
from domain.payment import PaymentState
from domain.stored_card import Card as DomainCard
from domain.stored_card import CardState
from schema.below import Info
from schema.card import Card, card_of
from schema.connection import PageInfo
from schema.node import Node
from schema.payment import Payment, payment_of
from schema.scalars import MinorUnits
from schema.user import User


@strawberry.type(description="The request that caused an event.")
class EventRequest:
    idempotency_key: str = strawberry.field(description="The key that it came with.")


@strawberry.type(
    description="Something that happened to a payment or to another thing of yours. Its id is where `events` and "
    "`transactionEvents` go on behind it."
)
class TransactionEvent(Node):
    about_user: strawberry.Private[UUID | None]
    about_card: strawberry.Private[DomainCard | None]
    card_before: strawberry.Private[CardState | None]

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

    @strawberry.field(
        description="The user whom it happened to, or to whose card, as they are now: an event keeps nothing of a person. Null when it "
        "happened to something else, and for a key without the scope `users:read`."
    )
    async def user(self, info: Info) -> User | None:
        return None if self.about_user is None else await info.context.below.user_of_event(self.about_user)

    @strawberry.field(
        description="A stored card as it was right after it; what is loaded with it, its user and its history, is of now. Null when it "
        "happened to something else, and for a key without the scope `cards:read`."
    )
    def card(self, info: Info) -> Card | None:
        return card_of(self.about_card) if self.about_card and info.context.below.shows_cards else None

    @strawberry.field(
        description="Where the card stood before; null when it is new, when it happened to something else, and for a key without the "
        "scope `cards:read`."
    )
    def previous_card_state(self, info: Info) -> CardState | None:
        return self.card_before if info.context.below.shows_cards else None


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
    """An event as the schema shows it, the same to all who read it: what a reader may not see is withheld field by field."""
    event = logged.event
    kind, about = (event.about.kind, event.about) if isinstance(event.about, Subject) else (IdKind.PAYMENT, event.about)
    card = card_from_document(about.document) if isinstance(about, Subject) and kind is IdKind.CARD else None
    return TransactionEvent(
        about_user=card.user_id if card else about.id if kind is IdKind.USER else None,
        about_card=card,
        card_before=CardState(event.previous_state) if card and event.previous_state else None,
        id=strawberry.ID(encode_id(IdKind.EVENT, event.id)),
        sequence=MinorUnits(logged.sequence),
        type=event.type,
        occurred_at=event.occurred_at,
        subject_id=strawberry.ID(encode_id(kind, about.id)),
        payment=payment_of(event.payment, None) if event.payment else None,
        previous_state=PaymentState(event.previous_state) if event.payment and event.previous_state else None,
        request=None if event.idempotency_key is None else EventRequest(idempotency_key=event.idempotency_key),
    )
