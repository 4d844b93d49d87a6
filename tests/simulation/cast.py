"""The processes of a system under test: APIs and workers, which die and are started again, stand still, and have wrong clocks."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from gateway.expiry import Expiry
from gateway.gateway import Gateway
from gateway.reaper import Reaper
from gateway.reconciliation import Reconciliation
from gateway.recovery import Recovery
from gateway.rounds import again_and_again
from gateway.schedule import Schedule
from tests.simulation.bank_line import Line
from tests.simulation.plan import APIS, WORKERS
from tests.simulation.scene import Scene
from tests.simulation.stage import Process, Stage
from tests.simulation.staged_parts import StagedWakeups

# Between two rounds. In production recovery looks twice a second, where here most looks would find nothing, and the others once a
# minute or an hour, where here a stretch would be over.
LOOK_S, SWEEP_S = 5.0, 20.0
RECONCILE_EVERY = timedelta(seconds=25)
REPAIR_LIMIT = 2500  # cents; half of the payments are above it
RESTART_S = 3.0  # how long a dead process stays away at most
DRAIN_S = 20.0  # what SIGTERM gives to what is under way
HOLD_LIFE = timedelta(hours=168)  # contract §6


def rounds(
    scene: Scene, stage: Stage, process: Process, line: Line, wakeups: StagedWakeups, stopped: asyncio.Event, *, reconciles: bool
) -> list[Coroutine[Any, Any, None]]:
    """All that a worker does, as in app/worker.py. What it learns to do there is added here."""
    parts, watch = scene.parts(stage, process, line, wakeups), scene.watch(stage)
    recovery = Recovery(parts, watch)  # type: ignore[arg-type]
    expiry = Expiry(parts, watch, HOLD_LIFE)  # type: ignore[arg-type]
    reaper = Reaper(parts, watch)  # type: ignore[arg-type]
    reconciliation = Reconciliation(parts, repair_limit_minor=REPAIR_LIMIT, is_stopped=stopped.is_set)
    schedule = Schedule(reconciliation, watch, parts.world, RECONCILE_EVERY)  # type: ignore[arg-type]

    async def recover() -> None:
        await again_and_again("recovery", recovery.start_due, LOOK_S, stopped)
        await recovery.settle()

    async def reconcile() -> None:
        await again_and_again("reconciliation", schedule.start_due, SWEEP_S, stopped)
        await schedule.settle()

    return [
        recover(),
        again_and_again("expiry", expiry.run_once, SWEEP_S, stopped),
        again_and_again("the reaper", reaper.run_once, SWEEP_S, stopped),
        *([reconcile()] if reconciles else []),
    ]


class Cast:
    """All processes of the system, by their names."""

    def __init__(self, scene: Scene, stage: Stage, line: Line, *, reconciles: bool) -> None:
        self.wakeups = StagedWakeups(stage, loses=0.2)
        self.members: dict[str, Member] = {}
        for number in range(APIS):
            self.members[f"api {number}"] = Api(f"api {number}", scene, stage, line, self.wakeups)
        for number in range(WORKERS):
            worker = Worker(f"worker {number}", scene, stage, line, self.wakeups)
            worker.reconciles = reconciles
            self.members[worker.name] = worker
        for member in self.members.values():
            member.start()
        self.apis = [member for member in self.members.values() if isinstance(member, Api)]

    def heal(self) -> None:
        """Everybody is there, gets its turns, and has the right time."""
        for member in self.members.values():
            member.heal()


class Member:
    """A place for a process. One that dies is started again after a while."""

    def __init__(self, name: str, scene: Scene, stage: Stage, line: Line, wakeups: StagedWakeups) -> None:
        self.name = name
        self.process: Process | None = None
        self._scene, self._stage, self._line, self._wakeups = scene, stage, line, wakeups
        self._lives = 0

    def start(self) -> None:
        """Begin another life, if it is dead."""
        if self.process is not None:
            return
        self._lives += 1
        self.process = Process(self.name)
        self.process.on_death.append(self._died)
        self.open(self.process)

    def open(self, process: Process) -> None:
        """What a new process begins with."""
        raise NotImplementedError

    def kill(self) -> None:
        if self.process is not None:
            self._stage.kill(self.process)

    def slow_down(self, for_s: float) -> None:
        if self.process is not None:
            self._stage.slow_down(self.process, for_s)

    def set_clock(self, skew_s: float) -> None:
        if self.process is not None:
            self.process.skew_s = skew_s

    def stop(self) -> None:
        """SIGTERM: nothing new, and what is under way may end."""
        process = self.process
        if process is not None:
            self._stage.start(process, self.name, self._drain(process))

    async def _drain(self, process: Process) -> None:
        await self.drained()
        self._stage.kill(process)

    async def drained(self) -> None:
        """Begin nothing new, and return when what was under way has ended, or took too long."""
        raise NotImplementedError

    def heal(self) -> None:
        self.start()
        assert self.process is not None
        self.process.slow, self.process.skew_s = False, 0.0

    def _died(self) -> None:
        self.process = None
        self._stage.later(RESTART_S * self._stage.chance("restart", self.name, self._lives), self.start)


class Api(Member):
    """Answers clients."""

    gateway: Gateway

    def open(self, process: Process) -> None:
        self.gateway = Gateway(self._scene.parts(self._stage, process, self._line, self._wakeups))
        self.stopping = False

    async def drained(self) -> None:
        self.stopping = True
        await self.gateway.close(DRAIN_S)


class Worker(Member):
    """Makes its rounds."""

    reconciles = False

    def open(self, process: Process) -> None:
        self._stopped = asyncio.Event()
        given = (self._scene, self._stage, process, self._line, self._wakeups, self._stopped)
        made = rounds(*given, reconciles=self.reconciles)
        self._rounds = [self._stage.start(process, self.name, each) for each in made]

    async def drained(self) -> None:
        self._stopped.set()
        await asyncio.wait(self._rounds, timeout=DRAIN_S)
