"""What the platform's staff does with the vault, with the owner's login and the master keys: rotate keys, and see how they stand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from app.house import key_service_of, old_seals_of
from app.settings import SettingsError, VaultSettings
from app.staff_entries import staff_entry
from app.staff_records import records, tenants_of
from domain.audit import AuditEntry
from domain.ids import IdKind, encode_id
from domain.partner import Mode, mode_of, tenant_of
from gateway.vault.master_keys import WrongMasterKey
from gateway.vault.rotation import NoNextMasterKey, OnProgress, Rewrapped, Rotated, Rotation
from gateway.world import World
from persistence.data_keys import DataKeyRow, list_data_keys
from persistence.database import Database
from persistence.master_keys import MasterKeyRow, list_master_keys


@dataclass(frozen=True, slots=True)
class Status:
    """The master keys that there were, which of them this command was given, and the data keys of each tenant that has some."""

    master_keys: Sequence[MasterKeyRow]
    ring: Sequence[str]
    data_keys: Sequence[tuple[UUID, Sequence[DataKeyRow]]]


def public_id(tenant_id: UUID) -> str:
    """A tenant as people know it: by its partner's id."""
    return encode_id(IdKind.PARTNER, tenant_of(tenant_id, Mode.LIVE))


async def rotate_data_keys(
    settings: VaultSettings, world: World, partner: str | None, *, is_new_wanted: bool, on_progress: OnProgress
) -> list[Rotated] | None:
    """A new data key for a partner and its sandbox, or for all. None: there is no such partner. Raises SettingsError."""
    async with _rotation(settings, world, on_progress) as (database, rotation):
        tenants = await _tenants(database, partner)
        if tenants is None:
            return None
        return [await rotation.rotate_data_key(each, is_new_wanted=is_new_wanted) for each in tenants]


async def rotate_master_key(settings: VaultSettings, world: World, on_progress: OnProgress) -> Rewrapped:
    """Make the next master key the active one, and wrap all data keys by it. Raises SettingsError."""
    async with _rotation(settings, world, on_progress) as (database, rotation):
        return await rotation.rotate_master_key(await tenants_of(database, None) or [])


async def vault_status(settings: VaultSettings, partner: str | None) -> Status | None:
    """How the keys stand. None: there is no such partner."""
    async with records(settings) as database:
        tenants = await _tenants(database, partner)
        if tenants is None:
            return None
        async with database.without_tenant() as tx:
            master_keys = await list_master_keys(tx)
        found: list[tuple[UUID, Sequence[DataKeyRow]]] = []
        for tenant_id in tenants:
            async with database.tenant(tenant_id) as tx:
                if rows := await list_data_keys(tx, tenant_id):
                    found.append((tenant_id, rows))
    return Status(master_keys, key_service_of(settings).key_ids, found)


@asynccontextmanager
async def _rotation(settings: VaultSettings, world: World, on_progress: OnProgress) -> AsyncIterator[tuple[Database, Rotation]]:
    def entry(tenant_id: UUID, action: str, note: str) -> AuditEntry:
        return staff_entry(world, action, public_id(tenant_id), note)

    async with records(settings) as database:
        try:
            yield (
                database,
                Rotation(database, key_service_of(settings), world, entry, old_seals_of(settings), on_progress),
            )
        except (NoNextMasterKey, WrongMasterKey) as error:
            raise SettingsError(f"{error}.") from None


async def _tenants(database: Database, partner: str | None) -> list[UUID] | None:
    """A partner's two tenants, or all."""
    found = await tenants_of(database, partner)
    if found is None or partner is None:
        return found
    return [tenant_of(each, mode) for each in found for mode in Mode if mode_of(each) is Mode.LIVE] or found
