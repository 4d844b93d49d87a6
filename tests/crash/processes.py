"""Commands of ours as processes of their own, which die, stand still and are killed; and waiting for what they do."""

import asyncio
import inspect
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from app.embedded.ports import LOOPBACK
from domain.failpoint import Failpoint

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0  # a bound, never a pause: what is waited for takes a second or two on two cores of its own
LOOK_S = 0.02
T = TypeVar("T")


async def until(question: Callable[[], Awaitable[T] | T], what: str, *, patience_s: float = PATIENCE_S) -> T:
    """Asks until the answer is true, and returns it."""
    give_up_at = time.monotonic() + patience_s
    while time.monotonic() < give_up_at:
        answer = question()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(LOOK_S)
    raise AssertionError(f"not within {patience_s:g} s: {what}")


class Process:
    """`partner-api` with these arguments. It knows nothing of this machine but what `environment` says."""

    def __init__(self, log: Path, *arguments: str, environment: Mapping[str, str], listener: socket.socket | None = None) -> None:
        self._log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PARTNER_API_")}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", *arguments],
                cwd=ROOT,
                env={**kept, **environment},
                stdout=output,
                stderr=output,
                pass_fds=(listener.fileno(),) if listener else (),
            )

    def said(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    async def stands_at(self, failpoint: Failpoint, times: int = 1) -> None:
        """Return when it stands still at a failpoint, with so many of its tasks."""
        line = f"failpoint {failpoint.value}: standing still"

        def does() -> bool:
            assert self._process.poll() is None, self.said()
            return self.said().count(line) >= times

        await until(does, f"{line}, {times} times; it said: {self.said()}")

    async def says(self, text: str) -> None:
        """Return when it has logged this."""
        await until(lambda: text in self.said(), f"{text!r}; it said: {self.said()}")

    async def fell_at(self, failpoint: Failpoint) -> None:
        """Return when it has ended itself at a failpoint, by SIGKILL."""
        assert await self.ended() == -signal.SIGKILL, self.said()
        assert f"failpoint {failpoint.value}: ending here" in self.said()

    async def killed(self) -> None:
        """SIGKILL from outside."""
        self._process.kill()
        assert await self.ended() == -signal.SIGKILL, self.said()

    def terminate(self) -> None:
        """SIGTERM: it may finish what is under way."""
        self._process.terminate()

    async def ended(self) -> int:
        """Its exit code, once it has one."""
        await until(lambda: self._process.poll() is not None, f"the end of {self._process.args}; it said: {self.said()}")
        return self._process.returncode

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def freeze(self) -> None:
        """Stop it where it is, as a pause of its machine would."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def clear_away(self) -> None:
        """Whatever it is doing, it is not needed any more."""
        if self.is_alive:
            self._process.kill()
        self._process.wait(PATIENCE_S)


class ApiProcess(Process):
    """`partner-api serve` on a port of its own. Requests may be sent at once; they wait until it is up."""

    def __init__(self, log: Path, *, environment: Mapping[str, str]) -> None:
        with socket.create_server((LOOPBACK, 0)) as listener:  # closed here, so that it is gone when the process is
            self.address = f"http://{LOOPBACK}:{listener.getsockname()[1]}/graphql"
            super().__init__(log, "serve", "--fd", str(listener.fileno()), environment=environment, listener=listener)
