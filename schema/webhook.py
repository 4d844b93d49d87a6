"""Webhooks: endpoints, deliveries and their attempts, and what changing them answers. A secret is shown once."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import strawberry

from domain import webhook as domain
from domain.event import EventType
from domain.ids import IdKind, encode_id
from domain.webhook_health import MAX_TRIPS, circuit
from schema.connection import PageInfo
from schema.errors import (
    ApiKeyNotUsableError,
    IdempotencyMismatchError,
    InsufficientScopeError,
    InvalidInputError,
    LimitReachedError,
    NotFoundError,
    WebhookEndpointDisabledError,
)
from schema.event import TransactionEvent
from schema.inputs import After, First
from schema.node import Node
from schema.scalars import Count
from schema.webhook_enums import Circuit, DeadWhy, DeliveryState, DisabledWhy, Failure

_SHOWN_ONCE = (
    "The secret that messages are signed with, `whsec_…`. Shown this once: on a replay it is null, for we keep it sealed. Whoever lost "
    "the answer rotates it."
)
_REPLAYED = "Whether this answers a request that was made before with the same key."


@strawberry.type(description="How an endpoint is doing: its circuit breaker.")
class WebhookHealth:
    circuit: Circuit = strawberry.field(description="Whether it is called.")
    trips: int = strawberry.field(
        description="How often in a row the breaker has opened. At `disabledAtTrips` the endpoint is disabled."
    )
    disabled_at_trips: int = strawberry.field(description="How many trips in a row disable an endpoint.")
    open_until: datetime | None = strawberry.field(
        description="Until when deliveries wait; then one of them tries. Null while the circuit is closed."
    )


@strawberry.type(description="One try to deliver.")
class WebhookAttempt:
    number: int = strawberry.field(description="1, 2, 3 … over all replays.")
    at: datetime = strawberry.field(description="When it was sent.")
    status: int | None = strawberry.field(description="The answer's HTTP status; null where there was no answer.")
    failure: Failure | None = strawberry.field(description="What went wrong; null for a success.")
    duration_ms: int = strawberry.field(description="How long it took, in milliseconds.")
    answer_start: str = strawberry.field(description="The beginning of what the receiver said, as text in one line.")


@strawberry.type(description="One event on its way to one endpoint.")
class WebhookDelivery(Node):
    load_event: strawberry.Private[Callable[[], Awaitable[TransactionEvent | None]]]

    webhook_endpoint_id: strawberry.ID = strawberry.field(description="Where it goes.")
    message_id: str = strawberry.field(description="`webhook-id`: the same on every attempt and after every replay.")
    type: EventType | None = strawberry.field(description="The event's type; null for a test.")
    state: DeliveryState = strawberry.field(description="Where it stands.")
    dead_reason: DeadWhy | None = strawberry.field(description="Why it is DEAD; null unless it is.")
    created_at: datetime = strawberry.field(description="When its event happened, to the millisecond.")
    next_attempt_at: datetime | None = strawberry.field(
        description="When it is tried next, unless the endpoint's circuit is open; null when it has ended."
    )
    ended_at: datetime | None = strawberry.field(description="When it was delivered or given up; null while it is PENDING.")
    attempt_count: int = strawberry.field(description="How often it was tried, over all replays.")
    attempts: list[WebhookAttempt] = strawberry.field(description="The newest 50 attempts, oldest first.")

    @strawberry.field(
        description="What it tells of; null for a test, and when the event has left the log. Needs the scope `events:read`."
    )
    async def event(self) -> TransactionEvent | None:
        return await self.load_event()


@strawberry.type(description="A delivery and its place in the list.")
class WebhookDeliveryEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after`.")
    node: WebhookDelivery = strawberry.field(description="The delivery.")


@strawberry.type(description="A page of deliveries, newest first. They are kept for 30 days.")
class WebhookDeliveryConnection:
    edges: list[WebhookDeliveryEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[WebhookDelivery]:
        return [edge.node for edge in self.edges]


LoadDeliveries = Callable[[int | None, str | None], Awaitable[WebhookDeliveryConnection]]


@strawberry.type(description="Where events are sent to. Its secret is not shown.")
class WebhookEndpoint(Node):
    load_deliveries: strawberry.Private[LoadDeliveries]

    url: str = strawberry.field(description="Where to; empty when it was deleted.")
    description: str = strawberry.field(description="What you call it; may be empty.")
    types: list[EventType] | None = strawberry.field(description="Which events it gets; null: all.")
    document: str | None = strawberry.field(
        description="The GraphQL document that shapes what is sent; null: the default payload."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When you changed it last.")
    saved_by: strawberry.ID = strawberry.field(
        description="The API key that changed it last; `document` shows what that key might see."
    )
    disabled_at: datetime | None = strawberry.field(description="Since when it gets nothing; null: it is enabled.")
    disabled_reason: DisabledWhy | None = strawberry.field(description="Why it is disabled; null unless it is.")
    previous_secret_until: datetime | None = strawberry.field(
        description="Until when messages are signed with the secret before, too; null without a rotation."
    )
    health: WebhookHealth = strawberry.field(description="How it is doing.")

    @strawberry.field(description="What was and is to be delivered there, newest first.")
    async def deliveries(self, first: First = strawberry.UNSET, after: After = strawberry.UNSET) -> WebhookDeliveryConnection:
        return await self.load_deliveries(first, after)


@strawberry.type(description="An endpoint and its place in the list.")
class WebhookEndpointEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after`.")
    node: WebhookEndpoint = strawberry.field(description="The endpoint.")


@strawberry.type(description="A page of endpoints, newest first.")
class WebhookEndpointConnection:
    edges: list[WebhookEndpointEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[WebhookEndpoint]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="The endpoint that was made.")
class CreateWebhookEndpointPayload:
    webhook_endpoint: WebhookEndpoint = strawberry.field(description="As it was when it was made.")
    secret: str | None = strawberry.field(description=_SHOWN_ONCE)
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="The endpoint after the change.")
class UpdateWebhookEndpointPayload:
    webhook_endpoint: WebhookEndpoint = strawberry.field(description="As it was right after the change.")
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="The endpoint that was deleted.")
class DeleteWebhookEndpointPayload:
    webhook_endpoint_id: strawberry.ID = strawberry.field(description="Which it was. Nothing is sent there any more.")
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="The endpoint with its new secret.")
class RotateWebhookSecretPayload:
    webhook_endpoint: WebhookEndpoint = strawberry.field(
        description="Until its `previousSecretUntil`, messages have two signatures: one with each secret."
    )
    secret: str | None = strawberry.field(description=_SHOWN_ONCE)
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="A test that is on its way.")
class SendTestEventPayload:
    delivery: WebhookDelivery = strawberry.field(description="As it is now; ask for it again by its id to see what came of it.")
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="Deliveries that begin anew.")
class ReplayWebhookDeliveriesPayload:
    count: Count = strawberry.field(description="How many. What is PENDING anyway is not counted.")
    through: datetime | None = strawberry.field(
        description="Where there are more than 10000: when the newest of these was made. Ask again from then on. Null otherwise."
    )
    replayed: bool = strawberry.field(description=_REPLAYED)


CreateWebhookEndpointResult = Annotated[
    CreateWebhookEndpointPayload
    | InvalidInputError
    | LimitReachedError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | IdempotencyMismatchError,
    strawberry.union("CreateWebhookEndpointResult", description="The new endpoint, or why none was made."),
]
UpdateWebhookEndpointResult = Annotated[
    UpdateWebhookEndpointPayload
    | InvalidInputError
    | NotFoundError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | IdempotencyMismatchError,
    strawberry.union("UpdateWebhookEndpointResult", description="The endpoint, or why nothing was changed."),
]
DeleteWebhookEndpointResult = Annotated[
    DeleteWebhookEndpointPayload
    | InvalidInputError
    | NotFoundError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | IdempotencyMismatchError,
    strawberry.union("DeleteWebhookEndpointResult", description="Which endpoint is gone, or why none is."),
]
RotateWebhookSecretResult = Annotated[
    RotateWebhookSecretPayload
    | InvalidInputError
    | NotFoundError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | IdempotencyMismatchError,
    strawberry.union("RotateWebhookSecretResult", description="The endpoint and its secret, or why it has no new one."),
]
SendTestEventResult = Annotated[
    SendTestEventPayload
    | InvalidInputError
    | NotFoundError
    | WebhookEndpointDisabledError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | IdempotencyMismatchError,
    strawberry.union("SendTestEventResult", description="The test's delivery, or why none was sent."),
]
ReplayWebhookDeliveriesResult = Annotated[
    ReplayWebhookDeliveriesPayload
    | InvalidInputError
    | NotFoundError
    | WebhookEndpointDisabledError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | IdempotencyMismatchError,
    strawberry.union("ReplayWebhookDeliveriesResult", description="How many begin anew, or why none does."),
]


def endpoint_of(endpoint: domain.WebhookEndpoint, now: datetime, deliveries: LoadDeliveries) -> WebhookEndpoint:
    """An endpoint as the schema shows it."""
    health = endpoint.health
    return WebhookEndpoint(
        load_deliveries=deliveries,
        id=endpoint_id(endpoint),
        url=endpoint.url,
        description=endpoint.description,
        types=None if endpoint.types is None else [each for each in EventType if each in endpoint.types],
        document=endpoint.shape,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        saved_by=strawberry.ID(encode_id(IdKind.API_KEY, endpoint.saved_by)),
        disabled_at=endpoint.disabled_at,
        disabled_reason=endpoint.disabled_why,
        previous_secret_until=endpoint.overlap_until if endpoint.overlap_until and now < endpoint.overlap_until else None,
        health=WebhookHealth(
            circuit=circuit(health, now),
            trips=health.trips,
            disabled_at_trips=MAX_TRIPS,
            open_until=health.open_until,
        ),
    )


def delivery_of(
    delivery: domain.WebhookDelivery, load_event: Callable[[], Awaitable[TransactionEvent | None]]
) -> WebhookDelivery:
    """A delivery as the schema shows it."""
    return WebhookDelivery(
        load_event=load_event,
        id=strawberry.ID(encode_id(IdKind.WEBHOOK_DELIVERY, delivery.id)),
        webhook_endpoint_id=strawberry.ID(encode_id(IdKind.WEBHOOK_ENDPOINT, delivery.endpoint_id)),
        message_id=delivery.message_id,
        type=delivery.type,
        state=delivery.state,
        dead_reason=delivery.dead_why,
        created_at=delivery.created_at,
        next_attempt_at=delivery.due_at if delivery.state is DeliveryState.PENDING else None,
        ended_at=delivery.ended_at,
        attempt_count=delivery.attempts,
        attempts=[
            WebhookAttempt(
                number=each.number,
                at=each.at,
                status=each.reply.status,
                failure=each.reply.failure,
                duration_ms=each.reply.duration_ms,
                answer_start=each.reply.answer,
            )
            for each in delivery.log
        ],
    )


def endpoint_id(endpoint: domain.WebhookEndpoint) -> strawberry.ID:
    """An endpoint's public id, which says its place in the list, too."""
    return strawberry.ID(encode_id(IdKind.WEBHOOK_ENDPOINT, endpoint.id))
