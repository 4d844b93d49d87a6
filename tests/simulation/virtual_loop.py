"""An event loop in virtual time. While nothing can go on, its stage decides what happens next; time passes only when it says so.

The seam is the selector: asyncio asks it to wait exactly when no callback is ready. So `asyncio.sleep`, `asyncio.timeout` and all
else that is built on the loop's clock is in virtual time too, and Postgres, behind a real socket, is waited for in real time.
"""

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, Protocol

REAL_LIMIT_S = 60.0  # of the machine's time: a Postgres that takes longer for one statement is a test that hangs


class Stuck(Exception):
    """Nothing can go on, no timer runs, and Postgres owes no answer: whoever waits, waits for ever."""


class Idle(Protocol):
    """Who decides."""

    @property
    def waits_for_postgres(self) -> bool:
        """A transaction is in progress, so nothing else may happen and no time may pass."""

    def go_on(self, next_timer_s: float | None) -> None:
        """Make somebody ready, or let time pass until the next timer (None: no timer runs)."""

    def act(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        """A coroutine is about to become a task with this context."""

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        """A task was made."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`stage` is who decides; without one the loop waits for sockets only, and its clock stands still.

    Timers of one moment fire in the order in which they were set. In asyncio's heap they do not, and which one is first depends on
    what else has been in the heap; a seed would be worth nothing.
    """

    def __init__(self) -> None:
        self.time_s = 0.0
        self.stage: Idle | None = None
        self._timers_set = 0
        super().__init__(_Selector(self))
        self.set_task_factory(_make_task)

    def time(self) -> float:
        return self.time_s

    def start_over(self) -> None:
        """A new play: the clock is at 0 again. What is still set is asyncpg's, for its cache of statements."""
        self.time_s = 0.0

    @property
    def next_timer_s(self) -> float | None:
        """When the next timer fires."""
        return self._scheduled[0].when() if self._scheduled else None

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self._timers_set += 1
        timer = _Timer(self._timers_set, when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # which makes asyncio count it when it is cancelled
        return timer


class _Timer(asyncio.TimerHandle):
    """`number` decides between timers of one moment."""

    def __init__(self, number: int, when: float, *how: Any) -> None:
        super().__init__(when, *how)
        self._number = number

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        assert isinstance(other, _Timer)
        return (self._when, self._number) < (other._when, other._number)


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        stage = self._loop.stage
        if timeout is not None and timeout <= 0:  # somebody is ready
            return super().select(0)
        if stage is not None and not stage.waits_for_postgres:
            stage.go_on(self._loop.next_timer_s)
            return []
        events = super().select(REAL_LIMIT_S)
        if not events:
            raise Stuck(f"no answer on any socket for {REAL_LIMIT_S:g} s")
        return events


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **how: Any) -> "asyncio.Task[Any]":
    if not isinstance(loop, VirtualLoop) or loop.stage is None:
        return asyncio.Task(coroutine, loop=loop, **how)
    context = how.pop("context", None) or copy_context()
    loop.stage.act(coroutine, context)
    task = asyncio.Task(coroutine, loop=loop, context=context, **how)
    loop.stage.adopt(task)
    return task
