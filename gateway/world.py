"""Everything that is not determined: the clock, chance, waiting. Handed in, so that tests and simulations have their own."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from domain.ids import time_ordered_uuid


@dataclass(frozen=True, slots=True)
class World:
    """`now` in UTC; `random` uniform in [0, 1); `random_bits(n)` unpredictable; `sleep` in seconds."""

    now: Callable[[], datetime]
    random: Callable[[], float]
    random_bits: Callable[[int], int]
    sleep: Callable[[float], Awaitable[None]]

    def new_uuid(self) -> UUID:
        """A new id, ordered by time."""
        return time_ordered_uuid(self.now(), self.random_bits(74))


def real_world() -> World:
    """The one outside."""
    return World(
        now=lambda: datetime.now(UTC),
        random=random.random,
        random_bits=secrets.randbits,
        sleep=asyncio.sleep,
    )
