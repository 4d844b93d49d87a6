"""Commands of ours as processes of their own, which die, stand still and are killed; and waiting for what they do."""

import asyncio
import inspect
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from app.embedded.ports import LOOPBACK
from domain.failpoint import Failpoint
from tests.crash.nursery import Nursery

PATIENCE_S = 60.0  # a bound, never a pause: what is waited for takes a second or two on two cores of its own
LOOK_S = 0.02
T = TypeVar("T")


async def until(question: Callable[[], Awaitable[T] | T], what: str, said: Callable[[], str] = str) -> T:
    """Asks until the answer is true, and returns it. When it does not come, `said` tells more."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        answer = question()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(LOOK_S)
    raise AssertionError(f"not within {PATIENCE_S:g} s: {what}. {said()}")


class Process:
    """`partner-api` with these arguments. Of settings it knows what `environment` says, and nothing of this machine's."""

    def __init__(
        self,
        nursery: Nursery,
        log: Path,
        *arguments: str,
        environment: Mapping[str, str],
        listener: socket.socket | None = None,
    ) -> None:
        self._nursery, self._log = nursery, log
        self._code: int | None = None
        with log.open("ab") as output:
            listens_at = listener.fileno() if listener else None
            self._pid = nursery.start(arguments, environment, output.fileno(), listens_at)

    def said(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        if self._code is None:
            self._code = self._nursery.ended(self._pid)
        return self._code is None

    async def stands_at(self, failpoint: Failpoint, times: int = 1) -> None:
        """Return when it stands still at a failpoint, with so many of its tasks."""
        line = f"failpoint {failpoint.value}: standing still"

        def does() -> bool:
            assert self.is_alive, self.said()
            return self.said().count(line) >= times

        await until(does, f"{line}, {times} times", self.said)

    async def says(self, text: str) -> None:
        """Return when it has logged this."""
        await until(lambda: text in self.said(), repr(text), self.said)

    async def ended(self) -> int:
        """Its exit code, once it has one."""
        await until(lambda: not self.is_alive, "the end of a process", self.said)
        assert self._code is not None
        return self._code

    async def fell_at(self, failpoint: Failpoint) -> None:
        """Return when it has ended itself at a failpoint, by SIGKILL."""
        assert await self.ended() == -signal.SIGKILL, self.said()
        assert f"failpoint {failpoint.value}: ending here" in self.said()

    async def killed(self) -> None:
        """SIGKILL from outside."""
        self._signal(signal.SIGKILL)
        assert await self.ended() == -signal.SIGKILL, self.said()

    def end(self) -> None:
        """SIGKILL, if it lives."""
        if self.is_alive:
            self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM: it may finish what is under way."""
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it where it is, as a pause of its machine would."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.is_alive, self.said()  # so the number is still its own
        os.kill(self._pid, number)


class ApiProcess(Process):
    """`partner-api serve` on a port of its own. Requests may be sent at once; they wait until it is up."""

    def __init__(self, nursery: Nursery, log: Path, *, environment: Mapping[str, str]) -> None:
        with socket.create_server((LOOPBACK, 0)) as listener:  # closed here, so that it is gone when the process is
            self.address = f"http://{LOOPBACK}:{listener.getsockname()[1]}/graphql"
            super().__init__(nursery, log, "serve", environment=environment, listener=listener)
