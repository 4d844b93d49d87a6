"""The feed: a tenant's events as they are committed, for everyone in this process who follows them.

One reader for each tenant that is followed, however many follow it. It keeps the newest events in memory; who is further behind reads
the table until it has caught up, so that there is no seam between what was and what comes, and no queue that could overflow. A wake-up
tells the reader when to look. One that gets lost delays an event until the reader looks by itself, and loses nothing.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar
from uuid import UUID

from domain.event import LoggedEvent
from persistence.database import Database, DatabaseAway
from persistence.events import MAX_PAGE, last_sequence, page_of_events

KEPT = 1_000  # newest events of a tenant in memory, a kilobyte or two each: who is further behind reads pages
MADE = 200  # of these, what followers are shown: those who are not behind are all at the newest few
LOOK_S = 0.5  # how often the reader looks by itself while nobody can wake it
LOOK_WITH_WAKEUPS_S = 2.0  # and while somebody can: a process may die between its commit and its announcement
DATABASE_PAUSE_S = 0.5  # between two tries while the database is away

T = TypeVar("T")

log = logging.getLogger(__name__)


class EventsForgotten(Exception):
    """What follows on this place is not kept any more."""


class EventFeed:
    """`is_woken` says whether wake-ups arrive from other processes just now. `close` ends all readers."""

    def __init__(self, database: Database, is_woken: Callable[[], bool]) -> None:
        self._database = database
        self._is_woken = is_woken
        self._tails: dict[UUID, _Tail] = {}

    def wake(self, tenant_id: UUID | None) -> None:
        """Events of this tenant were committed, or may have been; None: of any."""
        for each in self._tails if tenant_id is None else [tenant_id]:
            if tail := self._tails.get(each):
                tail.due.set()

    async def follow(self, tenant_id: UUID, after: int | None = None) -> AsyncIterator[LoggedEvent]:
        """Every event behind this sequence number, in order and without a gap, for ever; None: those from now on.

        Raises DatabaseAway, also in the middle: whoever follows again from the last event misses nothing. Raises EventsForgotten where
        that is not true any more.
        """
        async with self._tail(tenant_id) as tail:
            at = await self._now(tenant_id) if after is None else after
            while True:
                while at < tail.last:
                    for logged in await self._behind(tail, tenant_id, at):
                        if logged.sequence != at + 1:  # whoever reads so late does not get what has gone meanwhile
                            raise EventsForgotten
                        at = logged.sequence
                        yield logged
                await tail.moved.wait()

    def once(self, tenant_id: UUID, logged: LoggedEvent, make: Callable[[LoggedEvent], T]) -> T:
        """What is made of an event, made once for all who follow it just now. Always with the same `make`."""
        tail = self._tails.get(tenant_id)
        made: T | None = None if tail is None else tail.made.get(logged.sequence)
        if made is None:
            made = make(logged)
            if tail is not None:
                tail.made[logged.sequence] = made
                if len(tail.made) > MADE:
                    del tail.made[next(iter(tail.made))]
        return made

    @contextlib.asynccontextmanager
    async def _tail(self, tenant_id: UUID) -> AsyncIterator["_Tail"]:
        tail = self._tails.get(tenant_id)
        if tail is None:
            tail = self._tails[tenant_id] = _Tail()
            tail.reader = asyncio.create_task(self._read(tenant_id, tail))
        tail.followers += 1
        try:
            await tail.begun.wait()
            yield tail
        finally:
            tail.followers -= 1
            if not tail.followers:
                del self._tails[tenant_id]
                assert tail.reader is not None
                tail.reader.cancel()

    async def _now(self, tenant_id: UUID) -> int:
        async with self._database.tenant(tenant_id) as tx:
            return await last_sequence(tx, tenant_id)

    async def _behind(self, tail: "_Tail", tenant_id: UUID, at: int) -> list[LoggedEvent]:
        newest = tail.newest
        if newest and newest[0].sequence <= at + 1:
            return list(newest)[at + 1 - newest[0].sequence :]
        async with self._database.tenant(tenant_id) as tx:
            return await page_of_events(tx, tenant_id, after=at, limit=MAX_PAGE)

    async def _read(self, tenant_id: UUID, tail: "_Tail") -> None:
        while True:
            try:
                if not tail.begun.is_set():
                    async with self._database.tenant(tenant_id, promised=True) as tx:
                        tail.last = await last_sequence(tx, tenant_id)
                    tail.begun.set()
                await self._read_on(tenant_id, tail)
            except DatabaseAway as error:
                log.warning("events wait, the database is away: %s", error)
                await asyncio.sleep(DATABASE_PAUSE_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_WITH_WAKEUPS_S if self._is_woken() else LOOK_S):
                    await tail.due.wait()

    async def _read_on(self, tenant_id: UUID, tail: "_Tail") -> None:
        """Read what is new. Each page is a transaction of its own: none is open while followers go on."""
        page_is_full = True
        while page_is_full:
            tail.due.clear()
            async with self._database.tenant(tenant_id, promised=True) as tx:
                page = await page_of_events(tx, tenant_id, after=tail.last, limit=MAX_PAGE)
            page_is_full = len(page) == MAX_PAGE
            if page:
                tail.newest.extend(page)
                tail.last = page[-1].sequence
                moved, tail.moved = tail.moved, asyncio.Event()
                moved.set()


class _Tail:
    """The end of one tenant's log, as the reader has it. `newest` ends with `last`; `moved` is set when there is more."""

    def __init__(self) -> None:
        self.last = 0
        self.newest: deque[LoggedEvent] = deque(maxlen=KEPT)
        self.begun, self.due, self.moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.made: dict[int, Any] = {}  # what `once` has made
        self.followers = 0
        self.reader: asyncio.Task[None] | None = None
