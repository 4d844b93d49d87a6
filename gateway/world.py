"""Everything that is not determined: the clock, chance, waiting. Handed in, so that tests and simulations have their own."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.failpoint import Reach, pass_on
from domain.ids import time_ordered_uuid

Wait = Callable[[asyncio.Future[Any], float], Awaitable[None]]


async def wait_for(future: asyncio.Future[Any], timeout_s: float) -> None:
    """Return when it is done, at the latest after `timeout_s` seconds. It goes on, and its exception stays its own."""
    await asyncio.wait([future], timeout=timeout_s)


@dataclass(frozen=True, slots=True)
class World:
    """`now` in UTC; `random` uniform in [0, 1); `random_bits(n)` unpredictable; `sleep` and `wait` in seconds.

    `reach` is told of every failpoint that is passed; crash tests end the process there.
    """

    now: Callable[[], datetime]
    random: Callable[[], float]
    random_bits: Callable[[int], int]
    sleep: Callable[[float], Awaitable[None]]
    wait: Wait = wait_for
    reach: Reach = pass_on

    def new_uuid(self) -> UUID:
        """A new id, ordered by time."""
        return time_ordered_uuid(self.now(), self.random_bits(74))


def real_world(reach: Reach = pass_on) -> World:
    """The one outside."""
    return World(
        now=lambda: datetime.now(UTC),
        random=random.random,
        random_bits=secrets.randbits,
        sleep=asyncio.sleep,
        reach=reach,
    )
