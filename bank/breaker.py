"""A circuit breaker for one bank in one process: a bank that is away is asked by one probe at a time, not by everybody.

CLOSED ──(nearly all fail)──► OPEN ──(pause over)──► HALF_OPEN ──(probe answered)──► CLOSED
                                ▲                        │
                                └────(probe failed)──────┘
The libraries that there are count failures in a row, by a clock of their own; a bank that fails at random does not deserve that,
and a simulation can't hand them its time.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from bank.answer import BankAnswer, Done, Kept, LookedUp, NotKept, Refused, Unclarity, Unclear
from bank.transport import TOTAL_TIMEOUT_S
from bank.window import SlidingWindow

WINDOW_S = 10  # long enough for 20 calls on a quiet day, short enough to notice within one client's wait
MIN_CALLS = 20  # fewer say nothing about a rate
# A bank that fails half of the time must not open it: with six tries, 98 of 100 payments get through. At two calls a second it would,
# by mere chance, ten times an hour if this were 75 %, and once in ten hours at 90 %. One that is away fails 100 %.
OPENS_AT = 0.9
PAUSE_BASE_S, PAUSE_CAP_S = 2.0, 15.0  # two minutes after the bank is back nothing may be open any more
PROBE_S = TOTAL_TIMEOUT_S + 1.0  # longer than one call takes: a probe that has not reported by then never will


class BreakerState(StrEnum):
    """Whether the bank is asked."""

    CLOSED = "CLOSED"
    """By everybody."""
    OPEN = "OPEN"
    """By nobody, for a pause."""
    HALF_OPEN = "HALF_OPEN"
    """By one, whose answer decides."""


class Breaker:
    """`random` is uniform in [0, 1): processes that lost the bank together don't all probe it together."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._window = SlidingWindow(WINDOW_S)
        self._pauses = 0  # since it was closed last
        self._pause = timedelta()
        self._paused_at: datetime | None = None  # None: closed
        self._probed_at: datetime | None = None  # None: no probe is out

    def state(self, now: datetime) -> BreakerState:
        """Where it stands at `now`."""
        if self._paused_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if _is_within(self._paused_at, now, self._pause) else BreakerState.HALF_OPEN

    def admits(self, now: datetime) -> bool:
        """Whether the caller may ask the bank, which it then does at once. True in HALF_OPEN makes it the probe."""
        match self.state(now):
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                if self._is_probe_out(now):
                    return False
                self._probed_at = now
                return True
            case state:
                assert_never(state)

    def record(self, now: datetime, ok: bool) -> None:
        """How a call ended. While it is open nothing counts: those calls began before. In HALF_OPEN the next one decides."""
        match self.state(now):
            case BreakerState.CLOSED:
                self._window.add(now, one=1, other=int(not ok))
                calls, failures = self._window.totals(now)
                if not ok and calls >= MIN_CALLS and failures >= OPENS_AT * calls:
                    self._pause_from(now)
            case BreakerState.OPEN:
                return
            case BreakerState.HALF_OPEN:
                if self._probed_at is None:
                    return
                if ok:
                    self._close()
                else:
                    self._pause_from(now)
            case state:
                assert_never(state)

    def reopens_in_s(self, now: datetime) -> float:
        """Seconds until the bank may be asked: 0 when it may be now, else until the next probe, if the present one stays away."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                assert self._paused_at is not None
                return (self._paused_at + self._pause - now).total_seconds()
            case BreakerState.HALF_OPEN:
                if not self._is_probe_out(now):
                    return 0.0
                assert self._probed_at is not None
                return (self._probed_at - now).total_seconds() + PROBE_S
            case state:
                assert_never(state)

    def _is_probe_out(self, now: datetime) -> bool:
        return self._probed_at is not None and _is_within(self._probed_at, now, timedelta(seconds=PROBE_S))

    def _pause_from(self, now: datetime) -> None:
        self._pauses += 1
        ceiling_s = min(PAUSE_CAP_S, PAUSE_BASE_S * 2 ** min(self._pauses - 1, 32))  # 2^32 is beyond any cap: no overflow
        self._pause = timedelta(seconds=ceiling_s * (1 + self._random()) / 2)
        self._paused_at, self._probed_at = now, None

    def _close(self) -> None:
        self._pauses = 0
        self._paused_at = self._probed_at = None
        self._window.clear()  # the failures from before are no reason to open again


def _is_within(start: datetime, now: datetime, length: timedelta) -> bool:
    """Whether `now` is less than `length` after `start`. A clock that was set back ends a wait, and does not prolong it."""
    return timedelta() <= now - start < length


def is_failure(answer: BankAnswer | LookedUp) -> bool:
    """Whether an answer counts against the bank: it is away or failing. Whoever says no, or nonsense, is there."""
    match answer:
        case Done() | Refused() | Kept() | NotKept():
            return False
        case Unclear(Unclarity.NOT_SENT | Unclarity.NO_ANSWER | Unclarity.BANK_ERROR):
            return True
        case Unclear():
            return False
        case _:
            assert_never(answer)
