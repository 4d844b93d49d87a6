"""Secrets of webhook endpoints: sealed under their partner's data key, opened to sign with. In the database is nothing to sign with."""

from collections.abc import Callable, Sequence
from uuid import UUID

from gateway.vault.data_key import Field, version_of
from gateway.vault.vault import Vault
from persistence.webhook_secrets import SealedSecret

Seal = Callable[[UUID], SealedSecret]


class WebhookSecrets:
    """The vault's side of endpoints."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def sealing(self, tenant_id: UUID, secret: bytes) -> Seal:
        """Seals this secret, for the row of this id. To be had before a transaction is opened. Raises KeysAway and DatabaseAway."""
        key = await self._vault.current_key(tenant_id)
        return lambda row_id: SealedSecret(row_id, key.seal(Field.WEBHOOK_SECRET, row_id, secret), key.version)

    async def open(self, tenant_id: UUID, sealed: Sequence[tuple[UUID, bytes]]) -> list[bytes]:
        """Secrets out of their rows' ids and seals. Outside of any transaction. Raises KeysAway, DatabaseAway and DoesNotOpen."""
        opened = []
        for row_id, content in sealed:
            key = await self._vault.key(tenant_id, version_of(content))
            opened.append(key.open(Field.WEBHOOK_SECRET, row_id, content))
        return opened
