"""What the platform's staff reads across partners, with the owner's login: a partner's records, or the first ones of all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from app.settings import OwnerSettings
from app.staff import owner_database
from domain.ids import IdKind, decode_id_of
from persistence.database import Database, Transaction
from persistence.partners import get_partner, partner_ids
from persistence.revision import check_revision

T = TypeVar("T")


@asynccontextmanager
async def records(settings: OwnerSettings) -> AsyncIterator[Database]:
    """The database with the owner's login, if it has what staff reads. Raises NotMigrated."""
    async with owner_database(settings) as database:
        await check_revision(database)
        yield database


async def tenants_of(database: Database, partner: str | None) -> list[UUID] | None:
    """That partner, or all of them. None: there is no such partner."""
    if partner is not None:
        tenant_id = decode_id_of(IdKind.PARTNER, partner)
        if tenant_id is None:
            return None
        async with database.tenant(tenant_id) as tx:
            return [tenant_id] if await get_partner(tx, tenant_id) else None
    tenants: list[UUID] = []
    async with database.without_tenant() as tx:
        while page := await partner_ids(tx, tenants[-1] if tenants else None):
            tenants += page
    return tenants


async def first_of(
    database: Database,
    tenants: Sequence[UUID],
    read: Callable[[Transaction, UUID], Awaitable[Sequence[T]]],
    *,
    order: Callable[[T], Any],
    limit: int,
    newest: bool = False,
) -> list[tuple[UUID, T]]:
    """The first of what `read` finds with each tenant, and whose it is; no more than that and one page is ever in memory."""
    found: list[tuple[UUID, T]] = []
    for tenant_id in tenants:
        async with database.tenant(tenant_id) as tx:
            page = await read(tx, tenant_id)
        found = sorted([*found, *((tenant_id, each) for each in page)], key=lambda pair: order(pair[1]), reverse=newest)[:limit]
    return found
