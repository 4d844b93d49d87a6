"""Wake-ups between processes over Redis: an attempt has closed, whoever waits for it may look. A lost one delays, it never loses."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from uuid import UUID

import redis.asyncio
from redis.exceptions import RedisError

CHANNEL = "partner-api:attempts-closed"
LOOK_S = 0.5  # how often who waits looks by himself; with Redis the wake-up is nearly always first
MAX_UNSENT = 10_000  # announcements waiting for Redis; beyond that they are dropped, and waiters look by themselves
RECONNECT_S = 1.0  # between two tries to reach Redis
TIMEOUT_S = 2.0  # a Redis that does not answer in this time is away

log = logging.getLogger(__name__)


class RedisWakeups:
    """Announces closed attempts to all processes and wakes those that wait in this one. `run` must be running."""

    def __init__(self, url: str) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_connect_timeout=TIMEOUT_S, socket_keepalive=True, protocol=3, decode_responses=True
        )
        self._unsent: asyncio.Queue[str] = asyncio.Queue(MAX_UNSENT)
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self.connected = asyncio.Event()

    def announce(self, attempt_ids: list[UUID]) -> None:
        """Tell every process, soon. Never blocks, never fails."""
        for attempt_id in attempt_ids:
            self._wake(attempt_id)
            if not self._unsent.full():
                self._unsent.put_nowait(str(attempt_id))

    async def wait(self, attempt_id: UUID, timeout_s: float) -> None:
        """Return when the attempt has closed as far as announced, else after `timeout_s` seconds or LOOK_S, the earlier."""
        event = asyncio.Event()
        self._waiting[attempt_id].add(event)
        try:
            async with asyncio.timeout(min(timeout_s, LOOK_S)):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[attempt_id].discard(event)
            if not self._waiting[attempt_id]:
                del self._waiting[attempt_id]

    async def ping(self) -> None:
        """Raises RedisError or OSError when Redis is away."""
        async with asyncio.timeout(TIMEOUT_S):
            await self._redis.ping()

    async def run(self) -> None:
        """Publish and listen until cancelled, reconnecting for as long as Redis is away."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._again_and_again(self._publish))
                group.create_task(self._again_and_again(self._listen))
        finally:
            await self._redis.aclose()

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (RedisError, OSError, TimeoutError) as error:
                self.connected.clear()
                log.warning("Redis is away, trying again in %.0f s: %s", RECONNECT_S, type(error).__name__)
                await asyncio.sleep(RECONNECT_S)

    async def _publish(self) -> None:
        while True:
            batch = [await self._unsent.get()]
            while not self._unsent.empty():
                batch.append(self._unsent.get_nowait())
            await self._redis.publish(CHANNEL, " ".join(batch))

    async def _listen(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(CHANNEL)
            self.connected.set()
            async for message in channel.listen():
                for attempt_id in message["data"].split():
                    self._wake(UUID(attempt_id))

    def _wake(self, attempt_id: UUID) -> None:
        for event in self._waiting.get(attempt_id, ()):
            event.set()
