"""Vaults of several processes over one database, and a key service that can be away."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from app.keys import CARD_FINGERPRINTS, key_for, ring_of
from domain.card import CardBrand
from gateway.vault.key_service import KeysAway, LocalKeyService, Wrapped
from gateway.vault.vault import Vault
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
