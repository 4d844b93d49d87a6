"""Makes data keys. The key service is asked between two transactions, never within one."""

import os
from datetime import datetime
from uuid import UUID

from gateway.vault.data_key import KEY_BYTES, VERSION_BYTES, DataKey
from gateway.vault.key_service import KeysAway, KeyService, Wrapped
from persistence.data_keys import DataKeyRow, get_data_key, insert_data_key
from persistence.database import Database
from persistence.master_keys import active_master_key

MAX_ROUNDS = 3  # a master key that is exchanged between two transactions is asked for again, this often


def context_of(tenant_id: UUID, version: int) -> bytes:
    """What a wrapped data key is bound to: in another partner's row, or as another version, it does not unwrap."""
    return b"data key" + tenant_id.bytes + version.to_bytes(VERSION_BYTES, "big")


async def unwrap_data_key(key_service: KeyService, tenant_id: UUID, row: DataKeyRow) -> DataKey:
    """Raises KeysAway, UnknownMasterKey and DoesNotOpen."""
    wrapped = Wrapped(row.master_key_id, row.wrapped)
    return DataKey(tenant_id, row.version, await key_service.unwrap(wrapped, context_of(tenant_id, row.version)))


async def make_data_key(
    database: Database, key_service: KeyService, tenant_id: UUID, version: int, now: datetime, *, promised: bool = False
) -> DataKeyRow:
    """This version of a tenant's data key: a new one, unless another process was faster; then its. Raises KeysAway and DatabaseAway."""
    for _ in range(MAX_ROUNDS):
        async with database.tenant(tenant_id, promised=promised) as tx:
            master_key_id = await active_master_key(tx)
        assert master_key_id is not None, "every process agrees on a master key before it begins"
        wrapped = await key_service.wrap(master_key_id, os.urandom(KEY_BYTES), context_of(tenant_id, version))
        async with database.tenant(tenant_id, promised=promised) as tx:
            await insert_data_key(tx, tenant_id, DataKeyRow(version, wrapped.content, master_key_id, now))
            made = await get_data_key(tx, tenant_id, version)
        if made is not None:
            return made
    raise KeysAway("the master key kept being exchanged")
