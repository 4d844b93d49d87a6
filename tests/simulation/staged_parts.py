"""What the gateway works with, on stage: the real database with points around each transaction, a world in virtual time, wake-ups."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from uuid import UUID

from gateway.world import World
from persistence.database import Database, DatabaseAway, Transaction
from tests.simulation.stage import Process, Stage

AWAY = "database away"
BROKEN = "committed, but the connection broke"
WAKEUP_S = 0.001  # how long a wake-up travels
LOOK_S = 5.0  # how often who waits looks by himself; in production it is less, and most looks find nothing


class StagedDatabase:
    """A `Database` of one process. Before a transaction the database may be away; after a commit, its confirmation may get lost."""

    def __init__(self, stage: Stage, inner: Database) -> None:
        self._stage = stage
        self._inner = inner

    def tenant(self, tenant_id: UUID, *, promised: bool = False) -> AbstractAsyncContextManager[Transaction]:
        return self._staged(self._inner.tenant(tenant_id, promised=promised), _caller())

    def without_tenant(self, *, promised: bool = False) -> AbstractAsyncContextManager[Transaction]:
        return self._staged(self._inner.without_tenant(promised=promised), _caller())

    @asynccontextmanager
    async def _staged(self, transaction: AbstractAsyncContextManager[Transaction], what: str) -> AsyncIterator[Transaction]:
        luck = await self._stage.point(f"begin {what}", (AWAY, BROKEN))
        if luck == AWAY:
            raise DatabaseAway(AWAY)
        with self._stage.postgres():
            async with transaction as tx:
                yield tx
        if luck == BROKEN or await self._stage.point(f"committed {what}", (BROKEN,)) == BROKEN:
            raise DatabaseAway(BROKEN)


def _caller() -> str:
    """The name of the function that opens a transaction: what histories call it."""
    return sys._getframe(2).f_code.co_name.strip("_")


class StagedWakeups:
    """What Redis is to all processes. It may lose wake-ups, which delays and must do no more."""

    def __init__(self, stage: Stage, *, loses: float = 0.0) -> None:
        self._stage = stage
        self._loses = loses
        self._waiting: defaultdict[UUID, list[asyncio.Event]] = defaultdict(list)

    def announce(self, attempt_ids: list[UUID]) -> None:
        for attempt_id in attempt_ids:
            if self._stage.chance("wake-up", attempt_id) >= self._loses:
                self._stage.later(WAKEUP_S, partial(self._arrive, attempt_id))

    @contextmanager
    def expect(self, attempt_id: UUID) -> Iterator["Expected"]:
        woken = asyncio.Event()
        self._waiting[attempt_id].append(woken)
        try:
            yield Expected(woken)
        finally:
            self._waiting[attempt_id].remove(woken)

    def _arrive(self, attempt_id: UUID) -> None:
        for woken in self._waiting[attempt_id]:
            woken.set()


class Expected:
    """One waiter. It looks by itself now and then, as with Redis."""

    def __init__(self, woken: asyncio.Event) -> None:
        self._woken = woken

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, LOOK_S)):
                await self._woken.wait()
        self._woken.clear()


def staged_world(stage: Stage, process: Process) -> World:
    """The world as one process sees it."""
    return World(
        now=lambda: stage.now(process),
        random=stage.random,
        random_bits=stage.random_bits,
        sleep=asyncio.sleep,
        reach=stage.reach,
    )
