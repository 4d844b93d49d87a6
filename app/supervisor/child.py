"""One child process: started, waited for, started again when it dies, stopped."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.embedded.server import EmbeddedServerError, open_log, tail

START_S = 60.0  # a cold Python on a loaded machine takes 5 s; beyond a minute something is wrong
PROBE_INTERVAL_S = 0.02
STEADY_S = 10.0  # who lived this long has started well: its next failure is the first one again
BACKOFF_FIRST_S = 0.1  # the first restart is all but immediate
BACKOFF_CAP_S = 5.0  # a child that can't start must not keep a core busy, nor keep people waiting once it can

Say = Callable[[str], None]


class StartError(Exception):
    """A child did not come up; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Started:
    """When a child was started: what its readiness may be measured from."""

    at_s: float  # the event loop's clock
    log_bytes: int  # what the log already held


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to treat it."""

    name: str
    command: Callable[[], Sequence[str]]
    environment: Callable[[], Mapping[str, str]]
    log: Path
    is_ready: Callable[[Started], Awaitable[bool]]
    stop: tuple[tuple[signal.Signals, float], ...]  # ask with each, and wait so many seconds before the next
    prepare: Callable[[], object] = lambda: None  # may block; before each start
    may_pass: Callable[[bytes], bool] = lambda _: False  # whether the failure that this log tells of passes by itself
    pass_fds: tuple[int, ...] = ()


class Child:
    """A program that is kept running between `start()` and `stop()`."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._started = Started(0, 0)
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id; another one after a restart."""
        assert self._process, "start() comes first"
        return self._process.pid

    async def start(self) -> None:
        """Starts the program and waits until it is ready. Raises StartError or EmbeddedServerError."""
        deadline_s = asyncio.get_running_loop().time() + START_S
        while True:
            try:
                await self._start_once()
                break
            except StartError:
                passing = self.program.may_pass(self._log_since_start())
                if not passing or asyncio.get_running_loop().time() > deadline_s:
                    raise
                await asyncio.sleep(PROBE_INTERVAL_S)
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def _start_once(self) -> None:
        await self._launch()
        try:
            async with asyncio.timeout(START_S):
                await self._until_ready()
        except TimeoutError:
            assert self._process
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            raise StartError(self._failure(f"was not ready within {START_S:.0f} s")) from None

    async def _launch(self) -> None:
        await asyncio.to_thread(self.program.prepare)
        log = open_log(self.program.log)
        try:
            self._started = Started(asyncio.get_running_loop().time(), os.fstat(log).st_size)
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command(),
                env=self.program.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.program.pass_fds,
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which stops things in order
            )
        finally:
            os.close(log)

    async def _until_ready(self) -> None:
        """However long it takes, for as long as it lives."""
        assert self._process
        while not await self.program.is_ready(self._started):
            if self._process.returncode is not None:
                raise StartError(self._failure(f"ended at its start ({_how(self._process.returncode)})"))
            await asyncio.sleep(PROBE_INTERVAL_S)

    def _failure(self, what: str) -> str:
        return f"{self.program.name} {what}. The end of {self.program.log}:\n{tail(self.program.log)}"

    def _log_since_start(self) -> bytes:
        with self.program.log.open("rb") as file:
            file.seek(self._started.log_bytes)
            return file.read()

    async def _keep(self) -> None:
        """Starts the program again whenever it has ended; only `stop()` ends this.

        One that lives is left alone, ready or not. It may have so many clients waiting that it answers none of our questions in
        time, and to kill it for that would make the next one's queue longer.
        """
        name, failures = self.program.name, 0
        while True:
            assert self._process
            code = await self._process.wait()
            lived_s = asyncio.get_running_loop().time() - self._started.at_s
            failures = 0 if lived_s > STEADY_S else failures + 1
            self._say(f"{name}, process {self._process.pid}, ended ({_how(code)}); starting it again")
            await asyncio.sleep(backoff_s(failures))
            try:
                await self._launch()
                await self._until_ready()
            except (StartError, EmbeddedServerError, OSError) as error:
                self._say(str(error))
            else:
                self._say(f"{name} is up again, process {self._process.pid}")

    async def stop(self) -> None:
        """Stops the program and doesn't start it again."""
        if self._keeper:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        for number, patience_s in (*self.program.stop, (signal.SIGKILL, START_S)):
            if not self._process or self._process.returncode is not None:
                return
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), patience_s)

    def hurry(self) -> None:
        """Asks as firmly as this program may be asked; for people who press Ctrl-C twice."""
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(self.program.stop[-1][0])


def backoff_s(failures: int) -> float:
    """How long to wait before the next start after so many short lives in a row, in seconds."""
    return float(min(BACKOFF_FIRST_S * 2 ** min(max(failures - 1, 0), 10), BACKOFF_CAP_S))


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
