"""Vaults of several processes over one database, and a key service that can be away."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from app.keys import CARD_FINGERPRINTS, key_for, ring_of
from app.staff_entries import staff_entry
from domain.card import CardBrand
from gateway.vault.key_service import KeysAway, LocalKeyService, Wrapped
from gateway.vault.rotation import Rotation
from gateway.vault.vault import Vault
from persistence.card_numbers import get_card_numbers, insert_card_number
from persistence.data_keys import list_data_keys
from persistence.database import Database
from tests.conftest import MASTER_KEY, PEPPER, Here

NEXT_MASTER_KEY = b"n" * 32
NUMBER = "4111111111111111"


class RemoteKeyService(LocalKeyService):
    """As if it were behind a network: counts the questions, and can be away."""

    def __init__(self, *master_keys: bytes) -> None:
        super().__init__(ring_of(*master_keys))
        self.is_away = False
        self.asked = 0

    async def wrap(self, master_key_id: str, plaintext: bytes, context: bytes) -> Wrapped:
        self._ask()
        return await super().wrap(master_key_id, plaintext, context)

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        self._ask()
        return await super().unwrap(wrapped, context)

    def _ask(self) -> None:
        self.asked += 1
        if self.is_away:
            raise KeysAway("no answer from the key service")


@pytest.fixture
def key_service() -> RemoteKeyService:
    return RemoteKeyService(MASTER_KEY)


@pytest.fixture
def another_vault(database: Database, here: Here, vault: Vault) -> Callable[..., Vault]:
    """The vault of another process."""

    def make(key_service: LocalKeyService | None = None) -> Vault:
        service = key_service or LocalKeyService(ring_of(MASTER_KEY))
        return Vault(database, service, here.world.now, fingerprint_key=key_for(PEPPER, CARD_FINGERPRINTS))

    return make


@pytest.fixture
def a_card(database: Database, here: Here) -> Callable[[UUID], Awaitable[UUID]]:
    """Makes a user with a card, without a number."""

    async def make(tenant_id: UUID) -> UUID:
        card_id = here.world.new_uuid()
        async with database.tenant(tenant_id) as tx:
            for statement in _CARD:
                await tx.execute(
                    text(statement), {"tenant": tenant_id, "card": card_id, "brand": CardBrand.VISA, "now": here.time}
                )
        return card_id

    return make


_CARD = (
    """insert into users (tenant_id, id, external_id, metadata, state, created_at, updated_at)
       values (:tenant, :card, cast(cast(:card as uuid) as text), '{}', 'ACTIVE', :now, :now)""",
    """insert into cards (tenant_id, id, user_id, kind, brand, last_four, expiry_month, expiry_year, fingerprint, state, created_at,
                          state_since)
       values (:tenant, :card, :card, 'ADDED', :brand, '1111', 12, 2030, sha256(uuid_send(:card)), 'ACTIVE', :now, :now)""",
)


@pytest.fixture
def rotation(owner, here):
    """Makes the rotation of a command, with these master keys and this world."""

    def make(*master_keys, key_service=None, world=None):
        def entry(tenant_id, action, note):
            return staff_entry(here.world, action, str(tenant_id), note)

        service = key_service or LocalKeyService(ring_of(*(master_keys or [MASTER_KEY])))
        return Rotation(owner, service, world or here.world, entry)

    return make


@pytest.fixture
def store(database, a_card, tenant):
    """Stores a number for a new card, as whoever adds one does."""

    async def put(vault, number=NUMBER):
        card_id = await a_card(tenant)
        sealed = await vault.seal_number(tenant, card_id, number)
        async with database.tenant(tenant) as tx:
            await insert_card_number(tx, tenant, card_id, sealed.sealed, key_version=sealed.key_version)
        return card_id

    return put


@pytest.fixture
def seals(database, tenant):
    async def read():
        async with database.tenant(tenant) as tx:
            rows = (await tx.execute(text("select card_id from card_numbers where tenant_id = :t"), {"t": tenant})).all()
            return await get_card_numbers(tx, tenant, [row.card_id for row in rows])

    return read


@pytest.fixture
def versions(database, tenant):
    async def read():
        async with database.tenant(tenant) as tx:
            return [row.version for row in await list_data_keys(tx, tenant)]

    return read


@pytest.fixture
def actions(owner, tenant):
    async def read():
        async with owner.tenant(tenant) as tx:
            rows = await tx.execute(
                text("select action, note from audit_log where tenant_id = :t order by sequence"), {"t": tenant}
            )
            return [(row.action, row.note) for row in rows if row.action.startswith("vault.")]

    return read


class Crash(BaseException):
    """What a process dies of."""


def dying_at(world, failpoint, passing=1):
    passings = []

    async def reach(reached):
        if reached is failpoint:
            passings.append(reached)
            if len(passings) == passing:
                raise Crash

    return replace(world, reach=reach)
