"""API keys: only their keyed hashes are here."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.api_key import ApiKey
from persistence.database import Transaction

MAX_LISTED = 1000  # of one partner; a partner with more keys than that has lost count too

_COLUMNS = "tenant_id, id, name, shown, created_at, revoked_at"
_INSERT = text(
    "insert into api_keys (tenant_id, id, name, key_hash, shown, created_at) "
    "values (:tenant_id, :id, :name, :key_hash, :shown, :created_at)"
)
_PRESENTED = text(f"select {_COLUMNS} from api_keys where key_hash = :key_hash")
_LIST = text(f"select {_COLUMNS} from api_keys where tenant_id = :tenant_id order by created_at, id limit :limit")
_REVOKE = text(
    f"update api_keys set revoked_at = coalesce(revoked_at, :at) where tenant_id = :tenant_id and id = :id returning {_COLUMNS}"
)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(row.id, row.tenant_id, row.name, row.shown, row.created_at, row.revoked_at)


async def insert_api_key(tx: Transaction, key: ApiKey, key_hash: bytes) -> None:
    """A new key of the tenant. Needs the owner's login."""
    await tx.execute(
        _INSERT,
        {
            "tenant_id": key.tenant_id,
            "id": key.id,
            "name": key.name,
            "key_hash": key_hash,
            "shown": key.shown,
            "created_at": key.created_at,
        },
    )


async def find_presented_key(tx: Transaction, key_hash: bytes) -> ApiKey | None:
    """The key with this hash, in a transaction of `Database.presenting` the same hash. None: nobody's key."""
    row = (await tx.execute(_PRESENTED, {"key_hash": key_hash})).one_or_none()
    return _key(row) if row else None


async def list_api_keys(tx: Transaction, tenant_id: UUID) -> list[ApiKey]:
    """The tenant's keys, oldest first, revoked ones too, up to MAX_LISTED."""
    return [_key(row) for row in await tx.execute(_LIST, {"tenant_id": tenant_id, "limit": MAX_LISTED})]


async def revoke_api_key(tx: Transaction, tenant_id: UUID, key_id: UUID, at: datetime) -> ApiKey | None:
    """Revoke a key; a second time changes nothing. None: no such key. Needs the owner's login."""
    row = (await tx.execute(_REVOKE, {"tenant_id": tenant_id, "id": key_id, "at": at})).one_or_none()
    return _key(row) if row else None
