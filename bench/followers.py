"""Many who follow events while everything around them is killed, and the question whether each has each event once, in order."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio
from redis.exceptions import RedisError

from bench.subscribers import Subscriber, opening_of

HARM = ("api", "flush", "redis", "api")  # what is done, in turn
RETRY_S = 0.2  # between two tries to connect, with some chance in it
QUIET_S = 3.0  # a connection that brings nothing for so long is given up and made anew, for whatever reason
EVENTS_OF_A_CONNECTION = (10, 200)  # after which a follower cuts it itself
OUR_PROGRAMS: Mapping[str, bytes] = {"api": b"serve", "redis": b"valkey-server"}


@dataclass
class Follower:
    """A client that goes on behind its last event whenever it is cut off, by others or by itself, until it has event number `wanted`."""

    wire: str
    key: str
    after: str  # the first event; it follows from behind it
    chance: Random
    wanted: int | None = None  # None: nobody knows yet
    numbers: list[int] = field(default_factory=list)
    connections: int = 0
    last: str | None = None

    async def follow(self, host: str, port: int) -> None:
        """Until it has all that it wants."""
        loop = asyncio.get_running_loop()
        while not self._has_all(self.numbers[-1] if self.numbers else 0):
            opening = opening_of(self.wire, host, self.key, self.after, self.last)
            try:
                transport, subscriber = await loop.create_connection(partial(Subscriber, *opening), host, port)
            except OSError:
                await asyncio.sleep(RETRY_S * (1 + self.chance.random()))
                continue
            self.connections += 1
            with suppress(TimeoutError):
                await self._read(subscriber)
            transport.abort()
            for event_id, number, _ in subscriber.seen:
                self.numbers.append(number)
                self.last = event_id.decode()

    def complaint(self) -> str | None:
        """What is wrong with what it has; None: nothing."""
        assert self.wanted is not None, "it is known by now"
        wanted = list(range(2, self.wanted + 1))
        if self.numbers == wanted:
            return None
        pairs = enumerate(zip(self.numbers, wanted, strict=False))
        wrong = next((place for place, (has, ought) in pairs if has != ought), min(len(self.numbers), len(wanted)))
        around = slice(max(wrong - 3, 0), wrong + 3)
        return f"{self.wire}: {self.numbers[around]} where {wanted[around]} was to come"

    async def _read(self, subscriber: Subscriber) -> None:
        """Until it is cut off, has had enough, or has all."""
        cut_after = self.chance.randrange(*EVENTS_OF_A_CONNECTION)
        while not subscriber.is_lost and len(subscriber.seen) < cut_after:
            if subscriber.seen and self._has_all(subscriber.seen[-1][1]):
                return
            subscriber.moved.clear()
            async with asyncio.timeout(QUIET_S):
                await subscriber.moved.wait()

    def _has_all(self, number: int) -> bool:
        return self.wanted is not None and number >= self.wanted


async def soak(
    ready: Mapping[str, Any],
    supervisor: int,
    crowd: Sequence[Follower],
    write: Callable[[], Awaitable[Mapping[str, int]]],
    *,
    pause_s: float,
    harm: Iterable[str] = HARM,
) -> list[str]:
    """Let the crowd follow while `write` makes events, and do harm every `pause_s` seconds; what is wrong in the end.

    `ready` is what `up --json` said, `supervisor` its process; `write` answers with the number of each key's last event.
    """
    parts = urlsplit(ready["graphql"])
    async with asyncio.TaskGroup() as group:
        for each in crowd:
            group.create_task(each.follow(str(parts.hostname), int(parts.port or 80)))
        writing = group.create_task(_awaited(write))
        for what in harm:
            await asyncio.sleep(pause_s)
            await _harm(what, ready["redis_url"], supervisor)
        last = await writing
        for each in crowd:
            each.wanted = last[each.key]
    return [complaint for each in crowd if (complaint := each.complaint()) is not None]


async def _awaited(write: Callable[[], Awaitable[Mapping[str, int]]]) -> Mapping[str, int]:
    return await write()


async def _harm(what: str, redis_url: str, supervisor: int) -> None:
    if what != "flush":
        _kill(OUR_PROGRAMS[what], supervisor)
        return
    client = redis.asyncio.Redis.from_url(redis_url)
    with suppress(RedisError, OSError):  # it may be away just now
        await client.flushall()
    await client.aclose()


def _kill(word: bytes, supervisor: int) -> None:
    """SIGKILL to the supervisor's children that have this word in their command."""
    for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        with suppress(ProcessLookupError, FileNotFoundError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if word in [each.rpartition(b"/")[2] for each in words]:
                os.kill(int(pid), signal.SIGKILL)
