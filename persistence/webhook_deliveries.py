"""Deliveries of webhooks: written with their events, read in pages, and sent again when somebody asks for it.

Each is one row from beginning to end, with its attempts: who looks at a delivery looks at those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.event import EventType
from domain.webhook import (
    DeadWhy,
    DeliveryState,
    WebhookDelivery,
    attempt_from_document,
)
from persistence.database import APPENDED, Transaction

COLUMNS = "id, endpoint_id, event_id, type, state, due_at, attempts, tries, ended_at, dead_why, log"

# For `persistence.events`: with the events that are `given`, a delivery for each endpoint that wants them. An endpoint that is disabled
# gets dead ones, so that a replay of all that failed is complete. An id begins with its event's time, and follows from event and
# endpoint. Partners without endpoints pay for one look into an index.
QUEUE = """
    insert into webhook_deliveries (tenant_id, id, endpoint_id, event_id, type, state, due_at, ended_at, dead_why)
    select :tenant_id,
           cast(overlay(left(encode(sha256(uuid_send(given.id) || uuid_send(endpoints.id)), 'hex'), 32)
                        placing left(replace(cast(given.id as text), '-', ''), 13) from 1) as uuid),
           endpoints.id, given.id, given.type,
           case when endpoints.disabled_at is null then 'PENDING' else 'DEAD' end, given.occurred_at,
           case when endpoints.disabled_at is null then null else given.occurred_at end,
           case when endpoints.disabled_at is null then null else 'ENDPOINT_DISABLED' end
    from given join webhook_endpoints as endpoints
        on endpoints.tenant_id = :tenant_id and endpoints.deleted_at is null
        and (endpoints.types is null or given.type = any(endpoints.types))
"""
_INSERT_TEST = text("""
    insert into webhook_deliveries (tenant_id, id, endpoint_id, state, due_at) values (:tenant_id, :id, :endpoint_id, 'PENDING', :due_at)
""")
_OF_LIVING = """
    tenant_id = :tenant_id and exists (
        select from webhook_endpoints as endpoints where endpoints.tenant_id = :tenant_id and endpoints.deleted_at is null
            and endpoints.id = webhook_deliveries.endpoint_id
    )"""
_GET = text(f"select {COLUMNS} from webhook_deliveries where {_OF_LIVING} and id = any(cast(:ids as uuid[]))")
_CONDITIONS = """
    (cast(:before as uuid) is null or id < :before)
    and (cast(:states as text[]) is null or state = any(cast(:states as text[])))
    and (cast(:types as text[]) is null or type = any(cast(:types as text[])))
    and (cast(:since as uuid) is null or id >= :since) and (cast(:until as uuid) is null or id < :until)
"""
_PAGE = text(f"""
    select {COLUMNS} from webhook_deliveries where {_OF_LIVING} and {_CONDITIONS} order by id desc limit :limit
""")
_PAGE_OF_ENDPOINT = text(f"""
    select {COLUMNS} from webhook_deliveries where {_OF_LIVING} and endpoint_id = :endpoint_id and {_CONDITIONS}
    order by id desc limit :limit
""")
# The pages of several endpoints in one statement: a list of endpoints asks for all of theirs at once.
_PAGES = text(f"""
    select wanted.number, delivery.* from unnest(
        cast(:endpoint_id as uuid[]), cast(:before as uuid[]), cast(:limit as integer[])
    ) with ordinality as wanted (endpoint_id, before, count, number)
    cross join lateral (
        select {COLUMNS} from webhook_deliveries
        where tenant_id = :tenant_id and endpoint_id = wanted.endpoint_id and (wanted.before is null or id < wanted.before)
        order by id desc limit wanted.count
    ) as delivery
    order by wanted.number, delivery.id desc
""")
_REPLAY = text("""
    update webhook_deliveries set
        state = 'PENDING', due_at = :now, tries = 0, ended_at = null, dead_why = null, leased_until = null, lease_token = null
    where tenant_id = :tenant_id and id = any(array(
        select id from webhook_deliveries
        where tenant_id = :tenant_id and endpoint_id = :endpoint_id and state <> 'PENDING'
            and (cast(:ids as uuid[]) is null or id = any(cast(:ids as uuid[])))
            and (cast(:since as uuid) is null or id >= :since) and (cast(:until as uuid) is null or id < :until)
            and (not cast(:failed_only as boolean) or state = 'DEAD')
        order by id limit :limit for update
    ))
    returning id
""")
_FORGET = text("""
    delete from webhook_deliveries where tenant_id = :tenant_id and id = any(array(
        select id from webhook_deliveries where tenant_id = :tenant_id and id < :before and state <> 'PENDING'
        order by id limit :limit for update skip locked
    ))
""")


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries; None: that is not asked. `since` and `until` are the least ids of their moments."""

    endpoint_id: UUID | None = None
    states: Sequence[DeliveryState] | None = None
    types: Sequence[EventType] | None = None
    since: UUID | None = None
    until: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeliveriesWanted:
    """A page of one endpoint's deliveries."""

    endpoint_id: UUID
    limit: int
    before: UUID | None = None


async def insert_test_delivery(tx: Transaction, tenant_id: UUID, delivery_id: UUID, endpoint_id: UUID, now: datetime) -> None:
    """One that tells of no event, due now. Whoever delivers is told when it has committed."""
    tx.info[APPENDED] = tenant_id
    await tx.execute(_INSERT_TEST, {"tenant_id": tenant_id, "id": delivery_id, "endpoint_id": endpoint_id, "due_at": now})


async def get_deliveries(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, WebhookDelivery]:
    """The tenant's deliveries among `ids`; those of deleted endpoints are none."""
    return {row.id: delivery_of(row) for row in await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(ids)})}


async def page_of_deliveries(
    tx: Transaction, tenant_id: UUID, where: DeliveryFilter, *, limit: int, before: UUID | None
) -> list[WebhookDelivery]:
    """The tenant's deliveries, newest first; `before` is where the last page ended."""
    parameters = {
        "tenant_id": tenant_id,
        "states": None if where.states is None else list(where.states),
        "types": None if where.types is None else [each.value for each in where.types],
        "since": where.since,
        "until": where.until,
        "before": before,
        "limit": limit,
    }
    if where.endpoint_id is None:
        rows = await tx.execute(_PAGE, parameters)
    else:
        rows = await tx.execute(_PAGE_OF_ENDPOINT, parameters | {"endpoint_id": where.endpoint_id})
    return [delivery_of(row) for row in rows]


async def pages_of_deliveries(
    tx: Transaction, tenant_id: UUID, wanted: Sequence[DeliveriesWanted]
) -> list[list[WebhookDelivery]]:
    """Pages of several endpoints, in the order in which they are wanted."""
    parameters = {
        "tenant_id": tenant_id,
        "endpoint_id": [each.endpoint_id for each in wanted],
        "before": [each.before for each in wanted],
        "limit": [each.limit for each in wanted],
    }
    pages: list[list[WebhookDelivery]] = [[] for _ in wanted]
    for row in await tx.execute(_PAGES, parameters):
        pages[row.number - 1].append(delivery_of(row))
    return pages


async def replay_deliveries(
    tx: Transaction,
    tenant_id: UUID,
    endpoint_id: UUID,
    *,
    ids: Sequence[UUID] | None,
    since: UUID | None,
    until: UUID | None,
    failed_only: bool,
    limit: int,
    now: datetime,
) -> list[UUID]:
    """Begin anew with those that have ended, oldest first, at most `limit`. Returns which.

    Whoever delivers is told when it has committed.
    """
    tx.info[APPENDED] = tenant_id
    parameters = {
        "tenant_id": tenant_id,
        "endpoint_id": endpoint_id,
        "ids": None if ids is None else list(ids),
        "since": since,
        "until": until,
        "failed_only": failed_only,
        "limit": limit,
        "now": now,
    }
    return sorted((await tx.execute(_REPLAY, parameters)).scalars())


async def forget_deliveries(tx: Transaction, tenant_id: UUID, *, before: UUID, limit: int) -> int:
    """Forget what has ended and began before this id's moment. Returns how many, at most `limit`."""
    return (await tx.execute(_FORGET, {"tenant_id": tenant_id, "before": before, "limit": limit})).rowcount


def delivery_of(row: Row[Any]) -> WebhookDelivery:
    """A row's delivery."""
    return WebhookDelivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        event_id=row.event_id,
        type=None if row.type is None else EventType(row.type),
        state=DeliveryState(row.state),
        due_at=row.due_at,
        attempts=row.attempts,
        tries=row.tries,
        ended_at=row.ended_at,
        dead_why=None if row.dead_why is None else DeadWhy(row.dead_why),
        log=tuple(map(attempt_from_document, row.log)),
    )
