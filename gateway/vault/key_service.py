"""The seam to what keeps the master keys. They wrap data keys and nothing else, and whoever keeps them need not give them away.

`LocalKeyService` has them from settings. A key management service takes its place by these three members: its calls may go over a
network, so nobody asks it while a transaction is open.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.vault.data_key import NONCE_BYTES, DoesNotOpen
from persistence.database import DatabaseAway


class KeysAway(DatabaseAway):
    """The master keys can't be used just now. The same weather as a database that is away: nothing was done, try again."""


class UnknownMasterKey(KeysAway):
    """A data key is wrapped by a master key that this process was not started with: it missed a rotation, or came too early."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key, wrapped by that master key."""

    master_key_id: str
    content: bytes = field(repr=False)


class KeyService(Protocol):
    """What keeps the master keys. `context` is bound to a wrapping: under another one it does not open."""

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The master keys that it has. The first is the one that an empty database begins with; after it, the next one."""

    async def wrap(self, master_key_id: str, plaintext: bytes, context: bytes) -> Wrapped:
        """Wrap by that master key. Raises KeysAway and UnknownMasterKey."""

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """The plaintext. Raises KeysAway, UnknownMasterKey, and DoesNotOpen for another context or a changed content."""


class LocalKeyService:
    """A ring of master keys in this process: 32 bytes each, by their ids. AES-256-GCM; the first 12 bytes are the nonce."""

    def __init__(self, ring: Mapping[str, bytes]) -> None:
        assert ring, "a ring has a key"
        self._ring = {key_id: AESGCM(key) for key_id, key in ring.items()}

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._ring)

    async def wrap(self, master_key_id: str, plaintext: bytes, context: bytes) -> Wrapped:
        nonce = os.urandom(NONCE_BYTES)
        return Wrapped(master_key_id, nonce + self._key(master_key_id).encrypt(nonce, plaintext, context))

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        key, nonce = self._key(wrapped.master_key_id), wrapped.content[:NONCE_BYTES]
        try:
            return key.decrypt(nonce, wrapped.content[NONCE_BYTES:], context)
        except InvalidTag:
            raise DoesNotOpen("a data key does not open under its master key") from None

    def _key(self, master_key_id: str) -> AESGCM:
        if (key := self._ring.get(master_key_id)) is None:
            raise UnknownMasterKey(f"this process has no master key {master_key_id}")
        return key
