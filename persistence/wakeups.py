"""Wake-ups between processes over Redis: an attempt has closed, whoever waits for it may look; events were committed, whoever follows
them may look; a key or a partner has changed, whoever remembers it must look again. A lost one delays, it never loses.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Self
from uuid import UUID

import redis.asyncio
from redis.exceptions import RedisError

CHANNEL = "partner-api:attempts-closed"
EVENTS_CHANNEL = "partner-api:events-committed"  # ids of tenants
ACCESS_CHANNEL = "partner-api:access-changed"  # ids of keys and of tenants
LOOK_S = 0.5  # how often who waits looks by himself while Redis is away
LOOK_WITH_REDIS_S = 2.0  # and while it is there: a process can die between its commit and its announcement
MAX_UNSENT = 10_000  # announcements waiting for Redis; beyond that they are dropped, and waiters look by themselves
ANSWER_TIMEOUT_S = 2.0  # a Redis that does not answer in this time is away
PING_S = 2.0  # how often a quiet line is tried: what `connected` says is not older than this and a timeout
# Generous, for a look-up of its name that is given up goes on in a thread, and a pile of those keeps everybody else's look-ups,
# the bank's too, waiting for one.
CONNECT_TIMEOUT_S = 15.0
CANCEL_AGAIN_S = 0.5  # how long a cancelled task may take before it is cancelled again
RECONNECT_S, RECONNECT_CAP_S = 0.5, 15.0  # between two tries to reach Redis: doubling, for the same reason

log = logging.getLogger(__name__)


Heard = Callable[[UUID | None], None]


class RedisWakeups:
    """Announces what has happened to all processes, and wakes those that wait in this one. Use it as `async with`."""

    def __init__(self, url: str) -> None:
        self._publisher = _client(url, ANSWER_TIMEOUT_S)
        self._listener = _client(url, None)  # a listener waits for as long as nothing happens
        self._unsent: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MAX_UNSENT)  # channel and id
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._heard: dict[str, list[Heard]] = {EVENTS_CHANNEL: [], ACCESS_CHANNEL: []}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.publishing, self.listening = asyncio.Event(), asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether Redis answered when last asked."""
        return self.publishing.is_set() and self.listening.is_set()

    def announce(self, attempt_ids: list[UUID]) -> None:
        """Tell every process, soon. Never blocks, never fails."""
        for attempt_id in attempt_ids:
            self._wake(attempt_id)
            self._send(CHANNEL, attempt_id)

    def announce_events(self, tenant_id: UUID) -> None:
        """Tell every process, soon, that events of this tenant were committed. Never blocks, never fails."""
        self._hear(EVENTS_CHANNEL, tenant_id)
        self._send(EVENTS_CHANNEL, tenant_id)

    def announce_access(self, changed: UUID) -> None:
        """Tell every process, soon, that a key or a tenant is not what it was. Never blocks, never fails."""
        self._hear(ACCESS_CHANNEL, changed)
        self._send(ACCESS_CHANNEL, changed)

    def hear(self, channel: str, heard: Heard) -> None:
        """Be told, from now on, of each id on EVENTS_CHANNEL or ACCESS_CHANNEL; of None when announcements may have been missed."""
        self._heard[channel].append(heard)

    @contextlib.contextmanager
    def expect(self, attempt_id: UUID) -> Iterator["Expected"]:
        """To be entered before looking whether the attempt is closed: what closes after the look then is not missed."""
        expected = Expected(self)
        self._waiting[attempt_id].add(expected.woken)
        try:
            yield expected
        finally:
            self._waiting[attempt_id].discard(expected.woken)
            if not self._waiting[attempt_id]:
                del self._waiting[attempt_id]

    async def __aenter__(self) -> Self:
        """Begin to publish and to listen, reconnecting for as long as Redis is away."""
        self._tasks = [
            asyncio.create_task(self._again_and_again(self._publish, self.publishing)),
            asyncio.create_task(self._again_and_again(self._listen, self.listening)),
        ]
        return self

    async def __aexit__(self, *why: object) -> None:
        """Stop. Cancelled until it has worked: somewhere below a cancellation that meets an answer can get lost."""
        self._stopping = True
        left = set(self._tasks)
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
        for client in (self._publisher, self._listener):
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await client.aclose()

    async def _publish(self) -> None:
        while not self._stopping:
            await self._publisher.ping()
            self.publishing.set()
            try:
                async with asyncio.timeout(PING_S):
                    batch = [await self._unsent.get()]
            except TimeoutError:
                continue
            while not self._unsent.empty():
                batch.append(self._unsent.get_nowait())
            for channel in (ACCESS_CHANNEL, CHANNEL, EVENTS_CHANNEL):
                # Each once: many events of a tenant are one piece of news.
                if ids := " ".join(dict.fromkeys(each for of, each in batch if of == channel)):
                    await self._publisher.publish(channel, ids)

    async def _listen(self) -> None:
        async with self._listener.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(CHANNEL, *self._heard)
            self.listening.set()
            self._wake_all()  # what was announced before can't be heard any more
            self._hear(ACCESS_CHANNEL, None)
            async for message in channel.listen():
                hear = self._wake if message["channel"] == CHANNEL else partial(self._hear, message["channel"])
                for each in message["data"].split():
                    hear(UUID(each))

    async def _again_and_again(self, work: Callable[[], Awaitable[None]], is_up: asyncio.Event) -> None:
        """Do it until stopped, with growing pauses while Redis is away."""
        pause_s = RECONNECT_S
        while not self._stopping:
            try:
                await work()
            except (RedisError, OSError, TimeoutError) as error:
                if is_up.is_set():
                    pause_s = RECONNECT_S
                is_up.clear()
                self._wake_all()  # from now on they look more often
                log.warning("Redis is away, trying again in %.1f s: %s", pause_s, type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RECONNECT_CAP_S)

    def _send(self, channel: str, changed: UUID) -> None:
        if not self._unsent.full():
            self._unsent.put_nowait((channel, str(changed)))

    def _hear(self, channel: str, changed: UUID | None) -> None:
        for heard in self._heard[channel]:
            heard(changed)

    def _wake(self, attempt_id: UUID) -> None:
        for woken in self._waiting.get(attempt_id, ()):
            woken.set()

    def _wake_all(self) -> None:
        for attempt_id in self._waiting:
            self._wake(attempt_id)
        self._hear(EVENTS_CHANNEL, None)


class Expected:
    """One waiter's turn at being woken."""

    def __init__(self, wakeups: RedisWakeups) -> None:
        self._wakeups = wakeups
        self.woken = asyncio.Event()

    async def wait(self, timeout_s: float) -> None:
        """Return when it is time to look: the attempt was announced, Redis came or went, or it is long since the last look."""
        look_s = LOOK_WITH_REDIS_S if self._wakeups.connected else LOOK_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, look_s)):
                await self.woken.wait()
        self.woken.clear()


async def announce_access_once(url: str, changed: list[UUID]) -> bool:
    """For a command: tell every process of keys or tenants that are not what they were. False when Redis is away."""
    client = _client(url, ANSWER_TIMEOUT_S)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await client.publish(ACCESS_CHANNEL, " ".join(map(str, changed)))
    except (RedisError, OSError, TimeoutError):
        return False
    finally:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await client.aclose()
    return True


def _client(url: str, answer_timeout_s: float | None) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=answer_timeout_s,
        socket_keepalive=True,
        protocol=3,
        decode_responses=True,
    )
