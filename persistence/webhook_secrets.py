"""Secrets of webhook endpoints, sealed, and apart from the endpoints: who reads those reads nothing to sign with."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from persistence.database import Transaction

_INSERT = text("""
    insert into webhook_secrets (tenant_id, id, endpoint_id, sealed, key_version, created_at)
    values (:tenant_id, :id, :endpoint_id, :sealed, :key_version, :now)
""")
_END_BEFORE = text("""
    delete from webhook_secrets where tenant_id = :tenant_id and endpoint_id = :endpoint_id and good_until is not null
""")
_END_NOW = text("""
    update webhook_secrets set good_until = :until
    where tenant_id = :tenant_id and endpoint_id = :endpoint_id and good_until is null
""")
_GET = text("""
    select id, endpoint_id, sealed from webhook_secrets
    where tenant_id = :tenant_id and endpoint_id = any(cast(:ids as uuid[])) and (good_until is null or good_until > :now)
    order by created_at desc, id desc
""")
_ERASE = text("delete from webhook_secrets where tenant_id = :tenant_id and endpoint_id = :endpoint_id")
_FORGET = text("delete from webhook_secrets where tenant_id = :tenant_id and good_until <= :now")


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret as it is stored, and the version of the data key under which it is sealed."""

    id: UUID
    sealed: bytes = field(repr=False)
    key_version: int


async def insert_secret(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, secret: SealedSecret, now: datetime) -> None:
    """Give an endpoint a secret. Only one at a time is good for ever."""
    parameters = {"id": secret.id, "endpoint_id": endpoint_id, "sealed": secret.sealed, "key_version": secret.key_version}
    await tx.execute(_INSERT, {"tenant_id": tenant_id, "now": now, **parameters})


async def end_secret(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, until: datetime) -> None:
    """The secret that an endpoint has is good until then; one that had an end already ends now: there are two at most."""
    parameters = {"tenant_id": tenant_id, "endpoint_id": endpoint_id}
    await tx.execute(_END_BEFORE, parameters)
    await tx.execute(_END_NOW, parameters | {"until": until})


async def get_secrets(
    tx: Transaction, tenant_id: UUID, endpoint_ids: Sequence[UUID], now: datetime
) -> dict[UUID, list[tuple[UUID, bytes]]]:
    """The ids and seals of endpoints' good secrets, the newest first."""
    found: defaultdict[UUID, list[tuple[UUID, bytes]]] = defaultdict(list)
    for row in await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(endpoint_ids), "now": now}):
        found[row.endpoint_id].append((row.id, row.sealed))
    return dict(found)


async def erase_secrets(tx: Transaction, tenant_id: UUID, endpoint_id: UUID) -> None:
    """Forget an endpoint's secrets."""
    await tx.execute(_ERASE, {"tenant_id": tenant_id, "endpoint_id": endpoint_id})


async def forget_secrets(tx: Transaction, tenant_id: UUID, now: datetime) -> None:
    """Forget secrets that have ended."""
    await tx.execute(_FORGET, {"tenant_id": tenant_id, "now": now})
