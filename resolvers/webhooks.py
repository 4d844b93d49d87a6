"""Webhooks: six operations, and two lists."""

from typing import TypeVar, cast
from uuid import UUID

import strawberry

from domain import webhook as domain
from domain.answer import InvalidInput
from domain.event import EventType
from domain.ids import IdKind, decode_id_of, time_ordered_uuid
from domain.scope import Scope
from domain.webhook_request import KEEP, Keep, RawEndpoint, parse_ask, parse_create, parse_replay, parse_update
from gateway.webhooks import EndpointAnswer, ReplayAnswer, TestAnswer
from persistence.webhook_deliveries import DeliveriesWanted, DeliveryFilter, get_deliveries, page_of_deliveries
from persistence.webhook_endpoints import find_endpoint, page_of_endpoints
from resolvers.asking import insist_on
from resolvers.context import Context, Info
from resolvers.given import given
from resolvers.pages import page_size, place
from schema import webhook_inputs as inputs
from schema.connection import PageInfo
from schema.errors import error_of
from schema.event import TransactionEvent, event_of
from schema.scalars import Count
from schema.webhook import (
    CreateWebhookEndpointPayload,
    CreateWebhookEndpointResult,
    DeleteWebhookEndpointPayload,
    DeleteWebhookEndpointResult,
    ReplayWebhookDeliveriesPayload,
    ReplayWebhookDeliveriesResult,
    RotateWebhookSecretPayload,
    RotateWebhookSecretResult,
    SendTestEventPayload,
    SendTestEventResult,
    UpdateWebhookEndpointPayload,
    UpdateWebhookEndpointResult,
    WebhookDelivery,
    WebhookDeliveryConnection,
    WebhookDeliveryEdge,
    WebhookEndpoint,
    WebhookEndpointConnection,
    WebhookEndpointEdge,
    delivery_of,
    endpoint_id,
    endpoint_of,
)

NOBODYS = UUID(int=0)  # what a filter asks for that names nothing
T = TypeVar("T")


async def webhook_endpoint(info: Info, value: UUID) -> WebhookEndpoint | None:
    """One endpoint by its id."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        found = await find_endpoint(tx, context.tenant_id, value)
    return None if found is None else _endpoint(context, found)


async def webhook_delivery(info: Info, value: UUID) -> WebhookDelivery | None:
    """One delivery by its id."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        found = (await get_deliveries(tx, context.tenant_id, [value])).get(value)
    return None if found is None else _delivery(context, found)


async def webhook_endpoints(info: Info, *, first: int | None, after: str | None) -> WebhookEndpointConnection:
    """A page of endpoints, newest first."""
    context = info.context
    limit = page_size("first", first)
    behind = place("after", after, lambda text: decode_id_of(IdKind.WEBHOOK_ENDPOINT, text))
    async with context.database.tenant(context.tenant_id) as tx:
        found = await page_of_endpoints(tx, context.tenant_id, limit=limit + 1, before=behind)  # one more tells of more
    edges = [WebhookEndpointEdge(cursor=endpoint_id(each), node=_endpoint(context, each)) for each in found[:limit]]
    return WebhookEndpointConnection(
        edges=edges, page_info=_page_info([edge.cursor for edge in edges], behind is not None, len(found) > limit)
    )


async def webhook_deliveries(
    info: Info, *, first: int | None, after: str | None, where: inputs.WebhookDeliveryFilter | None
) -> WebhookDeliveryConnection:
    """A page of deliveries, newest first."""
    context = info.context
    limit, behind = page_size("first", first), _delivery_place(after)
    async with context.database.tenant(context.tenant_id) as tx:
        found = await page_of_deliveries(tx, context.tenant_id, _filter(where), limit=limit + 1, before=behind)
    return _delivery_page(context, found, limit, behind)


async def create_webhook_endpoint(info: Info, input: inputs.CreateWebhookEndpointInput) -> CreateWebhookEndpointResult:  # noqa: A002
    """Make an endpoint."""
    context = info.context
    raw = _raw(context, input.idempotency_key, input.url, input.description, input.types, input.document)
    request = parse_create(raw, development=context.webhooks.development)
    answer = (
        request if isinstance(request, InvalidInput) else await context.webhooks.create(context.caller, request, context.origin)
    )
    if not isinstance(answer, EndpointAnswer):
        return cast(CreateWebhookEndpointResult, error_of(answer))
    return CreateWebhookEndpointPayload(
        webhook_endpoint=_endpoint(context, answer.endpoint), secret=answer.secret, replayed=answer.replayed
    )


async def update_webhook_endpoint(info: Info, input: inputs.UpdateWebhookEndpointInput) -> UpdateWebhookEndpointResult:  # noqa: A002
    """Change an endpoint."""
    context = info.context
    raw = _raw(context, input.idempotency_key, _if_given(input.url), input.description, input.types, input.document)
    request = parse_update(raw, input.webhook_endpoint_id, _if_given(input.enabled), development=context.webhooks.development)
    answer = (
        request if isinstance(request, InvalidInput) else await context.webhooks.update(context.caller, request, context.origin)
    )
    if not isinstance(answer, EndpointAnswer):
        return cast(UpdateWebhookEndpointResult, error_of(answer))
    return UpdateWebhookEndpointPayload(webhook_endpoint=_endpoint(context, answer.endpoint), replayed=answer.replayed)


async def delete_webhook_endpoint(info: Info, input: inputs.DeleteWebhookEndpointInput) -> DeleteWebhookEndpointResult:  # noqa: A002
    """Delete an endpoint."""
    context = info.context
    request = parse_ask(input.idempotency_key, input.webhook_endpoint_id)
    answer = (
        request if isinstance(request, InvalidInput) else await context.webhooks.delete(context.caller, request, context.origin)
    )
    if not isinstance(answer, EndpointAnswer):
        return cast(DeleteWebhookEndpointResult, error_of(answer))
    return DeleteWebhookEndpointPayload(webhook_endpoint_id=endpoint_id(answer.endpoint), replayed=answer.replayed)


async def rotate_webhook_secret(info: Info, input: inputs.RotateWebhookSecretInput) -> RotateWebhookSecretResult:  # noqa: A002
    """Give an endpoint another secret."""
    context = info.context
    request = parse_ask(input.idempotency_key, input.webhook_endpoint_id)
    answer = (
        request if isinstance(request, InvalidInput) else await context.webhooks.rotate(context.caller, request, context.origin)
    )
    if not isinstance(answer, EndpointAnswer):
        return cast(RotateWebhookSecretResult, error_of(answer))
    return RotateWebhookSecretPayload(
        webhook_endpoint=_endpoint(context, answer.endpoint), secret=answer.secret, replayed=answer.replayed
    )


async def send_test_event(info: Info, input: inputs.SendTestEventInput) -> SendTestEventResult:  # noqa: A002
    """Send a test."""
    context = info.context
    request = parse_ask(input.idempotency_key, input.webhook_endpoint_id)
    answer = (
        request
        if isinstance(request, InvalidInput)
        else await context.webhooks.send_test(context.caller, request, context.origin)
    )
    if not isinstance(answer, TestAnswer):
        return cast(SendTestEventResult, error_of(answer))
    return SendTestEventPayload(delivery=_delivery(context, answer.delivery), replayed=answer.replayed)


async def replay_webhook_deliveries(
    info: Info,
    input: inputs.ReplayWebhookDeliveriesInput,  # noqa: A002
) -> ReplayWebhookDeliveriesResult:
    """Deliver again."""
    context = info.context
    ids, between, failed_since = given(input.which.delivery_ids), given(input.which.between), given(input.which.failed_since)
    span = (between.since, between.until) if between else (failed_since, None) if failed_since else None
    request = parse_replay(
        input.idempotency_key, input.webhook_endpoint_id, delivery_ids=ids, span=span, failed_only=failed_since is not None
    )
    answer = (
        request if isinstance(request, InvalidInput) else await context.webhooks.replay(context.caller, request, context.origin)
    )
    if not isinstance(answer, ReplayAnswer):
        return cast(ReplayWebhookDeliveriesResult, error_of(answer))
    return ReplayWebhookDeliveriesPayload(count=Count(answer.count), through=answer.through, replayed=answer.replayed)


def _raw(
    context: Context,
    key: str,
    url: str | Keep,
    description: str | None,
    types: list[EventType] | None,
    document: str | None,
) -> RawEndpoint:
    text = _or_keep(document)
    problems = context.webhooks.problems_of(text) if isinstance(text, str) else ()
    return RawEndpoint(key, url, _or_keep(description), _or_keep(types), text, problems)


def _or_keep(value: T | None) -> T | Keep | None:
    """The value, null included; KEEP where it was left out."""
    return KEEP if value is strawberry.UNSET else value


def _if_given(value: T | None) -> T | Keep:
    """The value; KEEP where it is null or was left out."""
    found = given(value)
    return KEEP if found is None else found


def _filter(where: inputs.WebhookDeliveryFilter | None) -> DeliveryFilter:
    if where is None:
        return DeliveryFilter()
    endpoint, since, until = given(where.webhook_endpoint_id), given(where.created_after), given(where.created_before)
    return DeliveryFilter(
        endpoint_id=None if endpoint is None else decode_id_of(IdKind.WEBHOOK_ENDPOINT, endpoint) or NOBODYS,
        states=given(where.states),
        types=given(where.types),
        since=time_ordered_uuid(since, 0) if since else None,
        until=time_ordered_uuid(until, 0) if until else None,
    )


def _endpoint(context: Context, endpoint: domain.WebhookEndpoint) -> WebhookEndpoint:
    async def deliveries(first: int | None, after: str | None) -> WebhookDeliveryConnection:
        limit, behind = page_size("first", given(first)), _delivery_place(given(after))
        found = await context.webhook_deliveries.load(DeliveriesWanted(endpoint.id, limit + 1, behind))
        return _delivery_page(context, found, limit, behind)

    return endpoint_of(endpoint, context.world.now(), deliveries)


def _delivery(context: Context, delivery: domain.WebhookDelivery) -> WebhookDelivery:
    async def event() -> TransactionEvent | None:
        insist_on(context, Scope.EVENTS_READ)
        if delivery.event_id is None:
            return None
        logged = await context.events.load(delivery.event_id)
        return None if logged is None else event_of(logged)

    return delivery_of(delivery, event)


def _delivery_page(
    context: Context, found: list[domain.WebhookDelivery], limit: int, behind: UUID | None
) -> WebhookDeliveryConnection:
    nodes = [_delivery(context, each) for each in found[:limit]]
    edges = [WebhookDeliveryEdge(cursor=node.id, node=node) for node in nodes]
    return WebhookDeliveryConnection(
        edges=edges, page_info=_page_info([edge.cursor for edge in edges], behind is not None, len(found) > limit)
    )


def _delivery_place(after: str | None) -> UUID | None:
    return place("after", after, lambda text: decode_id_of(IdKind.WEBHOOK_DELIVERY, text))


def _page_info(cursors: list[str], has_previous: bool, has_next: bool) -> PageInfo:
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
