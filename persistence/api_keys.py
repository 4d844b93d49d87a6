"""API keys: only their keyed hashes are here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.api_key import ApiKey
from domain.partner import Partner
from domain.scope import Scope
from domain.tier import TierName
from persistence.database import Transaction
from persistence.partners import origins_of

MAX_LISTED = 1000  # of one partner; a partner with more keys than that has lost count too

_COLUMNS = """
    api_keys.tenant_id, api_keys.id, api_keys.name, shown, scopes, api_keys.created_at, created_by, expires_at, networks,
    last_used_at, revoked_at, replaced_by
"""
_INSERT = text("""
    insert into api_keys (tenant_id, id, name, key_hash, shown, scopes, created_at, created_by, expires_at, networks)
    values (:tenant_id, :id, :name, :key_hash, :shown, :scopes, :created_at, :created_by, :expires_at, :networks)
""")
_PRESENTED = text(f"""
    select {_COLUMNS}, partners.name as partner_name, partners.created_at as partner_since, tier, suspended_at,
           allowed_origins
    from api_keys join partners on partners.id = api_keys.tenant_id where key_hash = :key_hash
""")
_LIST = text(f"select {_COLUMNS} from api_keys where tenant_id = :tenant_id order by created_at, id limit :limit")
_PAGE = text(f"""
    select {_COLUMNS} from api_keys where tenant_id = :tenant_id and (cast(:before as uuid) is null or id < :before)
    order by id desc limit :limit
""")
_FIND = text(f"select {_COLUMNS} from api_keys where tenant_id = :tenant_id and id = :id")
_LOCK = text("select id from api_keys where tenant_id = :tenant_id order by id limit 1 for update")
_COUNT = text("""
    select count(*) from api_keys
    where tenant_id = :tenant_id and revoked_at is null and replaced_by is null and (expires_at is null or expires_at > :now)
""")
_END = text("""
    update api_keys set expires_at = :expires_at, replaced_by = :replaced_by where tenant_id = :tenant_id and id = :id
""")
# The later of two: processes write when they come to it.
_LAST_USED = text("""
    update api_keys set last_used_at = greatest(last_used_at, given.at)
    from unnest(cast(:ids as uuid[]), cast(:ats as timestamptz[])) as given (id, at)
    where tenant_id = :tenant_id and api_keys.id = given.id
""")
_REVOKE = text(
    f"update api_keys set revoked_at = coalesce(revoked_at, :at) where tenant_id = :tenant_id and id = :id returning {_COLUMNS}"
)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        shown=row.shown,
        scopes=frozenset(map(Scope, row.scopes)),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        networks=tuple(row.networks),
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        replaced_by=row.replaced_by,
    )


async def insert_api_key(tx: Transaction, key: ApiKey, key_hash: bytes) -> None:
    """A new key of the tenant."""
    await tx.execute(
        _INSERT,
        {
            "tenant_id": key.tenant_id,
            "id": key.id,
            "name": key.name,
            "key_hash": key_hash,
            "shown": key.shown,
            "scopes": sorted(key.scopes),
            "created_at": key.created_at,
            "created_by": key.created_by,
            "expires_at": key.expires_at,
            "networks": list(key.networks),
        },
    )


async def find_presented_key(tx: Transaction, key_hash: bytes) -> tuple[ApiKey, Partner] | None:
    """The key with this hash and its tenant, in a transaction of `Database.presenting` the same hash. None: nobody's key."""
    row = (await tx.execute(_PRESENTED, {"key_hash": key_hash})).one_or_none()
    if row is None:
        return None
    tier, origins = TierName(row.tier), origins_of(row)
    return _key(row), Partner(row.tenant_id, row.partner_name, row.partner_since, tier, row.suspended_at, origins)


async def list_api_keys(tx: Transaction, tenant_id: UUID) -> list[ApiKey]:
    """The tenant's keys, oldest first, revoked ones too, up to MAX_LISTED."""
    return [_key(row) for row in await tx.execute(_LIST, {"tenant_id": tenant_id, "limit": MAX_LISTED})]


async def revoke_api_key(tx: Transaction, tenant_id: UUID, key_id: UUID, at: datetime) -> ApiKey | None:
    """Revoke a key; a second time changes nothing. None: no such key."""
    row = (await tx.execute(_REVOKE, {"tenant_id": tenant_id, "id": key_id, "at": at})).one_or_none()
    return _key(row) if row else None


async def page_of_api_keys(tx: Transaction, tenant_id: UUID, *, limit: int, before: UUID | None) -> list[ApiKey]:
    """The tenant's keys, newest first, those that ended too; `before` is where the last page ended."""
    return [_key(row) for row in await tx.execute(_PAGE, {"tenant_id": tenant_id, "limit": limit, "before": before})]


async def find_api_key(tx: Transaction, tenant_id: UUID, key_id: UUID) -> ApiKey | None:
    """One key of the tenant's, or None."""
    row = (await tx.execute(_FIND, {"tenant_id": tenant_id, "id": key_id})).one_or_none()
    return _key(row) if row else None


async def lock_api_keys(tx: Transaction, tenant_id: UUID) -> None:
    """One change of a tenant's keys at a time: the lock on its first key stands for all of them."""
    await tx.execute(_LOCK, {"tenant_id": tenant_id})


async def count_usable_keys(tx: Transaction, tenant_id: UUID, now: datetime) -> int:
    """How many keys are good, not counting those that have a successor."""
    count: int = (await tx.execute(_COUNT, {"tenant_id": tenant_id, "now": now})).scalar_one()
    return count


async def end_api_key(tx: Transaction, key: ApiKey) -> None:
    """Write when a key ends and which one comes after it."""
    parameters = {"tenant_id": key.tenant_id, "id": key.id, "expires_at": key.expires_at, "replaced_by": key.replaced_by}
    await tx.execute(_END, parameters)


async def note_last_use(tx: Transaction, tenant_id: UUID, used: Mapping[UUID, datetime]) -> None:
    """When these keys were used last; an earlier time than the one that is known changes nothing."""
    await tx.execute(_LAST_USED, {"tenant_id": tenant_id, "ids": list(used), "ats": list(used.values())})
