"""Which master keys this database's data keys are wrapped by: their ids, never themselves. No partner's table."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from persistence.database import Transaction

_COLUMNS = "id, check_value, created_at, is_active, retired_at"
_LIST = text(f"select {_COLUMNS} from master_keys order by created_at, id")
_ACTIVE = text("select id from master_keys where is_active")
_BEGIN = text("""
    insert into master_keys (id, check_value, created_at, is_active) values (:id, :check_value, :created_at, true)
    on conflict do nothing
""")
# Waits for whoever is adding a data key, and lets nobody add one meanwhile: what comes after sees which master key is active by now.
_LOCK = text("lock table data_keys in share mode")
_DEACTIVATE = text("update master_keys set is_active = false where is_active")
_ACTIVATE = text("""
    insert into master_keys (id, check_value, created_at, is_active) values (:id, :check_value, :created_at, true)
    on conflict (id) do update set check_value = excluded.check_value, is_active = true, retired_at = null
""")
_RETIRE = text("update master_keys set retired_at = :at where not is_active and retired_at is null returning id")


@dataclass(frozen=True, slots=True)
class MasterKeyRow:
    """`check_value` is a known text wrapped by it. `retired_at`: since then no data key has been wrapped by it."""

    id: str
    check_value: bytes = field(repr=False)
    created_at: datetime
    is_active: bool
    retired_at: datetime | None


async def list_master_keys(tx: Transaction) -> list[MasterKeyRow]:
    """All that were ever used, oldest first."""
    return [_master_key(row) for row in await tx.execute(_LIST)]


async def active_master_key(tx: Transaction) -> str | None:
    """The one that new data keys are wrapped by. None: nothing was ever wrapped here."""
    found: str | None = (await tx.execute(_ACTIVE)).scalar_one_or_none()
    return found


async def begin_with_master_key(tx: Transaction, key_id: str, check_value: bytes, now: datetime) -> None:
    """The first master key of an empty database. Where there is one already, nothing changes."""
    await tx.execute(_BEGIN, {"id": key_id, "check_value": check_value, "created_at": now})


async def activate_master_key(tx: Transaction, key_id: str, check_value: bytes, now: datetime) -> None:
    """From the commit on, new data keys are wrapped by this one. Needs the owner's login."""
    await tx.execute(_LOCK)
    await tx.execute(_DEACTIVATE)
    await tx.execute(_ACTIVATE, {"id": key_id, "check_value": check_value, "created_at": now})


async def retire_master_keys(tx: Transaction, now: datetime) -> list[str]:
    """Note that no data key is wrapped by any but the active one. Returns which ones retired. Needs the owner's login."""
    return [row.id for row in await tx.execute(_RETIRE, {"at": now})]


def _master_key(row: Row[Any]) -> MasterKeyRow:
    return MasterKeyRow(row.id, row.check_value, row.created_at, row.is_active, row.retired_at)
