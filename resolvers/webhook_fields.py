"""The operations about webhooks, their arguments and their descriptions."""

from typing import Annotated

import strawberry

from domain.scope import Scope
from resolvers import webhooks
from resolvers.asking import asks
from resolvers.context import Info
from resolvers.given import given
from schema import webhook_inputs as inputs
from schema.inputs import After, First
from schema.webhook import (
    CreateWebhookEndpointResult,
    DeleteWebhookEndpointResult,
    ReplayWebhookDeliveriesResult,
    RotateWebhookSecretResult,
    SendTestEventResult,
    UpdateWebhookEndpointResult,
    WebhookDeliveryConnection,
    WebhookEndpointConnection,
)


@strawberry.type(description="What can be asked about webhooks.")
class WebhookQueries:
    @asks(Scope.WEBHOOKS_READ, "Where your events are sent to, newest first.")
    async def webhook_endpoints(
        self, info: Info, first: First = strawberry.UNSET, after: After = strawberry.UNSET
    ) -> WebhookEndpointConnection:
        return await webhooks.webhook_endpoints(info, first=given(first), after=given(after))

    @asks(Scope.WEBHOOKS_READ, "What was and is to be delivered, newest first: 30 days of it.")
    async def webhook_deliveries(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        filter: Annotated[  # noqa: A002
            inputs.WebhookDeliveryFilter | None, strawberry.argument(description="Which deliveries; all without it.")
        ] = strawberry.UNSET,
    ) -> WebhookDeliveryConnection:
        return await webhooks.webhook_deliveries(info, first=given(first), after=given(after), where=given(filter))


@strawberry.type(description="What can be done about webhooks.")
class WebhookMutations:
    @asks(Scope.WEBHOOKS_WRITE, "Have events sent to a URL, signed as Standard Webhooks v1 has it.")
    async def create_webhook_endpoint(
        self,
        info: Info,
        input: Annotated[inputs.CreateWebhookEndpointInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> CreateWebhookEndpointResult | None:
        return await webhooks.create_webhook_endpoint(info, input)

    @asks(Scope.WEBHOOKS_WRITE, "Change where events are sent to, which ones, and what is sent; or disable and enable it.")
    async def update_webhook_endpoint(
        self,
        info: Info,
        input: Annotated[inputs.UpdateWebhookEndpointInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> UpdateWebhookEndpointResult | None:
        return await webhooks.update_webhook_endpoint(info, input)

    @asks(Scope.WEBHOOKS_WRITE, "Have nothing sent there any more, at once. What waits to be delivered there is given up.")
    async def delete_webhook_endpoint(
        self,
        info: Info,
        input: Annotated[inputs.DeleteWebhookEndpointInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> DeleteWebhookEndpointResult | None:
        return await webhooks.delete_webhook_endpoint(info, input)

    @asks(Scope.WEBHOOKS_WRITE, "Give an endpoint another secret. For 24 hours messages are signed with both.")
    async def rotate_webhook_secret(
        self,
        info: Info,
        input: Annotated[inputs.RotateWebhookSecretInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> RotateWebhookSecretResult | None:
        return await webhooks.rotate_webhook_secret(info, input)

    @asks(Scope.WEBHOOKS_WRITE, "Send an endpoint a message of the type `webhook.test`, which tells of nothing.")
    async def send_test_event(
        self,
        info: Info,
        input: Annotated[inputs.SendTestEventInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> SendTestEventResult | None:
        return await webhooks.send_test_event(info, input)

    @asks(Scope.WEBHOOKS_WRITE, "Deliver again: some deliveries, a span of time, or all that failed since.")
    async def replay_webhook_deliveries(
        self,
        info: Info,
        input: Annotated[inputs.ReplayWebhookDeliveriesInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> ReplayWebhookDeliveriesResult | None:
        return await webhooks.replay_webhook_deliveries(info, input)
