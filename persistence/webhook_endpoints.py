"""Endpoints of webhooks, and how they are doing. Their secrets are in `persistence/webhook_secrets.py`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from domain.event import EventType
from domain.scope import Scope
from domain.webhook import DisabledWhy, WebhookEndpoint
from domain.webhook_health import Health, slots_from_document, slots_to_document
from persistence.database import Transaction

_COLUMNS = """
    id, url, description, types, shape, scopes, saved_by, created_at, updated_at, disabled_at, disabled_why, overlap_until, slots,
    trips, open_until, is_probing
"""
_INSERT = text("""
    insert into webhook_endpoints (tenant_id, id, url, description, types, shape, scopes, saved_by, created_at, updated_at)
    values (:tenant_id, :id, :url, :description, :types, :shape, :scopes, :saved_by, :created_at, :updated_at)
""")
# All that a change may change; what stays is written as it was, under the row's lock.
_SAVE = text("""
    update webhook_endpoints set
        url = given.url, description = given.description, types = given.types, shape = given.shape, scopes = given.scopes,
        saved_by = given.saved_by, updated_at = given.updated_at, disabled_at = given.disabled_at,
        disabled_why = given.disabled_why, slots = given.slots, trips = given.trips, open_until = given.open_until,
        is_probing = given.is_probing
    from (
        select cast(:url as text) as url, cast(:description as text) as description, cast(:types as text[]) as types,
            cast(:shape as text) as shape, cast(:scopes as text[]) as scopes, cast(:saved_by as uuid) as saved_by,
            cast(:updated_at as timestamptz) as updated_at, cast(:disabled_at as timestamptz) as disabled_at,
            cast(:disabled_why as text) as disabled_why, cast(:slots as jsonb) as slots, cast(:trips as integer) as trips,
            cast(:open_until as timestamptz) as open_until, cast(:is_probing as boolean) as is_probing
    ) as given
    where tenant_id = :tenant_id and id = :id
""")
_SAVE_HEALTH = text("""
    update webhook_endpoints set
        slots = given.slots, trips = given.trips, open_until = given.open_until, is_probing = given.is_probing,
        disabled_at = given.disabled_at, disabled_why = given.disabled_why
    from unnest(
        cast(:id as uuid[]), cast(:slots as jsonb[]), cast(:trips as integer[]), cast(:open_until as timestamptz[]),
        cast(:is_probing as boolean[]), cast(:disabled_at as timestamptz[]), cast(:disabled_why as text[])
    ) as given (id, slots, trips, open_until, is_probing, disabled_at, disabled_why)
    where tenant_id = :tenant_id and webhook_endpoints.id = given.id
""")
_FIND = text(f"select {_COLUMNS} from webhook_endpoints where tenant_id = :tenant_id and id = :id and deleted_at is null")
# No key update: deliveries that are being written for the endpoint need not wait.
_LOCK = text(f"""
    select {_COLUMNS} from webhook_endpoints
    where tenant_id = :tenant_id and id = any(cast(:ids as uuid[])) and deleted_at is null
    order by id for no key update
""")
_GET = text(f"""
    select {_COLUMNS} from webhook_endpoints
    where tenant_id = :tenant_id and id = any(cast(:ids as uuid[])) and deleted_at is null
""")
_PAGE = text(f"""
    select {_COLUMNS} from webhook_endpoints
    where tenant_id = :tenant_id and deleted_at is null and (cast(:before as uuid) is null or id < :before)
    order by id desc limit :limit
""")
_COUNT = text("select count(*) from webhook_endpoints where tenant_id = :tenant_id and deleted_at is null")
_OVERLAP = text("""
    update webhook_endpoints set overlap_until = :until, updated_at = :now where tenant_id = :tenant_id and id = :id
""")
_DELETE = text("""
    update webhook_endpoints set
        deleted_at = :now, overlap_until = null, url = '', shape = null, description = ''
    where tenant_id = :tenant_id and id = :id
""")
_FORGET = text("""
    delete from webhook_endpoints where tenant_id = :tenant_id and deleted_at is not null and not exists (
        select from webhook_deliveries
        where webhook_deliveries.tenant_id = :tenant_id and webhook_deliveries.endpoint_id = webhook_endpoints.id
    )
""")


async def insert_endpoint(tx: Transaction, tenant_id: UUID, endpoint: WebhookEndpoint) -> None:
    """A new endpoint of the tenant."""
    await tx.execute(_INSERT, {"tenant_id": tenant_id, "created_at": endpoint.created_at, **_row(endpoint)})


async def save_endpoint(tx: Transaction, tenant_id: UUID, endpoint: WebhookEndpoint) -> None:
    """A locked endpoint as it is after a change. Its secrets stay."""
    health = endpoint.health
    await tx.execute(
        _SAVE,
        {
            "tenant_id": tenant_id,
            "disabled_at": endpoint.disabled_at,
            "disabled_why": endpoint.disabled_why,
            "slots": orjson.dumps(slots_to_document(health)).decode(),
            "trips": health.trips,
            "open_until": health.open_until,
            "is_probing": health.is_probing,
            **_row(endpoint),
        },
    )


async def save_health(tx: Transaction, tenant_id: UUID, endpoints: Sequence[WebhookEndpoint]) -> None:
    """How locked endpoints are doing, and whether they are disabled."""
    parameters = {
        "tenant_id": tenant_id,
        "id": [each.id for each in endpoints],
        "slots": [orjson.dumps(slots_to_document(each.health)).decode() for each in endpoints],
        "trips": [each.health.trips for each in endpoints],
        "open_until": [each.health.open_until for each in endpoints],
        "is_probing": [each.health.is_probing for each in endpoints],
        "disabled_at": [each.disabled_at for each in endpoints],
        "disabled_why": [each.disabled_why for each in endpoints],
    }
    await tx.execute(_SAVE_HEALTH, parameters)


async def find_endpoint(tx: Transaction, tenant_id: UUID, endpoint_id: UUID) -> WebhookEndpoint | None:
    """One endpoint of the tenant's, or None; a deleted one is none."""
    row = (await tx.execute(_FIND, {"tenant_id": tenant_id, "id": endpoint_id})).one_or_none()
    return None if row is None else _endpoint(row)


async def lock_endpoints(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, WebhookEndpoint]:
    """Those among `ids` that there are, locked until the transaction ends."""
    return {row.id: _endpoint(row) for row in await tx.execute(_LOCK, {"tenant_id": tenant_id, "ids": list(ids)})}


async def get_endpoints(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, WebhookEndpoint]:
    """Those among `ids` that there are."""
    return {row.id: _endpoint(row) for row in await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(ids)})}


async def page_of_endpoints(tx: Transaction, tenant_id: UUID, *, limit: int, before: UUID | None) -> list[WebhookEndpoint]:
    """The tenant's endpoints, newest first; `before` is where the last page ended."""
    return [_endpoint(row) for row in await tx.execute(_PAGE, {"tenant_id": tenant_id, "limit": limit, "before": before})]


async def count_endpoints(tx: Transaction, tenant_id: UUID) -> int:
    """How many there are."""
    return int((await tx.execute(_COUNT, {"tenant_id": tenant_id})).scalar_one())


async def note_overlap(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, *, until: datetime, now: datetime) -> None:
    """It has another secret now, and the one before is good until then."""
    await tx.execute(_OVERLAP, {"tenant_id": tenant_id, "id": endpoint_id, "until": until, "now": now})


async def delete_endpoint(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, now: datetime) -> None:
    """It is gone at once, with its URL. What is left of its row goes when its deliveries have gone."""
    await tx.execute(_DELETE, {"tenant_id": tenant_id, "id": endpoint_id, "now": now})


async def forget_endpoints(tx: Transaction, tenant_id: UUID) -> None:
    """Drop what is left of deleted endpoints that have no deliveries any more."""
    await tx.execute(_FORGET, {"tenant_id": tenant_id})


def _row(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "types": None if endpoint.types is None else sorted(endpoint.types),
        "shape": endpoint.shape,
        "scopes": sorted(endpoint.scopes),
        "saved_by": endpoint.saved_by,
        "updated_at": endpoint.updated_at,
    }


def _endpoint(row: Row[Any]) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=row.id,
        url=row.url,
        description=row.description,
        types=None if row.types is None else frozenset(map(EventType, row.types)),
        shape=row.shape,
        scopes=frozenset(map(Scope, row.scopes)),
        saved_by=row.saved_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        disabled_at=row.disabled_at,
        disabled_why=None if row.disabled_why is None else DisabledWhy(row.disabled_why),
        overlap_until=row.overlap_until,
        health=Health(slots_from_document(row.slots), row.trips, row.open_until, row.is_probing),
    )
