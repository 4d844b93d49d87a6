"""Partners: the tenants of this platform."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.partner import Mode, Partner, tenant_of
from domain.tier import TierName
from persistence.database import Transaction

PAGE = 1000  # ids at a time, for rounds over all partners
MAX_LISTED = 1000  # for staff at a terminal; more than that wants a report, not a list

_COLUMNS = "id, name, created_at, tier, suspended_at, allowed_origins"
_INSERT = text("""
    with live as (
        insert into partners (id, name, created_at, tier) values (:id, :name, :created_at, :tier) returning id, name, created_at
    )
    insert into partners (id, name, created_at, tier, sandbox_of) select :sandbox, name, created_at, 'TRIAL', id from live
""")
_GET = text(f"select {_COLUMNS} from partners where id = :id")
_LIST = text(f"select {_COLUMNS} from partners where sandbox_of is null order by created_at, id limit :limit")

# As `domain.partner.mode_of` has it, for queries that serve one mode: a rush of one must not fill the pages of the other.
IN_MODE = "(coalesce(uuid_extract_version({}), 7) = 8) = (cast(:mode as text) = 'TEST')"
_SET_TIER = text("update partners set tier = :tier where id = any(cast(:ids as uuid[]))")
_SET_CARDS = text("update partners set cards_per_user = :cards where id = any(cast(:ids as uuid[]))")
_SUSPEND = text("update partners set suspended_at = coalesce(suspended_at, :at) where id = any(cast(:ids as uuid[]))")
_RESUME = text("update partners set suspended_at = null where id = any(cast(:ids as uuid[]))")
_SET_ORIGINS = text("update partners set allowed_origins = :origins where id = any(cast(:ids as uuid[]))")
_IDS = text("select id from partners where id > :after order by id limit :limit")
_IDS_IN_MODE = text(f"select id from partners where id > :after and {IN_MODE.format('id')} order by id limit :limit")


async def insert_partner(
    tx: Transaction, *, partner_id: UUID, name: str, created_at: datetime, tier: TierName = TierName.STANDARD
) -> Partner:
    """A new partner, with its sandbox. Needs the owner's login."""
    sandbox = tenant_of(partner_id, Mode.TEST)
    await tx.execute(_INSERT, {"id": partner_id, "name": name, "created_at": created_at, "tier": tier, "sandbox": sandbox})
    return Partner(partner_id, name, created_at, tier)


async def get_partner(tx: Transaction, partner_id: UUID) -> Partner | None:
    """One tenant, or None where there is none or another's tenant is set."""
    row = (await tx.execute(_GET, {"id": partner_id})).one_or_none()
    return partner_of(row) if row else None


async def list_partners(tx: Transaction) -> list[Partner]:
    """All partners, oldest first, up to MAX_LISTED; their sandboxes are not listed. Needs the owner's login."""
    return [partner_of(row) for row in await tx.execute(_LIST, {"limit": MAX_LISTED})]


async def partner_ids(tx: Transaction, after: UUID | None = None, mode: Mode | None = None) -> list[UUID]:
    """The next PAGE tenants behind `after`, by id, in one mode or in both. Needs the worker's or the owner's login."""
    parameters = {"after": after or UUID(int=0), "limit": PAGE}
    rows = await (tx.execute(_IDS, parameters) if mode is None else tx.execute(_IDS_IN_MODE, parameters | {"mode": mode}))
    return [row.id for row in rows]


async def set_tier(tx: Transaction, ids: Sequence[UUID], tier: TierName) -> int:
    """Give tenants a tier. Returns how many there are. Needs the owner's login."""
    return (await tx.execute(_SET_TIER, {"ids": list(ids), "tier": tier})).rowcount


async def set_cards_per_user(tx: Transaction, ids: Sequence[UUID], cards: int) -> int:
    """How many open cards a user of these tenants may have. Returns how many tenants there are. Needs the owner's login."""
    return (await tx.execute(_SET_CARDS, {"ids": list(ids), "cards": cards})).rowcount


async def suspend_partners(tx: Transaction, ids: Sequence[UUID], at: datetime) -> int:
    """Suspend tenants; a second time changes nothing. Returns how many there are. Needs the owner's login."""
    return (await tx.execute(_SUSPEND, {"ids": list(ids), "at": at})).rowcount


async def resume_partners(tx: Transaction, ids: Sequence[UUID]) -> int:
    """Let tenants in again. Returns how many there are. Needs the owner's login."""
    return (await tx.execute(_RESUME, {"ids": list(ids)})).rowcount


async def set_origins(tx: Transaction, ids: Sequence[UUID], origins: Sequence[str] | None) -> int:
    """Give tenants a list of origins of their own, or none. Returns how many there are. Needs the owner's login."""
    return (await tx.execute(_SET_ORIGINS, {"ids": list(ids), "origins": None if origins is None else list(origins)})).rowcount


def partner_of(row: Row[Any]) -> Partner:
    """A row's partner."""
    return Partner(row.id, row.name, row.created_at, TierName(row.tier), row.suspended_at, origins_of(row))


def origins_of(row: Row[Any]) -> frozenset[str] | None:
    """A row's list of origins."""
    return None if row.allowed_origins is None else frozenset(row.allowed_origins)
