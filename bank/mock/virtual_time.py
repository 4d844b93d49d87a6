"""A clock and a sleep for tests: hours pass at once, and only when somebody sleeps or says so."""

import asyncio
from collections.abc import Callable
from typing import Final

from bank.mock.timestamps import NANOS_PER_SECOND, from_rfc3339

# All but one of the contract's cards are good then, and the digits show what gets cut and what rounded.
START: Final = from_rfc3339("2029-03-04T05:06:07Z") + 123_456_789


class VirtualTime:
    """`create_bank(settings, clock=time.clock, sleep=time.sleep)`."""

    def __init__(self, now_ns: int = START) -> None:
        self.now_ns = now_ns
        self.slept: list[float] = []
        # Called before each sleep with its seconds: where a test makes something happen meanwhile.
        self.on_sleep: Callable[[float], None] = lambda _: None

    def clock(self) -> int:
        """Nanoseconds since 1970."""
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        """Let the time pass, and let others run."""
        self.on_sleep(seconds)
        self.slept.append(seconds)
        self.pass_by(seconds)
        await asyncio.sleep(0)

    def pass_by(self, seconds: float) -> None:
        """Let the time pass, alone."""
        self.now_ns += round(seconds * NANOS_PER_SECOND)
