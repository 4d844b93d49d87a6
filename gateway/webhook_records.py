"""Writes down what came of deliveries, and what that means for their endpoints: breakers, warnings, the end of an endpoint."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.event import Event, EventType
from domain.failpoint import Failpoint
from domain.webhook import DisabledWhy, Failure, Reply, WebhookEndpoint, subject_of
from domain.webhook_health import noted
from gateway.world import World
from persistence.database import Database, Transaction
from persistence.events import append_events
from persistence.webhook_endpoints import lock_endpoints, save_health
from persistence.webhook_queue import Recorded, record_attempts


async def record(database: Database, world: World, tenant_id: UUID, done: Sequence[Recorded]) -> None:
    """Write attempts of one tenant down in one transaction. Those whose lease has gone to somebody else are left out.

    Deliveries first, then their endpoints, then events: the order in which everybody takes these locks. Raises DatabaseAway.
    """
    async with database.tenant(tenant_id, promised=True) as tx:
        ours = await record_attempts(tx, tenant_id, done)
        replies: defaultdict[UUID, list[Reply]] = defaultdict(list)
        for each in done:
            if each.leased.delivery.id in ours and each.attempt.reply.failure is not Failure.NOT_SENT:
                replies[each.leased.delivery.endpoint_id].append(each.attempt.reply)
        events = await _judge(tx, world, tenant_id, replies) if replies else []
        await world.reach(Failpoint.WEBHOOKS_RECORDED)
        await append_events(tx, tenant_id, events)


async def _judge(tx: Transaction, world: World, tenant_id: UUID, replies: dict[UUID, list[Reply]]) -> list[Event]:
    """Note the replies in their endpoints' health. Returns events of those that fail or are disabled by it."""
    now, events, judged = world.now(), list[Event](), list[WebhookEndpoint]()
    for endpoint_id, before in (await lock_endpoints(tx, tenant_id, list(replies))).items():
        after = after_replies(before, replies[endpoint_id], now)
        judged.append(after)
        kind = None
        if after.disabled_at is not None and before.disabled_at is None:
            kind = EventType.WEBHOOK_ENDPOINT_DISABLED
        elif after.health.trips > before.health.trips:
            kind = EventType.WEBHOOK_ENDPOINT_FAILING
        if kind is not None:
            events.append(Event(world.new_uuid(), kind, now, subject_of(after), None, None))
    await save_health(tx, tenant_id, judged)
    return events


def after_replies(endpoint: WebhookEndpoint, replies: Sequence[Reply], now: datetime) -> WebhookEndpoint:
    """An endpoint after these replies. One that is disabled already stays as it is."""
    if endpoint.disabled_at is not None:
        return endpoint
    succeeded = sum(reply.failure is None for reply in replies)
    health = noted(endpoint.health, succeeded=succeeded, failed=len(replies) - succeeded, now=now)
    why = DisabledWhy.GONE if any(reply.is_gone for reply in replies) else DisabledWhy.FAILING if health.is_lost else None
    return replace(endpoint, health=health, disabled_at=now if why else None, disabled_why=why)
