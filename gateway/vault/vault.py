"""The vault of a process: has the data keys at hand, unwrapped, so that sealing and opening cost no round trip.

What is remembered is bounded: by number, and for "which version is current" by time. So another process may seal under a superseded
version for a while; that version stays until nobody can (`gateway/vault/rotation.py`).
"""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from domain.card import CardDetails
from gateway.sealing import OldCardSeal, is_old_seal, open_card
from gateway.vault.data_key import DataKey, DoesNotOpen, Field, version_of
from gateway.vault.data_keys import make_data_key, unwrap_data_key
from gateway.vault.key_service import KeyService
from persistence.data_keys import current_data_key, get_data_key
from persistence.database import Database

CURRENT_FOR = timedelta(seconds=60)  # after a rotation every process seals under the new version within a minute
MAX_KEYS = 10_000  # tenants of which a process remembers keys: a kilobyte each; who is left out costs a look and an unwrapping
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SealedNumber:
    """A card's number as it is stored, and the version of the data key under which it is sealed."""

    sealed: bytes = field(repr=False)
    key_version: int


class Vault:
    """One of these in a process, for all tenants. `fingerprint_key` keys the fingerprints of card numbers.

    `old_seals` open what the version before this one has sealed into attempts that are still open.
    """

    def __init__(
        self,
        database: Database,
        key_service: KeyService,
        now: Callable[[], datetime],
        *,
        fingerprint_key: bytes,
        old_seals: Sequence[OldCardSeal] = (),
    ) -> None:
        self._database = database
        self._key_service = key_service
        self._now = now
        self._fingerprint_key = fingerprint_key
        self._old_seals = tuple(old_seals)
        self._current: OrderedDict[UUID, tuple[int, datetime]] = OrderedDict()
        self._keys: OrderedDict[tuple[UUID, int], DataKey] = OrderedDict()
        self._looking: dict[tuple[UUID, int | None], asyncio.Task[DataKey]] = {}

    async def current_key(self, tenant_id: UUID) -> DataKey:
        """The key to seal with; a tenant's first one is made now. To be had before a transaction is opened.

        Raises KeysAway and DatabaseAway, and nothing was done then.
        """
        if (known := self._current.get(tenant_id)) is not None:
            version, looked_at = known
            key = self._keys.get((tenant_id, version))
            if key is not None and timedelta(0) <= self._now() - looked_at < CURRENT_FOR:
                _touch(self._current, tenant_id)
                _touch(self._keys, (tenant_id, version))
                return key
        return await self._one_look((tenant_id, None), lambda: self._look_for_current(tenant_id))

    async def key(self, tenant_id: UUID, version: int) -> DataKey:
        """The key of one version, to open with. Raises KeysAway, DatabaseAway, and DoesNotOpen when it was destroyed."""
        if (key := self._keys.get((tenant_id, version))) is not None:
            _touch(self._keys, (tenant_id, version))
            return key
        return await self._one_look((tenant_id, version), lambda: self._look_for(tenant_id, version))

    async def open_card(self, sealed: bytes, tenant_id: UUID, attempt_id: UUID) -> CardDetails:
        """The card of an open attempt. Raises KeysAway, DatabaseAway and DoesNotOpen."""
        if is_old_seal(sealed):
            for old in self._old_seals:
                if (card := old.open(sealed, tenant_id, attempt_id)) is not None:
                    return card
            raise DoesNotOpen(f"the card of {attempt_id} does not open")
        return open_card(await self.key(tenant_id, version_of(sealed)), attempt_id, sealed)

    async def seal_number(self, tenant_id: UUID, card_id: UUID, number: str) -> SealedNumber:
        """A card's number, as `persistence.card_numbers` stores it. Raises KeysAway and DatabaseAway."""
        key = await self.current_key(tenant_id)
        return SealedNumber(key.seal(Field.CARD_NUMBER, card_id, number.encode()), key.version)

    async def open_number(self, tenant_id: UUID, card_id: UUID, sealed: bytes) -> str:
        """A stored card's number, on its way to the bank. Raises KeysAway, DatabaseAway and DoesNotOpen."""
        key = await self.key(tenant_id, version_of(sealed))
        return key.open(Field.CARD_NUMBER, card_id, sealed).decode()

    def fingerprint(self, tenant_id: UUID, number: str) -> bytes:
        """32 bytes that stand for a card number within one tenant: two tenants' tables can't be compared, nor searched for a number."""
        return hmac.digest(self._fingerprint_key, tenant_id.bytes + number.encode(), "sha256")

    async def _look_for_current(self, tenant_id: UUID) -> DataKey:
        looked_at = self._now()
        async with self._database.tenant(tenant_id) as tx:
            row = await current_data_key(tx, tenant_id)
        if row is None:
            row = await make_data_key(self._database, self._key_service, tenant_id, 1, looked_at)
        key = self._keys.get((tenant_id, row.version)) or await unwrap_data_key(self._key_service, tenant_id, row)
        _remember(self._current, tenant_id, (row.version, looked_at))
        _remember(self._keys, (tenant_id, row.version), key)
        return key

    async def _look_for(self, tenant_id: UUID, version: int) -> DataKey:
        async with self._database.tenant(tenant_id, promised=True) as tx:  # what is to be opened was promised already
            row = await get_data_key(tx, tenant_id, version)
        if row is None:
            raise DoesNotOpen(f"there is no version {version} of the data key of {tenant_id}")
        key = await unwrap_data_key(self._key_service, tenant_id, row)
        _remember(self._keys, (tenant_id, version), key)
        return key

    async def _one_look(self, what: tuple[UUID, int | None], look: Callable[[], Awaitable[DataKey]]) -> DataKey:
        """Look, or wait for the look that is under way: a thousand requests of one tenant ask the key service once."""
        task = self._looking.get(what)
        if task is None:
            task = self._looking[what] = asyncio.ensure_future(look())
            task.add_done_callback(lambda _: self._looking.pop(what, None))
        return await asyncio.shield(task)  # a caller who hangs up must not take the others' look away


_K = TypeVar("_K")


def _remember(memory: OrderedDict[_K, _T], name: _K, value: _T) -> None:
    memory[name] = value
    memory.move_to_end(name)
    if len(memory) > MAX_KEYS:
        memory.popitem(last=False)


def _touch(memory: OrderedDict[_K, _T], name: _K) -> None:
    memory.move_to_end(name)
