"""What the platform's staff does with partners and keys, with the owner's login."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from app.authentication import Authentication
from app.keys import API_KEYS, key_for
from app.settings import KeySettings, OwnerSettings, secret_bytes
from app.staff_entries import staff_entry
from domain.access import Unauthenticated
from domain.api_key import SHOWN_LENGTH, ApiKey, Network, account_of, hash_api_key, new_api_key
from domain.caller import Caller
from domain.ids import IdKind, decode_id_of, encode_id
from domain.partner import Mode, mode_of, tenant_of
from domain.scope import USUAL_SCOPES, Scope
from domain.tier import TierName
from gateway.world import real_world
from persistence import api_keys
from persistence import partners as partner_rows
from persistence.audit import record, record_for
from persistence.database import Database, Transaction
from persistence.wakeups import announce_access_once


@asynccontextmanager
async def owner_database(settings: OwnerSettings) -> AsyncIterator[Database]:
    """The database with the owner's login, for one command."""
    database = Database(settings.owner_database_url.get_secret_value(), pool_size=1)
    try:
        yield database
    finally:
        await database.close()


NOTED = 200  # characters of a list of origins in the audit log; the list itself is the partner's row
NOWHERE = ip_address("127.0.0.1")  # from where the platform's staff asks


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new key may do; `lasts` None: for ever, no networks: from anywhere."""

    mode: Mode = Mode.LIVE
    scopes: frozenset[Scope] = USUAL_SCOPES
    lasts: timedelta | None = None
    networks: tuple[Network, ...] = ()


USUAL_GRANT = Grant()


async def create_partner(settings: OwnerSettings, name: str, tier: TierName = TierName.STANDARD) -> str:
    """A new partner's id."""
    world = real_world()
    async with owner_database(settings) as database, database.without_tenant() as tx:
        partner = await partner_rows.insert_partner(tx, partner_id=world.new_uuid(), name=name, created_at=world.now(), tier=tier)
        public_id = encode_id(IdKind.PARTNER, partner.id)
        await record_for(tx, partner.id, [staff_entry(world, "partner.created", public_id, f"tier {tier.value}")])
    return public_id


async def list_partners(settings: OwnerSettings) -> list[dict[str, Any]]:
    """All partners, as JSON values."""
    async with owner_database(settings) as database, database.without_tenant() as tx:
        found = await partner_rows.list_partners(tx)
    return [
        {
            "id": encode_id(IdKind.PARTNER, each.id),
            "name": each.name,
            "tier": each.tier.value,
            "createdAt": each.created_at.isoformat(),
            "suspendedAt": _text(each.suspended_at),
            "allowedOrigins": None if each.allowed_origins is None else sorted(each.allowed_origins),
        }
        for each in found
    ]


async def set_tier(settings: OwnerSettings, partner: str, tier: TierName) -> bool:
    """Give a partner another tier, its sandbox keeps its own; False when there is no such partner."""
    entry = "partner.tier_set", f"tier {tier.value}"
    return await _change_partner(settings, partner, (Mode.LIVE,), lambda tx, ids: partner_rows.set_tier(tx, ids, tier), *entry)


async def set_cards_per_user(settings: OwnerSettings, partner: str, cards: int) -> bool:
    """How many open cards a user of this partner may have, its sandbox's too; False when there is no such partner."""
    entry = "partner.cards_per_user_set", f"{cards} cards"
    return await _change_partner(settings, partner, Mode, lambda tx, ids: partner_rows.set_cards_per_user(tx, ids, cards), *entry)


async def suspend_partner(settings: OwnerSettings, partner: str) -> bool:
    """Serve a partner nothing, its sandbox neither; what is under way goes on. False when there is no such partner."""
    now = real_world().now()
    return await _change_partner(
        settings, partner, Mode, lambda tx, ids: partner_rows.suspend_partners(tx, ids, now), "partner.suspended"
    )


async def resume_partner(settings: OwnerSettings, partner: str) -> bool:
    """Serve a partner again; False when there is no such partner."""
    return await _change_partner(settings, partner, Mode, partner_rows.resume_partners, "partner.resumed")


async def set_origins(settings: OwnerSettings, partner: str, origins: Sequence[str] | None) -> bool:
    """Give a partner a list of origins of its own, live and test, or None for the installation's. False when there is no such partner."""
    entry = "partner.origins_set", "as the installation has it" if origins is None else ", ".join(origins)[:NOTED]
    return await _change_partner(settings, partner, Mode, lambda tx, ids: partner_rows.set_origins(tx, ids, origins), *entry)


async def _change_partner(
    settings: OwnerSettings,
    partner: str,
    modes: Iterable[Mode],
    change: Callable[[Transaction, list[UUID]], Awaitable[int]],
    action: str,
    note: str = "",
) -> bool:
    """Change a partner's rows in one transaction, with an entry in each tenant's audit log; then tell every process."""
    partner_id = decode_id_of(IdKind.PARTNER, partner)
    if partner_id is None:
        return False
    tenants = [tenant_of(partner_id, mode) for mode in modes]
    async with owner_database(settings) as database, database.without_tenant() as tx:
        changed = await change(tx, tenants)
        for tenant_id in tenants if changed else []:
            await record_for(
                tx,
                tenant_id,
                [staff_entry(real_world(), action, encode_id(IdKind.PARTNER, tenant_of(partner_id, Mode.LIVE)), note)],
            )
    if changed:
        await _announce(settings, tenants)
    return changed > 0


async def create_key(settings: KeySettings, partner: str, name: str, grant: Grant = USUAL_GRANT) -> dict[str, str] | None:
    """A new key with its secret, or None when there is no such partner."""
    world = real_world()
    partner_id = decode_id_of(IdKind.PARTNER, partner)
    if partner_id is None:
        return None
    secret, now = new_api_key(grant.mode, world.random_bits(256)), world.now()
    key = ApiKey(
        id=world.new_uuid(),
        tenant_id=tenant_of(partner_id, grant.mode),
        name=name,
        shown=secret[:SHOWN_LENGTH],
        scopes=grant.scopes,
        created_at=now,
        expires_at=None if grant.lasts is None else now + grant.lasts,
        networks=grant.networks,
    )
    pepper = key_for(secret_bytes(settings.pepper), API_KEYS)
    async with owner_database(settings) as database, database.tenant(key.tenant_id) as tx:
        if await partner_rows.get_partner(tx, key.tenant_id) is None:
            return None
        await api_keys.insert_api_key(tx, key, hash_api_key(secret, pepper))
        public_id = encode_id(IdKind.API_KEY, key.id)
        await record(tx, key.tenant_id, [staff_entry(world, "key.created", public_id, account_of(key))])
    return {"id": public_id, "key": secret}


async def list_keys(settings: OwnerSettings, partner: str) -> list[dict[str, Any]] | None:
    """A partner's keys as JSON values, the live ones first; None when there is no such partner."""
    partner_id = decode_id_of(IdKind.PARTNER, partner)
    if partner_id is None:
        return None
    found: list[ApiKey] = []
    async with owner_database(settings) as database:
        for mode in Mode:
            tenant_id = tenant_of(partner_id, mode)
            async with database.tenant(tenant_id) as tx:
                if await partner_rows.get_partner(tx, tenant_id) is None:
                    return None
                found += await api_keys.list_api_keys(tx, tenant_id)
    return [_shown(each) for each in found]


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": encode_id(IdKind.API_KEY, key.id),
        "mode": mode_of(key.tenant_id).value,
        "name": key.name,
        "prefix": key.shown,
        "scopes": sorted(key.scopes),
        "networks": [str(each) for each in key.networks],
        "createdAt": key.created_at.isoformat(),
        "expiresAt": _text(key.expires_at),
        "lastUsedAt": _text(key.last_used_at),
        "revokedAt": _text(key.revoked_at),
        "replacedBy": encode_id(IdKind.API_KEY, key.replaced_by) if key.replaced_by else None,
    }


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


async def revoke_key(settings: OwnerSettings, partner: str, key: str) -> bool:
    """Revoke a key of either mode, then tell every process; False when the partner has no such key."""
    partner_id, key_id = decode_id_of(IdKind.PARTNER, partner), decode_id_of(IdKind.API_KEY, key)
    if partner_id is None or key_id is None:
        return False
    async with owner_database(settings) as database:
        for mode in Mode:
            tenant_id = tenant_of(partner_id, mode)
            async with database.tenant(tenant_id) as tx:
                revoked = await api_keys.revoke_api_key(tx, tenant_id, key_id, real_world().now())
                if revoked is not None:
                    await record(tx, tenant_id, [staff_entry(real_world(), "key.revoked", key)])
            if revoked is not None:
                await _announce(settings, [key_id])
                return True
    return False


async def _announce(settings: OwnerSettings, changed: list[UUID]) -> None:
    """Without Redis, or while it is away, every process finds out by itself within REVOCATION_S."""
    if settings.redis_url is not None:
        await announce_access_once(settings.redis_url.get_secret_value(), changed)


async def check_key(settings: KeySettings, key: str) -> str | None:
    """Why a key would be refused, or None when it is good."""
    pepper = key_for(secret_bytes(settings.pepper), API_KEYS)
    async with owner_database(settings) as database:
        authentication = Authentication(database, pepper, now=real_world().now, monotonic=lambda: 0.0)
        caller = await authentication.caller(f"Bearer {key}", NOWHERE)
    if isinstance(caller, Caller) or caller.why is Unauthenticated.ADDRESS_NOT_ALLOWED:
        return None  # where the staff sits says nothing of where the key will be used
    return caller.why.value
