"""Partners: the tenants of this platform."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from domain.partner import Partner
from persistence.database import Transaction

PAGE = 1000  # ids at a time, for rounds over all partners
MAX_LISTED = 1000  # for staff at a terminal; more than that wants a report, not a list

_INSERT = text("insert into partners (id, name, created_at) values (:id, :name, :created_at)")
_GET = text("select id, name, created_at from partners where id = :id")
_LIST = text("select id, name, created_at from partners order by created_at, id limit :limit")

_IDS = text("select id from partners where id > :after order by id limit :limit")


async def insert_partner(tx: Transaction, *, partner_id: UUID, name: str, created_at: datetime) -> Partner:
    """A new partner. Needs the owner's login."""
    await tx.execute(_INSERT, {"id": partner_id, "name": name, "created_at": created_at})
    return Partner(partner_id, name, created_at)


async def get_partner(tx: Transaction, partner_id: UUID) -> Partner | None:
    """One partner, or None where there is none or another's tenant is set."""
    row = (await tx.execute(_GET, {"id": partner_id})).one_or_none()
    return Partner(row.id, row.name, row.created_at) if row else None


async def list_partners(tx: Transaction) -> list[Partner]:
    """All partners, oldest first, up to MAX_LISTED. Needs the owner's login."""
    return [Partner(row.id, row.name, row.created_at) for row in await tx.execute(_LIST, {"limit": MAX_LISTED})]


async def partner_ids(tx: Transaction, after: UUID | None = None) -> list[UUID]:
    """The next PAGE partners behind `after`, by id. Needs the worker's or the owner's login."""
    return [row.id for row in await tx.execute(_IDS, {"after": after or UUID(int=0), "limit": PAGE})]
