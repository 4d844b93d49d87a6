"""The worker's side of deliveries: whose are due, leased many at a time, and what came of them written down many at a time.

A lease is a time and a token in the row. A worker that dies with a lease leaves a delivery that is due again when that time has come; one
that comes back later than that finds another token there, and writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text

from domain.event import LoggedEvent
from domain.webhook import MAX_LOGGED, Attempt, Verdict, WebhookDelivery, attempt_to_document
from persistence.database import Transaction
from persistence.events import get_events
from persistence.webhook_deliveries import delivery_of

# From one endpoint with something pending to the next, by the index, however many deliveries each of them has.
_DUE = text("""
    with recursive pairs as (
        (
            select tenant_id, endpoint_id from webhook_deliveries
            where state = 'PENDING' and (tenant_id, endpoint_id) > (:tenant_id, :endpoint_id)
            order by tenant_id, endpoint_id limit 1
        )
        union all
        select next.tenant_id, next.endpoint_id from pairs cross join lateral (
            select tenant_id, endpoint_id from webhook_deliveries
            where state = 'PENDING' and (tenant_id, endpoint_id) > (pairs.tenant_id, pairs.endpoint_id)
            order by tenant_id, endpoint_id limit 1
        ) as next
    ), looked_at as (select tenant_id, endpoint_id from pairs limit :limit)
    select looked_at.tenant_id, looked_at.endpoint_id,
        endpoints.disabled_at is not null or endpoints.deleted_at is not null as is_over,
        endpoints.open_until is not null as is_open,
        (endpoints.disabled_at is not null or endpoints.deleted_at is not null
            or ((endpoints.open_until is null or endpoints.open_until <= :now) and exists (
                select from webhook_deliveries as deliveries
                where deliveries.tenant_id = looked_at.tenant_id and deliveries.endpoint_id = looked_at.endpoint_id
                    and deliveries.state = 'PENDING' and deliveries.due_at <= :now
                    and (deliveries.leased_until is null or deliveries.leased_until <= :now)
            ))) as is_due
    from looked_at join webhook_endpoints as endpoints
        on endpoints.tenant_id = looked_at.tenant_id and endpoints.id = looked_at.endpoint_id
    order by looked_at.tenant_id, looked_at.endpoint_id
""")
_CLAIM_PROBES = text("""
    update webhook_endpoints set is_probing = true, open_until = :until
    where tenant_id = :tenant_id and id = any(cast(:ids as uuid[])) and open_until <= :now
    returning id
""")
_LEASE = text("""
    with picked as (
        select delivery.id from unnest(cast(:endpoint_id as uuid[]), cast(:room as integer[])) as wanted (endpoint_id, room)
        cross join lateral (
            select id from webhook_deliveries
            where tenant_id = :tenant_id and endpoint_id = wanted.endpoint_id and state = 'PENDING' and due_at <= :now
                and (leased_until is null or leased_until <= :now)
            order by due_at limit wanted.room for update skip locked
        ) as delivery
    )
    update webhook_deliveries set leased_until = :until, lease_token = :token
    where tenant_id = :tenant_id and id = any(array(select id from picked))
    returning id, endpoint_id, event_id, type, state, due_at, attempts, tries, ended_at, dead_why, cast('[]' as jsonb) as log
""")
_RECORD = text("""
    update webhook_deliveries set
        state = given.state, due_at = given.due_at, ended_at = given.ended_at, dead_why = given.dead_why,
        attempts = attempts + 1, tries = tries + 1, leased_until = null, lease_token = null,
        log = case when jsonb_array_length(log) < :max_logged then log else log - 0 end || given.attempt
    from unnest(
        cast(:id as uuid[]), cast(:token as uuid[]), cast(:state as text[]), cast(:due_at as timestamptz[]),
        cast(:ended_at as timestamptz[]), cast(:dead_why as text[]), cast(:attempt as jsonb[])
    ) as given (id, token, state, due_at, ended_at, dead_why, attempt)
    where tenant_id = :tenant_id and webhook_deliveries.id = given.id and lease_token = given.token
    returning webhook_deliveries.id
""")
_GIVE_BACK = text("""
    update webhook_deliveries set leased_until = null, lease_token = null
    where tenant_id = :tenant_id and id = any(cast(:ids as uuid[])) and lease_token = :token
""")
_BURY = text("""
    update webhook_deliveries set
        state = 'DEAD', dead_why = :why, ended_at = :now, leased_until = null, lease_token = null
    where tenant_id = :tenant_id and id = any(array(
        select id from webhook_deliveries
        where tenant_id = :tenant_id and endpoint_id = :endpoint_id and state = 'PENDING'
            and (leased_until is null or leased_until <= :now)
        order by id limit :limit for update skip locked
    ))
""")


class DueEndpoint(NamedTuple):
    """An endpoint that something is pending for. `is_over`: disabled or deleted; `is_open`: its breaker, which is due a probe."""

    tenant_id: UUID
    endpoint_id: UUID
    is_over: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that is ours for a while. `event` is None for a test, and where it has left the log."""

    delivery: WebhookDelivery
    token: UUID
    event: LoggedEvent | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An attempt of a leased delivery, and what becomes of it."""

    leased: Leased
    attempt: Attempt
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Look:
    """What is due, and where the next look goes on: None from the start."""

    due: list[DueEndpoint] = field(default_factory=list)
    behind: tuple[UUID, UUID] | None = None


async def due_endpoints(tx: Transaction, now: datetime, *, limit: int, behind: tuple[UUID, UUID] | None = None) -> Look:
    """Endpoints of any tenant that something can be done for, among the next `limit` with something pending. The worker's login."""
    tenant_id, endpoint_id = behind or (UUID(int=0), UUID(int=0))
    parameters = {"now": now, "limit": limit, "tenant_id": tenant_id, "endpoint_id": endpoint_id}
    rows = (await tx.execute(_DUE, parameters)).all()
    due = [DueEndpoint(row.tenant_id, row.endpoint_id, row.is_over, row.is_open) for row in rows if row.is_due]
    return Look(due, (rows[-1].tenant_id, rows[-1].endpoint_id) if len(rows) == limit else None)


async def claim_probes(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID], *, now: datetime, until: datetime) -> set[UUID]:
    """Those among `ids` that may be sent one delivery, to see whether they are back. Until then nobody else sends one."""
    parameters = {"tenant_id": tenant_id, "ids": list(ids), "now": now, "until": until}
    return set((await tx.execute(_CLAIM_PROBES, parameters)).scalars())


async def lease_deliveries(
    tx: Transaction, tenant_id: UUID, room: Mapping[UUID, int], *, now: datetime, until: datetime, token: UUID
) -> list[Leased]:
    """Lease what is due, for each endpoint at most as many as it has room for, the oldest first."""
    parameters = {
        "tenant_id": tenant_id,
        "endpoint_id": list(room),
        "room": list(room.values()),
        "now": now,
        "until": until,
        "token": token,
    }
    deliveries = sorted(map(delivery_of, await tx.execute(_LEASE, parameters)), key=lambda each: (each.due_at, each.id))
    # Apart from the deliveries: several endpoints of a partner get the same event.
    events = await get_events(tx, tenant_id, list({each.event_id for each in deliveries if each.event_id}))
    return [Leased(each, token, events.get(each.event_id) if each.event_id else None) for each in deliveries]


async def record_attempts(tx: Transaction, tenant_id: UUID, done: Sequence[Recorded]) -> set[UUID]:
    """Write attempts down, of those that are still ours. Returns of which deliveries."""
    parameters = {
        "tenant_id": tenant_id,
        "max_logged": MAX_LOGGED,
        "id": [each.leased.delivery.id for each in done],
        "token": [each.leased.token for each in done],
        "state": [each.verdict.state.value for each in done],
        "due_at": [each.verdict.due_at for each in done],
        "ended_at": [each.verdict.ended_at for each in done],
        "dead_why": [each.verdict.dead_why for each in done],
        "attempt": [orjson.dumps(attempt_to_document(each.attempt)).decode() for each in done],
    }
    return set((await tx.execute(_RECORD, parameters)).scalars())


async def give_back(tx: Transaction, tenant_id: UUID, leased: Sequence[Leased]) -> None:
    """Leases that were not used: they are due again at once. All have one token."""
    if leased:
        ids = [each.delivery.id for each in leased]
        await tx.execute(_GIVE_BACK, {"tenant_id": tenant_id, "ids": ids, "token": leased[0].token})


async def bury_deliveries(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, *, why: str, now: datetime, limit: int) -> int:
    """Give up what is pending for an endpoint that gets nothing any more. Returns how many, at most `limit`."""
    parameters = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "why": why, "now": now, "limit": limit}
    return (await tx.execute(_BURY, parameters)).rowcount
