"""`partner-api up` from the first signal handler to the last child."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

import click

from app.embedded.ports import PortTakenError
from app.embedded.server import EmbeddedServerError, launched, make_folder
from app.supervisor.child import StartError
from app.supervisor.configuration import ConfigurationError, Options
from app.supervisor.lock import AlreadyRunningError, DataLock, mark_checkout_as_used
from app.supervisor.show import show
from app.supervisor.system import Ready, System

DEMO_S = 600.0  # the demo takes a minute; a bank made slow by its environment is given ten
DEMO_STOP_S = 5.0  # it has nothing to finish
INTERRUPTED = 130  # the shells' exit code for Ctrl-C

ENTRY = (sys.executable, "-P", "-m", "app")  # -P: the folder we are in may have an `app` of its own
FAILURES = (StartError, EmbeddedServerError, ConfigurationError, PortTakenError, AlreadyRunningError, OSError)

Then = Callable[[System, Ready], Awaitable[int]]


def say(message: str) -> None:
    """Tells people what happens. On stderr: stdout is for the result."""
    with suppress(OSError):  # nobody reads on, which is no reason to stop
        click.echo(f"partner-api: {message}", err=True)


def up(options: Options, *, as_json: bool = False, entry: Sequence[str] | None = None) -> int:
    """Runs the system until a signal; returns the exit code."""

    async def stay(_: System, ready: Ready) -> int:
        with suppress(OSError):
            show(ready, as_json=as_json)
        await asyncio.Event().wait()  # a signal ends this by cancelling it
        return 0

    with Signals() as signals:
        return asyncio.run(_run(options, entry or ENTRY, stay, signals, code_when_stopped=0))


def demo(options: Options, *, entry: Sequence[str] | None = None) -> int:
    """Runs the system on a folder and ports of its own, plays the demo on it and returns the demo's exit code."""

    async def play(system: System, ready: Ready) -> int:
        return await _play(entry or ENTRY, system, ready)

    with Signals() as signals:
        data = Path(tempfile.mkdtemp(prefix="partner-api-demo-"))
        if os.geteuid() == 0:
            data.chmod(0o711)  # PostgreSQL's account has to pass
        own = replace(options, data=data, port=options.port or 0)
        try:
            return asyncio.run(_run(own, entry or ENTRY, play, signals, code_when_stopped=INTERRUPTED))
        finally:
            shutil.rmtree(data, ignore_errors=True)


class Signals:
    """Turns SIGTERM, SIGINT and SIGHUP into calls on the event loop, and into nothing before it runs and after.

    Not the loop's own handlers: those end with it, and a second Ctrl-C would then cut into what is left to tidy up.
    """

    def __init__(self) -> None:
        self.count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._call: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}

    def then(self, call: Callable[[], None]) -> None:
        """Calls this in the running loop for every signal, and for those that came already."""
        self._loop, self._call = asyncio.get_running_loop(), call
        for _ in range(self.count):
            call()

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` means it
                self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _arrived(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.count += 1
        if self._loop and not self._loop.is_closed() and self._call:
            self._loop.call_soon_threadsafe(self._call)


async def _run(options: Options, entry: Sequence[str], then: Then, signals: Signals, *, code_when_stopped: int) -> int:
    """Starts, does what comes then, and stops; a signal ends it early, a second one hastens the end."""
    try:
        mark_checkout_as_used()
        make_folder(options.data)
        lock = DataLock(options.data)
    except (AlreadyRunningError, OSError) as error:
        say(str(error))
        return 1
    system = System(options, entry, say)
    task = asyncio.ensure_future(_start_and(system, then))
    stopping = False

    def on_signal() -> None:
        if stopping:
            system.hurry()
        task.cancel()

    signals.then(on_signal)
    try:
        return await task
    except asyncio.CancelledError:
        return code_when_stopped
    finally:
        stopping = True
        say("stopping")
        await system.stop()
        lock.release()


async def _start_and(system: System, then: Then) -> int:
    try:
        ready = await system.start()
    except (*FAILURES, ExceptionGroup) as error:
        if not isinstance(failure := _first(error), FAILURES):
            raise
        say(str(failure))
        return 1
    return await then(system, ready)


def _first(error: Exception) -> Exception:
    """The failure that made a task group give up: the others are its consequences."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _play(entry: Sequence[str], system: System, ready: Ready) -> int:
    """Runs the demo with our terminal; returns its exit code, or 1 after DEMO_S seconds."""
    variables = {
        "PARTNER_API_DEMO_GRAPHQL_URL": ready.graphql,
        "PARTNER_API_DEMO_API_KEY": ready.api_key,
        "PARTNER_API_DEMO_BANK_URL": ready.bank_url,
        "PARTNER_API_DEMO_BANK_CONTROL_URL": ready.bank_control_url or "",
    }
    process = await asyncio.create_subprocess_exec(
        *launched([*entry, "demo"]), env={**system.environment, **variables}, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        return await asyncio.wait_for(process.wait(), DEMO_S)
    except TimeoutError:
        say(f"the demo took more than {DEMO_S:.0f} s")
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), DEMO_STOP_S)
