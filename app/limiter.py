"""Charges requests to the token buckets of their key and their partner, exactly, without a round trip for each.

While one call to Redis is under way, the requests that arrive wait for the next one and share it: under no load a request waits for
nobody, under load one call charges many, and N processes together never admit more than the buckets have.

Without Redis each process has buckets of its own, which hold and bring back a part of what the tier says. Nobody has to wait for a
Redis that is slow: what is not charged within a deadline is charged here, and maybe there too. That errs on the strict side.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from cachetools import LRUCache

from app.cost import MAX_COST
from domain import usage
from domain.caller import Caller
from domain.tier import MICRO, Rate, Tier
from domain.token_bucket import FULL, Bucket, Wanted, charge, remaining, until_fits_us
from persistence.buckets import WEATHER, Ask, RedisBuckets, Taken
from persistence.counters import counter_name

DEADLINE_S = 0.05  # Redis answers in less than a millisecond; a payment must not wait long for one that is ill
MAX_BATCH = 256  # requests in one call: some 0.3 ms of Redis's time, which others wait for
MAX_LINE = 4096  # requests waiting for the next call; whoever comes on top is charged here: Redis can't keep up
RECONNECT_S, RECONNECT_CAP_S = 0.5, 2.0  # between two tries to reach Redis, doubling
LOCAL_PART = 4  # a process alone gives a quarter of the rates: four processes together then keep to them
LOCAL_BUCKETS = 10_000  # in memory, some 300 bytes each; whoever is pushed out begins with a full one
FLUSH_S = 1.0  # how long notes wait for a call that takes them along
MAX_NOTED = 10_000  # tenants with notes in memory while Redis is away, some 500 bytes each; beyond that usage is not counted
STOP_S = 0.5  # how long a cancelled task may take before it is cancelled again

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request was admitted, at what cost, and what is left in the bucket that has the least for it."""

    admitted: bool
    cost: int
    key: tuple[int, Rate]
    partner: tuple[int, Rate]

    @property
    def tightest(self) -> tuple[int, Rate]:
        """What is missing, and the rate, of the bucket that will be empty first."""
        return min(self.key, self.partner, key=lambda bucket: remaining(*bucket))

    @property
    def retry_after_ms(self) -> int:
        """When the same request will fit, if nobody takes anything meanwhile; rounded up."""
        return -(-max(until_fits_us(*self.key, self.cost), until_fits_us(*self.partner, self.cost)) // 1000)


class Limiter:
    """Use it as `async with`. `monotonic` in seconds is the clock of the buckets that it has itself, `now` tells the day of a note."""

    def __init__(
        self,
        buckets: RedisBuckets,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        *,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._buckets = buckets
        self._monotonic = monotonic
        self._now = now
        self._notes: dict[UUID, Counter[str]] = {}
        self._deadline_s = deadline_s
        self._line: deque[tuple[Ask, asyncio.Future[Taken | None]]] = deque()
        self._arrived = asyncio.Event()
        self._tried = asyncio.Event()
        self._own: LRUCache[object, Bucket] = LRUCache(LOCAL_BUCKETS)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.is_shared = False
        self.calls = self.charged_shared = self.charged_here = 0

    async def charge(self, caller: Caller, cost: int, counter: usage.Counter = usage.Counter.REQUESTS) -> Verdict:
        """Take the cost from both buckets, or from none. A cost of 0 only looks. Never fails, and waits for DEADLINE_S at most."""
        tier = caller.tier
        taken: Taken | None = None
        if self.is_shared and len(self._line) < MAX_LINE:
            answered: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
            self._line.append((Ask(caller.tenant_id, caller.key.id, tier, cost, counter), answered))
            self._arrived.set()
            taken = await answered
        if taken is None:
            return self._charge_here(caller, cost, counter)
        return Verdict(taken.admitted, cost, (taken.key_missing, tier.key), (taken.partner_missing, tier.partner))

    def note(self, caller: Caller, counts: Mapping[usage.Counter, int]) -> None:
        """Add to the usage of the caller's key, with the next call or within FLUSH_S; later while Redis is away."""
        notes = self._notes.get(caller.tenant_id)
        if notes is None:
            if len(self._notes) >= MAX_NOTED:
                return
            notes = self._notes[caller.tenant_id] = Counter()
        for counter, count in counts.items():
            if count:
                notes[counter_name(self._now(), caller.key.id, counter)] += count

    async def __aenter__(self) -> Self:
        """Connect, and reconnect for as long as Redis is away. Redis has one deadline's time to be there at once."""
        self._task = asyncio.create_task(self._again_and_again())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_s):
                await self._tried.wait()
        return self

    async def __aexit__(self, *why: object) -> None:
        """Stop. Cancelled until it has worked: somewhere below a cancellation that meets an answer can get lost."""
        assert self._task is not None, "it was entered"
        self._stopping = True
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_S)
        with contextlib.suppress(*WEATHER):
            async with asyncio.timeout(STOP_S):
                await self.flush()
        self._let_go()
        with contextlib.suppress(*WEATHER):
            await self._buckets.close()

    async def _again_and_again(self) -> None:
        pause_s = RECONNECT_S
        while not self._stopping:
            try:
                await self._buckets.connect()
                self.is_shared = True
                self._tried.set()
                log.info("limits are shared through Redis")
                pause_s = RECONNECT_S
                await self._serve()
            except WEATHER as error:
                log.warning("Redis is away, limits are each process's own; again in %.1f s: %s", pause_s, type(error).__name__)
            except Exception:
                log.exception("the shared limits went wrong, they are each process's own; again in %.1f s", pause_s)
            finally:
                self._tried.set()
                self._let_go()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RECONNECT_CAP_S)

    async def _serve(self) -> None:
        while not self._stopping:
            try:
                async with asyncio.timeout(FLUSH_S):
                    await self._arrived.wait()
            except TimeoutError:
                if self._notes:
                    await self._call([], [])
                continue
            self._arrived.clear()
            while self._line:
                batch = [self._line.popleft() for _ in range(min(len(self._line), MAX_BATCH))]
                await self._call([ask for ask, _ in batch], [answered for _, answered in batch])

    async def _call(self, asks: list[Ask], answered: list[asyncio.Future[Taken | None]]) -> None:
        """One call for all of these. One that takes too long is waited for, but by nobody else."""
        self.calls += 1
        call = asyncio.create_task(self._buckets.charge(asks, self._take_notes()))
        try:
            await asyncio.wait({call}, timeout=self._deadline_s)
            if not call.done():
                log.warning("Redis is slow, limits are each process's own until it answers")
                _answer(answered, [None] * len(asks))
                self._let_go()
                await call
                self.is_shared = True
                return
            _answer(answered, list(call.result()))
            self.charged_shared += len(asks)
        finally:
            call.cancel()
            _answer(answered, [None] * len(asks))

    async def flush(self) -> None:
        """Take the notes to Redis now, if it is there. Raises one of WEATHER."""
        if self.is_shared and self._notes:
            await self._buckets.charge([], self._take_notes())

    def _take_notes(self) -> dict[UUID, Counter[str]]:
        """Those of a call that fails are gone: it may have added them, and nobody is told of more than he used."""
        notes, self._notes = self._notes, {}
        return notes

    def _let_go(self) -> None:
        """From now on everybody is charged here, also those who wait."""
        self.is_shared = False
        while self._line:
            _answer([self._line.popleft()[1]], [None])

    def _charge_here(self, caller: Caller, cost: int, counter: usage.Counter) -> Verdict:
        self.charged_here += 1
        key, partner = own_part(caller.tier)
        names = ("key", caller.key.id), ("partner", caller.tenant_id)
        wanted = [Wanted(self._own.get(name, FULL), rate) for name, rate in zip(names, (key, partner), strict=True)]
        charged = charge(cost, wanted, int(self._monotonic() * MICRO))
        if charged.admitted and cost:
            self.note(caller, {counter: 1, usage.Counter.COST: cost})
            self._own.update(zip(names, charged.buckets, strict=True))
        of_key, of_partner = charged.buckets
        return Verdict(charged.admitted, cost, (of_key.missing, key), (of_partner.missing, partner))


def own_part(tier: Tier) -> tuple[Rate, Rate]:
    """The rates of a key and of its partner in a process that is on its own. The dearest operation that the tier allows still fits."""

    def part(rate: Rate) -> Rate:
        return Rate(max(rate.capacity // LOCAL_PART, min(rate.capacity, MAX_COST)), rate.points, rate.every_s * LOCAL_PART)

    return part(tier.key), part(tier.partner)


def _answer(waiting: list[asyncio.Future[Taken | None]], answers: list[Taken | None]) -> None:
    """Tell those who still wait."""
    for future, answer in zip(waiting, answers, strict=True):
        if not future.done():
            future.set_result(answer)
