"""One child: how it is kept running."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from app.supervisor import child as supervised
from app.supervisor.child import Child, Program, Started, StartError

SLEEPER = (sys.executable, "-I", "-S", "-c", "import signal; signal.pause()")
STOP = ((signal.SIGKILL, 5.0),)


class Readiness:
    """What the child answers when it is asked whether it is ready, and how often it was asked."""

    def __init__(self) -> None:
        self.is_ready = True
        self.asked = asyncio.Queue[int]()

    async def __call__(self, _: Started) -> bool:
        self.asked.put_nowait(1)
        return self.is_ready


def program(log: Path, readiness: Readiness) -> Program:
    return Program("sleeper", lambda: SLEEPER, lambda: {}, log, readiness, STOP)


async def test_one_that_is_slow_to_become_ready_again_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd of waiting clients keeps it from answering us; a kill would only make the crowd grow."""
    monkeypatch.setattr(supervised, "START_S", 0.05)
    readiness, said = Readiness(), asyncio.Queue[str]()
    child = Child(program(tmp_path / "log", readiness), said.put_nowait)
    await child.start()
    first = child.pid

    readiness.is_ready = False
    os.kill(first, signal.SIGKILL)
    assert "starting it again" in await said.get()
    for _ in range(20):  # each 0.02 s after the other: several times START_S
        await readiness.asked.get()
    second = child.pid
    readiness.is_ready = True
    message = await said.get()
    await child.stop()

    assert first != second
    assert message == f"sleeper is up again, process {second}"


async def test_one_that_is_not_ready_at_the_first_start_is_ended_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "START_S", 0.05)
    readiness = Readiness()
    readiness.is_ready = False
    child = Child(program(tmp_path / "log", readiness), lambda _: None)

    with pytest.raises(StartError, match="was not ready within"):
        await child.start()
