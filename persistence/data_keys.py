"""The data keys of partners, wrapped. What they wrap is in no table."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from persistence.database import Transaction

_COLUMNS = "version, wrapped, master_key_id, created_at, superseded_at"
_CURRENT = text(f"select {_COLUMNS} from data_keys where tenant_id = :tenant_id order by version desc limit 1")
_GET = text(f"select {_COLUMNS} from data_keys where tenant_id = :tenant_id and version = :version")
_LIST = text(f"select {_COLUMNS} from data_keys where tenant_id = :tenant_id order by version")
# It waits while a master key is being exchanged (see activate_master_key), and looks afterwards which one is active by now.
_INSERT = text("""
    insert into data_keys (tenant_id, version, wrapped, master_key_id, created_at)
    select :tenant_id, :version, :wrapped, id, :created_at from master_keys where id = :master_key_id and is_active
    on conflict do nothing
""")
_SUPERSEDE = text("""
    update data_keys set superseded_at = :at where tenant_id = :tenant_id and version < :version and superseded_at is null
""")
_REWRAP = text("""
    update data_keys set wrapped = :wrapped, master_key_id = :master_key_id
    where tenant_id = :tenant_id and version = :version and wrapped = :before
""")
_DESTROY = text("delete from data_keys where tenant_id = :tenant_id and version = :version and superseded_at <= :before")


@dataclass(frozen=True, slots=True)
class DataKeyRow:
    """`superseded_at`: since then a newer version is the current one."""

    version: int
    wrapped: bytes = field(repr=False)
    master_key_id: str
    created_at: datetime
    superseded_at: datetime | None = None


async def current_data_key(tx: Transaction, tenant_id: UUID) -> DataKeyRow | None:
    """The newest version. None: nothing of this tenant was ever sealed."""
    row = (await tx.execute(_CURRENT, {"tenant_id": tenant_id})).one_or_none()
    return _data_key(row) if row else None


async def get_data_key(tx: Transaction, tenant_id: UUID, version: int) -> DataKeyRow | None:
    """One version. None: there is none, or it was destroyed."""
    row = (await tx.execute(_GET, {"tenant_id": tenant_id, "version": version})).one_or_none()
    return _data_key(row) if row else None


async def list_data_keys(tx: Transaction, tenant_id: UUID) -> list[DataKeyRow]:
    """All versions that were not destroyed, the current one last."""
    return [_data_key(row) for row in await tx.execute(_LIST, {"tenant_id": tenant_id})]


async def insert_data_key(tx: Transaction, tenant_id: UUID, row: DataKeyRow) -> None:
    """Add a version, unless somebody has added it before, or its master key is not the active one any more: look what there is then."""
    parameters = {
        "tenant_id": tenant_id,
        "version": row.version,
        "wrapped": row.wrapped,
        "master_key_id": row.master_key_id,
        "created_at": row.created_at,
    }
    await tx.execute(_INSERT, parameters)


async def supersede_data_keys(tx: Transaction, tenant_id: UUID, version: int, at: datetime) -> int:
    """Note that this version is the current one. Returns how many it follows. Needs the owner's login."""
    return (await tx.execute(_SUPERSEDE, {"tenant_id": tenant_id, "version": version, "at": at})).rowcount


async def rewrap_data_key(tx: Transaction, tenant_id: UUID, before: DataKeyRow, *, master_key_id: str, wrapped: bytes) -> bool:
    """The same data key, wrapped by another master key; False when somebody was faster. Needs the owner's login."""
    parameters = {
        "tenant_id": tenant_id,
        "version": before.version,
        "before": before.wrapped,
        "master_key_id": master_key_id,
        "wrapped": wrapped,
    }
    return (await tx.execute(_REWRAP, parameters)).rowcount == 1


async def destroy_data_key(tx: Transaction, tenant_id: UUID, version: int, *, superseded_before: datetime) -> bool:
    """Destroy a version that has been superseded for so long. A stored number under it makes that fail. Needs the owner's login."""
    parameters = {"tenant_id": tenant_id, "version": version, "before": superseded_before}
    return (await tx.execute(_DESTROY, parameters)).rowcount == 1


def _data_key(row: Row[Any]) -> DataKeyRow:
    return DataKeyRow(row.version, row.wrapped, row.master_key_id, row.created_at, row.superseded_at)
