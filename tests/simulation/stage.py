"""A stage: real code runs on it step by step, and a director says who goes on next, with what luck, and who dies.

Tasks of the code under test park at *points*: before a transaction and after its commit, before the bank is asked, when it has
acted, before its answer arrives. Between two points one task runs alone, so transactions never overlap, and the same director gives
the same history. Virtual time passes only while nobody is parked. A *process* has its tasks, its clock and its calls to the bank;
it can be slow, and it can die: what it was about to do does not happen, what it had committed stays.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, TypeVar

from domain.attempt import Attempt
from domain.failpoint import Failpoint
from tests.simulation.virtual_loop import Stuck, VirtualLoop

T = TypeVar("T")
GO, DIE, STILL = "", "dies", "stands still"  # what can happen at every point; others belong to their points
EPOCH = datetime(2026, 6, 1, 12, tzinfo=UTC)
GATEWAY_LOG = logging.getLogger("gateway")
MAX_STEPS = 200_000  # a stretch of fifty operations takes some thousands; more is a loop that does not end


class ProcessDied(asyncio.CancelledError):
    """What a dead process's code sees at its points. No `except Exception` catches it, and no task complains of it."""


class Died(Exception):
    """What others see of a process that died: their connection is gone."""


@dataclass(eq=False, slots=True)
class Process:
    """`skew_s`: how wrong its clock is. `slow`: it gets no processor; time passes for the others."""

    name: str
    skew_s: float = 0.0
    slow: bool = False
    dead: bool = False
    tasks: dict["asyncio.Task[Any]", None] = field(default_factory=dict)  # in the order of their beginning, which a set has not
    on_death: list[Callable[[], None]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Point:
    """Where a task is parked. `victim` is who dies if somebody dies here, `options` what else can happen, `nth` counts its like."""

    actor: str
    process: Process
    what: str
    options: Sequence[str]
    nth: int
    victim: Process
    turn: "asyncio.Future[str]"
    rank: float | None = None  # for directors


class Step(NamedTuple):
    """One line of a history."""

    at_s: float
    process: str
    actor: str
    what: str
    luck: str

    def __str__(self) -> str:
        return f"{self.at_s:10.3f} s  {self.process:<10} {self.actor:<24} {self.what}{f'  → {self.luck}' if self.luck else ''}"


class Director(Protocol):
    """Who decides."""

    def choose(self, points: Sequence[Point]) -> tuple[Point, str] | None:
        """Whose turn it is, and what happens: GO, DIE, STILL, or an option of the point. None: somebody else has been woken."""

    def dies_at(self, process: Process, actor: str, failpoint: Failpoint, nth: int) -> bool:
        """Whether the process dies at this place, which may be in the middle of a transaction."""

    def stands_still_s(self, point: Point) -> float:
        """For how long its process gets no turn, after STILL was chosen for it."""


PROCESS: ContextVar[Process] = ContextVar("PROCESS")
ACTOR: ContextVar[str] = ContextVar("ACTOR")
OUTSIDE = Process("outside")  # clients and whoever else is not under test


class Stage:
    """One play. `seed` decides all chance that the code under test uses; each actor has its own, so that one more changes no other."""

    def __init__(self, loop: VirtualLoop, director: Director, seed: str) -> None:
        self.director = director
        self.history: list[Step] = []
        self.surprises: list[str] = []  # what should be impossible: whatever ended in an exception that nobody expects
        self._transaction_of: Process | None = None
        self.skipped_s = 0.0  # by which all clocks, the bank's too, are ahead of the loop's: days that nobody waited for
        self.failpoints: Counter[Failpoint] = Counter()
        self._loop = loop
        self._seed = seed
        self._parked: list[Point] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._authors: dict[int, str] = {}
        self._script: asyncio.Task[Any] | None = None
        self._ended = False
        self._complaints = Complaints(self.surprises)

    # --- what the code under test meets ---

    @property
    def time_s(self) -> float:
        return self._loop.time_s

    def now(self, process: Process | None = None) -> datetime:
        """The time, as a process's clock shows it."""
        return EPOCH + timedelta(seconds=self._loop.time_s + self.skipped_s + (process.skew_s if process else 0.0))

    def chance(self, *about: object) -> float:
        """A number in [0, 1) that depends on nothing but the seed and `about`."""
        return self._digest(about) / 2**64

    def random(self) -> float:
        """The actor's next number in [0, 1)."""
        return self._digest(self._next("random")) / 2**64

    def random_bits(self, count: int) -> int:
        """The actor's next bits. The stage remembers whose they are: see `actor_of`."""
        bits = (self._digest((*self._next("bits"), "high")) << 64 | self._digest((*self._next("bits"), "low"))) % 2**count
        self._authors[bits] = ACTOR.get()
        return bits

    def actor_of(self, attempt: object) -> str | None:
        """Who opened an attempt; whoever drives it acts for them."""
        if not isinstance(attempt, Attempt):
            return None
        number = attempt.id.int
        return self._authors.get((number >> 64 & 0xFFF) << 62 | number & (1 << 62) - 1)

    @property
    def waits_for_postgres(self) -> bool:
        """Whether a transaction is in progress."""
        return self._transaction_of is not None

    async def point(self, what: str, options: Sequence[str] = (), victim: Process | None = None) -> str:
        """Park here until it is this task's turn. Returns what happens: GO or one of `options`."""
        process, actor = PROCESS.get(), ACTOR.get()
        self._stop_the_dead(process)
        # Another process may come here meanwhile: the bank, say, when the one that dies in its transaction hangs up on it.
        assert self._transaction_of is not process, f"{process.name}, {actor}: {what} inside of a transaction"
        point = Point(actor, process, what, options, self._count(actor, what), victim or process, self._loop.create_future())
        self._parked.append(point)
        try:
            return await point.turn
        finally:
            if point in self._parked:
                self._parked.remove(point)
            self._stop_the_dead(process)

    async def reach(self, failpoint: Failpoint) -> None:
        """Where a process may die in the middle of a transaction."""
        process, actor = PROCESS.get(), ACTOR.get()
        self._stop_the_dead(process)
        self.failpoints[failpoint] += 1
        if self.director.dies_at(process, actor, failpoint, self._count(actor, failpoint)):
            self.note(process, actor, failpoint, DIE)
            self.kill(process)
            raise ProcessDied(process.name)

    @contextmanager
    def postgres(self) -> Any:
        """While Postgres is being asked nothing else happens, and no time passes."""
        assert not self.waits_for_postgres, "a transaction is opened while another one is in progress"
        self._transaction_of = PROCESS.get(OUTSIDE)
        try:
            yield
        finally:
            self._transaction_of = None

    # --- what directors and scripts do ---

    def start(self, process: Process, actor: str, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A task of a process."""
        context = copy_context()
        context.run(PROCESS.set, process)
        context.run(ACTOR.set, actor)
        return context.run(self._loop.create_task, work)

    def kill(self, process: Process) -> None:
        """SIGKILL: nothing of what it was about to do happens, its connections are cut."""
        process.dead = True
        for cut in list(process.on_death):
            cut()
        for task in list(process.tasks):
            if task is not _current_task():
                task.cancel()

    def slow_down(self, process: Process, for_s: float) -> None:
        """It gets no turn for so long."""
        process.slow = True
        self.later(for_s, lambda: setattr(process, "slow", False))

    def pass_time(self, seconds: float) -> None:
        """Let time pass while everybody who is parked stays parked."""
        self._loop.time_s += seconds

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something when so much time has passed, unless the play is over by then."""

        def unless_it_is_over() -> None:
            if not self._ended:
                what()

        self._loop.call_later(seconds, unless_it_is_over)

    def note(self, process: Process, actor: str, what: str, luck: str = GO) -> None:
        """A line for the history."""
        self.history.append(Step(self.time_s, process.name, actor, what, luck))

    async def perform(self, script: Callable[[], Awaitable[T]]) -> T:
        """Run the script to its end, then clear the stage."""
        self._loop.start_over()
        self._loop.stage = self
        self._loop.set_exception_handler(self._surprised)
        PROCESS.set(OUTSIDE)
        ACTOR.set("script")
        GATEWAY_LOG.addHandler(self._complaints)
        try:
            self._script = self._loop.create_task(script())  # type: ignore[arg-type]
            try:
                return await self._script
            except asyncio.CancelledError:
                raise Stuck("\n".join(["nobody can go on", *map(str, self.history[-10:])])) from None
        finally:
            self._ended = True
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._loop.stage = None
            GATEWAY_LOG.removeHandler(self._complaints)

    # --- what the loop does ---

    def go_on(self, next_timer_s: float | None) -> None:
        ready = [point for point in self._parked if not point.process.slow]
        if len(self.history) > MAX_STEPS:
            raise Stuck(f"{MAX_STEPS} steps and no end")
        if ready:
            chosen = self.director.choose(ready)
            if chosen is None:
                return
            point, luck = chosen
            self.note(point.process, point.actor, point.what, luck)
            if luck == STILL:
                self.slow_down(point.process, self.director.stands_still_s(point))
                return
            self._parked.remove(point)
            if luck == DIE:
                self.kill(point.victim)
            if not point.turn.done():
                point.turn.set_result(GO if luck == DIE else luck)
        elif next_timer_s is not None:
            self._loop.time_s = next_timer_s
        elif self._script is not None and not self._script.cancelling():
            self._script.cancel()
        else:
            raise Stuck("nobody can go on, and nobody can be stopped")

    def act(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        """A coroutine becomes a task, in this context. One that is given an attempt acts for whoever opened it."""
        frame = getattr(coroutine, "cr_frame", None)
        actor = self.actor_of(frame.f_locals.get("attempt")) if frame is not None else None
        if actor is not None:
            context.run(ACTOR.set, actor)

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        process = PROCESS.get(OUTSIDE)
        for tasks in (self._tasks, process.tasks):
            tasks[task] = None
            task.add_done_callback(tasks.pop)

    def _stop_the_dead(self, process: Process) -> None:
        if process.dead or self._ended:
            raise ProcessDied(process.name)

    def _surprised(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), asyncio.CancelledError):  # of a dead process, whose futures nobody reads
            self.surprises.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _count(self, *what: str) -> int:
        self._counts[what] += 1
        return self._counts[what]

    def _next(self, kind: str) -> tuple[object, ...]:
        return kind, ACTOR.get(), self._count(ACTOR.get(), kind)

    def _digest(self, about: Sequence[object]) -> int:
        return int.from_bytes(blake2b(repr((self._seed, *about)).encode(), digest_size=8).digest())


class Complaints(logging.Handler):
    """Collects what the gateway logs as an error: an exception of ours, which it survives in production and must not have here."""

    def __init__(self, surprises: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._surprises = surprises

    def emit(self, record: logging.LogRecord) -> None:
        self._surprises.append(f"{record.getMessage()}: {record.exc_info[1]!r}" if record.exc_info else record.getMessage())


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # called by the loop itself
        return None
