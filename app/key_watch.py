"""Watches keys on behalf of open streams: a request is over soon, a stream has to be told that its key is good no more."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.access import Unauthenticated, why_refused
from domain.api_key import ApiKey
from domain.caller import Caller
from domain.partner import Partner
from gateway.world import Wait
from persistence.api_keys import find_api_key
from persistence.database import Database, DatabaseAway
from persistence.partners import get_partner

LOOK_S = (
    4.0  # how often a watched key is looked up when nothing is announced; with a second for the look, a stream ends within five
)
AWAY_LOOK_S = 1.0  # and while the database is away: nobody can revoke a key then, but somebody may have just before

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a key has shown, and when it began; `standing` is None when the key is gone."""

    standing: tuple[ApiKey, Partner] | None
    at_s: float


@dataclass(slots=True)
class _Watched:
    """A key with open streams. They share its looks."""

    tenant_id: UUID
    streams: set[asyncio.Future[None]] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    look: Look | None = None
    changes: int = 0


class KeyWatch:
    """One of these in a process. However many streams a key has, it is looked up once in LOOK_S. `monotonic` in seconds."""

    def __init__(self, database: Database, *, now: Callable[[], datetime], monotonic: Callable[[], float], wait: Wait) -> None:
        self._database = database
        self._now, self._monotonic, self._wait = now, monotonic, wait
        self._watched: dict[UUID, _Watched] = {}

    async def until_refused(self, caller: Caller) -> Unauthenticated:
        """Return, with the reason, when this caller would be let in no more: key revoked or expired, partner suspended.

        Within REVOCATION_S, and within a second where Redis carries the announcement. While the database is away streams go on:
        what was known last counts, and expiry does not need the database.
        """
        standing: tuple[ApiKey, Partner] = (caller.key, caller.partner)
        while True:
            changed = asyncio.get_running_loop().create_future()  # before the look: what is announced during it is not missed
            watched = self._watched.setdefault(caller.key.id, _Watched(caller.tenant_id))
            watched.streams.add(changed)
            try:
                look = await self._look(caller.key.id, watched)
                if look is not None:
                    if look.standing is None:
                        return Unauthenticated.UNKNOWN_KEY
                    standing = look.standing
                why = why_refused(*standing, caller.address, self._now())
                if why is not None:
                    return why
                await self._wait(changed, self._rest_s(standing[0], look))
            finally:
                watched.streams.discard(changed)
                if not watched.streams and self._watched.get(caller.key.id) is watched:
                    del self._watched[caller.key.id]

    def changed(self, what: UUID | None) -> None:
        """A key or a tenant is not what it was; None: any may have changed. Their streams look at once."""
        for key_id, watched in self._watched.items():
            if what in (None, key_id, watched.tenant_id):
                watched.look = None
                watched.changes += 1
                for stream in watched.streams:
                    if not stream.done():
                        stream.set_result(None)

    def _rest_s(self, key: ApiKey, look: Look | None) -> float:
        """How long nobody has to look, unless something is announced."""
        rest_s = AWAY_LOOK_S if look is None else look.at_s + LOOK_S - self._monotonic()
        if key.expires_at is not None:
            rest_s = min(rest_s, (key.expires_at - self._now()).total_seconds())
        return max(rest_s, 0.0)

    async def _look(self, key_id: UUID, watched: _Watched) -> Look | None:
        """The last look, or a new one when that is old. None: the database is away."""
        async with watched.lock:
            if watched.look is not None and self._monotonic() < watched.look.at_s + LOOK_S:
                return watched.look
            at_s, changes = self._monotonic(), watched.changes
            try:
                async with self._database.tenant(watched.tenant_id) as tx:
                    key = await find_api_key(tx, watched.tenant_id, key_id)
                    partner = await get_partner(tx, watched.tenant_id)
            except DatabaseAway as error:
                log.warning("can't look whether the key of a stream is still good: %s", error)
                return None
            look = Look((key, partner) if key is not None and partner is not None else None, at_s)
            if changes == watched.changes:  # else it may have seen what was before
                watched.look = look
            return look
