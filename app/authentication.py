"""From the Authorization header to a caller. A key that can't be one of ours never reaches the database."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cachetools import LRUCache, TTLCache

from app.wrong_keys import WrongKeys
from domain.access import Refused, Unauthenticated, why_refused
from domain.api_key import ApiKey, hash_api_key, is_well_formed
from domain.caller import Address, Caller
from domain.partner import Partner
from persistence.api_keys import find_presented_key
from persistence.database import Database

REVOCATION_S = 5.0  # a revoked key is refused everywhere after this time at the latest; with Redis, within one second
SLOW_LOOK_S = 1.0  # a look that takes longer is not remembered: what it has seen may be older than it seems
REMEMBERED_S = REVOCATION_S - SLOW_LOOK_S
CACHED_KEYS = 10_000  # known keys in memory, some 500 bytes each; unknown ones are not kept, they would push these out


def _nobody_cares(_: ApiKey) -> None:
    """A key was used."""


class Authentication:
    """Tells who presents a key. `now` for what expires; `monotonic` in seconds, for the age of what is remembered.

    `used` is told of each key that was let in. Whoever hears that a key or a partner has changed tells `changed`.
    """

    def __init__(
        self,
        database: Database,
        pepper: bytes,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        used: Callable[[ApiKey], None] = _nobody_cares,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._now, self._monotonic, self._used = now, monotonic, used
        self._changes = 0
        self._known: TTLCache[bytes, tuple[ApiKey, Partner]] = TTLCache(CACHED_KEYS, REMEMBERED_S, timer=monotonic)
        self._met: LRUCache[bytes, None] = LRUCache(CACHED_KEYS)  # hashes of keys that were known once
        self._wrong = WrongKeys(monotonic)
        self._looking: dict[bytes, asyncio.Future[tuple[ApiKey, Partner] | Refused]] = {}

    async def caller(self, authorization: str | None, address: Address) -> Caller | Refused:
        """Who is behind an Authorization header's value. Raises DatabaseAway."""
        if not authorization:
            return Refused(Unauthenticated.MISSING_KEY)
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not is_well_formed(text):
            return Refused(Unauthenticated.MALFORMED_KEY)
        key_hash = hash_api_key(text, self._pepper)
        known = self._known.get(key_hash) or await self._look_up(key_hash, address)
        if isinstance(known, Refused):
            return known
        key, partner = known
        why = why_refused(key, partner, address, self._now())
        if why is not None:
            return Refused(why)
        self._used(key)
        return Caller(key, partner, address)

    def changed(self, what: UUID | None) -> None:
        """A key or a tenant is not what it was: look it up anew. None: any may have changed."""
        self._changes += 1
        self._looking.clear()  # who comes from now on must not share a look that began before
        if what is None:
            self._known.clear()
            return
        for key_hash, (key, partner) in list(self._known.items()):
            if what in (key.id, partner.id):
                del self._known[key_hash]

    async def _look_up(self, key_hash: bytes, address: Address) -> tuple[ApiKey, Partner] | Refused:
        """Ask the database, once for all who present the same key meanwhile: many requests at once are not many guesses."""
        looking = self._looking.get(key_hash)
        if looking is None:
            # A key that was met before is no guess: a guesser behind the same address does not lock it out.
            ask = self._ask(key_hash) if key_hash in self._met else self._ask_in_turn(key_hash, address)
            looking = self._looking[key_hash] = asyncio.ensure_future(ask)
            looking.add_done_callback(lambda done: self._looked(key_hash, done))
        return await asyncio.shield(looking)  # whoever leaves must not end it for the others

    def _looked(self, key_hash: bytes, done: asyncio.Future[tuple[ApiKey, Partner] | Refused]) -> None:
        if self._looking.get(key_hash) is done:
            del self._looking[key_hash]
        if not done.cancelled():
            done.exception()  # seen, even when nobody waits any more

    async def _ask_in_turn(self, key_hash: bytes, address: Address) -> tuple[ApiKey, Partner] | Refused:
        """Ask about a key that may be a guess, unless too many wrong ones came from there."""
        async with self._wrong.turn(address):
            if (wait_s := self._wrong.wait_s(address)) is not None:
                return Refused(Unauthenticated.TOO_MANY_WRONG_KEYS, wait_s)
            found = await self._ask(key_hash)
            if isinstance(found, Refused):
                self._wrong.count(address)
            return found

    async def _ask(self, key_hash: bytes) -> tuple[ApiKey, Partner] | Refused:
        changes, began_s = self._changes, self._monotonic()
        async with self._database.presenting(key_hash) as tx:
            known = await find_presented_key(tx, key_hash)
        if known is None:
            return Refused(Unauthenticated.UNKNOWN_KEY)
        self._met[key_hash] = None
        if changes == self._changes and self._monotonic() - began_s <= SLOW_LOOK_S:
            self._known[key_hash] = known
        return known
