"""Inputs about webhooks. Values are checked by `domain.webhook_request`, not here."""

from datetime import datetime

import strawberry

from domain.event import EventType
from schema.idempotency_key import IDEMPOTENCY_KEY as KEY
from schema.webhook_enums import DeliveryState

_URL = (
    "Where events are sent to: `https://`, a name or an address of the public internet, port 443 or 1024 to 65535. No credentials: the "
    "signature proves who calls."
)
_DESCRIPTION = "What you call it, at most 255 characters."
_TYPES = "Which events it gets, at least one type; null: all."
_DOCUMENT = (
    "What is sent of an event, as `data`: one subscription to `transactionEvents`, such as "
    "`subscription { transactionEvents { id type } }`. It shows what the key of this request may see. Null: the default payload."
)
_ENDPOINT = "The endpoint, `whe_…`."


@strawberry.input(description="A wish for a webhook endpoint. Its key needs the scope `events:read`, too.")
class CreateWebhookEndpointInput:
    idempotency_key: str = strawberry.field(description=KEY)
    url: str = strawberry.field(description=_URL)
    description: str | None = strawberry.field(description=_DESCRIPTION, default=strawberry.UNSET)
    types: list[EventType] | None = strawberry.field(description=_TYPES, default=strawberry.UNSET)
    document: str | None = strawberry.field(description=_DOCUMENT, default=strawberry.UNSET)


@strawberry.input(description="A wish to change a webhook endpoint. What is left out stays as it is.")
class UpdateWebhookEndpointInput:
    idempotency_key: str = strawberry.field(description=KEY)
    webhook_endpoint_id: strawberry.ID = strawberry.field(description=_ENDPOINT)
    url: str | None = strawberry.field(description=f"{_URL} Null is as left out.", default=strawberry.UNSET)
    description: str | None = strawberry.field(description=_DESCRIPTION, default=strawberry.UNSET)
    types: list[EventType] | None = strawberry.field(description=_TYPES, default=strawberry.UNSET)
    document: str | None = strawberry.field(description=_DOCUMENT, default=strawberry.UNSET)
    enabled: bool | None = strawberry.field(
        description="False: it gets nothing any more. True: it does, and its circuit is closed at once. Null is as left out.",
        default=strawberry.UNSET,
    )


@strawberry.input(description="A wish to delete a webhook endpoint, with what is still to be delivered there.")
class DeleteWebhookEndpointInput:
    idempotency_key: str = strawberry.field(description=KEY)
    webhook_endpoint_id: strawberry.ID = strawberry.field(description=_ENDPOINT)


@strawberry.input(description="A wish for another secret of a webhook endpoint. The one before is good for 24 more hours.")
class RotateWebhookSecretInput:
    idempotency_key: str = strawberry.field(description=KEY)
    webhook_endpoint_id: strawberry.ID = strawberry.field(description=_ENDPOINT)


@strawberry.input(description="A wish to send a webhook endpoint a message that tells of nothing.")
class SendTestEventInput:
    idempotency_key: str = strawberry.field(description=KEY)
    webhook_endpoint_id: strawberry.ID = strawberry.field(description=f"{_ENDPOINT} It has to be enabled.")


@strawberry.input(description="A span of time.")
class TimeSpanInput:
    since: datetime = strawberry.field(description="From this moment on.")
    until: datetime = strawberry.field(description="Before this moment.")


@strawberry.input(one_of=True, description="Which deliveries: exactly one of these.")
class WebhookReplayInput:
    delivery_ids: list[strawberry.ID] | None = strawberry.field(
        description="These, `whd_…`, at most 100. Those that are none of the endpoint's are left out.", default=strawberry.UNSET
    )
    between: TimeSpanInput | None = strawberry.field(
        description="Whatever was made in this span, delivered or dead.", default=strawberry.UNSET
    )
    failed_since: datetime | None = strawberry.field(
        description="What was made from this moment on, and is dead.", default=strawberry.UNSET
    )


@strawberry.input(description="A wish to deliver again. Messages keep their ids: whoever has one already, knows it again.")
class ReplayWebhookDeliveriesInput:
    idempotency_key: str = strawberry.field(description=KEY)
    webhook_endpoint_id: strawberry.ID = strawberry.field(description=f"{_ENDPOINT} It has to be enabled.")
    which: WebhookReplayInput = strawberry.field(description="Which deliveries, oldest first, at most 10000.")


@strawberry.input(description="Which deliveries. What is left out or null is not asked for; everything given has to hold.")
class WebhookDeliveryFilter:
    webhook_endpoint_id: strawberry.ID | None = strawberry.field(description="To this endpoint.", default=strawberry.UNSET)
    states: list[DeliveryState] | None = strawberry.field(description="In one of these states.", default=strawberry.UNSET)
    types: list[EventType] | None = strawberry.field(description="Of events of one of these types.", default=strawberry.UNSET)
    created_after: datetime | None = strawberry.field(description="Made at this moment or later.", default=strawberry.UNSET)
    created_before: datetime | None = strawberry.field(description="Made before this moment.", default=strawberry.UNSET)
