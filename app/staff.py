"""What the platform's staff does with partners and keys, with the owner's login."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

from app.authentication import Authentication
from app.keys import API_KEYS, key_for
from app.settings import KeySettings, OwnerSettings, secret_bytes
from domain.access import Unauthenticated
from domain.api_key import SHOWN_LENGTH, ApiKey, hash_api_key, new_api_key
from domain.caller import Caller
from domain.ids import IdKind, decode_id_of, encode_id
from domain.partner import Mode, tenant_of
from domain.scope import ALL_SCOPES
from domain.tier import TierName
from gateway.world import real_world
from persistence import api_keys
from persistence import partners as partner_rows
from persistence.database import Database


@asynccontextmanager
async def owner_database(settings: OwnerSettings) -> AsyncIterator[Database]:
    """The database with the owner's login, for one command."""
    database = Database(settings.owner_database_url.get_secret_value(), pool_size=1)
    try:
        yield database
    finally:
        await database.close()


NOWHERE = ip_address("127.0.0.1")  # from where the platform's staff asks


async def create_partner(settings: OwnerSettings, name: str, tier: TierName = TierName.STANDARD) -> str:
    """A new partner's id."""
    world = real_world()
    async with owner_database(settings) as database, database.without_tenant() as tx:
        partner = await partner_rows.insert_partner(tx, partner_id=world.new_uuid(), name=name, created_at=world.now(), tier=tier)
    return encode_id(IdKind.PARTNER, partner.id)


async def list_partners(settings: OwnerSettings) -> list[dict[str, Any]]:
    """All partners, as JSON values."""
    async with owner_database(settings) as database, database.without_tenant() as tx:
        found = await partner_rows.list_partners(tx)
    return [
        {"id": encode_id(IdKind.PARTNER, each.id), "name": each.name, "createdAt": each.created_at.isoformat()} for each in found
    ]


async def create_key(settings: KeySettings, partner: str, name: str, mode: Mode = Mode.LIVE) -> dict[str, str] | None:
    """A new key with its secret, or None when there is no such partner."""
    world = real_world()
    tenant_id = decode_id_of(IdKind.PARTNER, partner)
    if tenant_id is None:
        return None
    tenant_id = tenant_of(tenant_id, mode)
    secret = new_api_key(mode, world.random_bits(256))
    key = ApiKey(world.new_uuid(), tenant_id, name, secret[:SHOWN_LENGTH], ALL_SCOPES, world.now())
    pepper = key_for(secret_bytes(settings.pepper), API_KEYS)
    async with owner_database(settings) as database, database.tenant(tenant_id) as tx:
        if await partner_rows.get_partner(tx, tenant_id) is None:
            return None
        await api_keys.insert_api_key(tx, key, hash_api_key(secret, pepper))
    return {"id": encode_id(IdKind.API_KEY, key.id), "key": secret}


async def list_keys(settings: OwnerSettings, partner: str) -> list[dict[str, Any]] | None:
    """A partner's keys as JSON values, or None when there is no such partner."""
    tenant_id = decode_id_of(IdKind.PARTNER, partner)
    if tenant_id is None:
        return None
    async with owner_database(settings) as database, database.tenant(tenant_id) as tx:
        if await partner_rows.get_partner(tx, tenant_id) is None:
            return None
        found = await api_keys.list_api_keys(tx, tenant_id)
    return [
        {
            "id": encode_id(IdKind.API_KEY, each.id),
            "name": each.name,
            "prefix": each.shown,
            "createdAt": each.created_at.isoformat(),
            "revokedAt": each.revoked_at.isoformat() if each.revoked_at else None,
        }
        for each in found
    ]


async def revoke_key(settings: OwnerSettings, partner: str, key: str) -> bool:
    """Revoke a key; False when the partner has no such key."""
    tenant_id, key_id = decode_id_of(IdKind.PARTNER, partner), decode_id_of(IdKind.API_KEY, key)
    if tenant_id is None or key_id is None:
        return False
    async with owner_database(settings) as database, database.tenant(tenant_id) as tx:
        return await api_keys.revoke_api_key(tx, tenant_id, key_id, real_world().now()) is not None


async def check_key(settings: KeySettings, key: str) -> str | None:
    """Why a key would be refused, or None when it is good."""
    pepper = key_for(secret_bytes(settings.pepper), API_KEYS)
    async with owner_database(settings) as database:
        authentication = Authentication(database, pepper, now=real_world().now, monotonic=lambda: 0.0)
        caller = await authentication.caller(f"Bearer {key}", NOWHERE)
    if isinstance(caller, Caller) or caller.why is Unauthenticated.ADDRESS_NOT_ALLOWED:
        return None  # where the staff sits says nothing of where the key will be used
    return caller.why.value
