"""`partner-api up` in a process of its own, with the stand-in as its children, and how to watch it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

STAND_IN = Path(__file__).with_name("stand_in.py")
PATIENCE_S = 20.0  # a bound, never a pause: what is waited for comes in well under a second
# Servers of somebody else's: the stand-ins never connect, and starting ours would cost a second in every test.
ELSEWHERE = ("--database-url", "postgresql://owner:secret@127.0.0.1:1/shop", "--redis-url", "redis://127.0.0.1:1/0")


def eventually(question: Callable[[], T]) -> T:
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.01)
    raise AssertionError("what was waited for did not come")


def is_gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has buried yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


class Up:
    """One `up` and what is known of it."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.notes_file = folder / "notes"
        self.errors_file = folder / "stderr"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PARTNER_API_")}
        with self.errors_file.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(STAND_IN), "up", "--data", str(folder / "data"), *arguments],
                env={**kept, "STAND_IN_NOTES": str(self.notes_file), **environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.children: set[int] = set()

    def ready(self) -> dict[str, Any]:
        """The line of JSON."""
        assert self.process.stdout
        assert select.select([self.process.stdout], [], [], PATIENCE_S)[0], self.errors()
        line = self.process.stdout.readline()
        assert line, self.errors()
        ready: dict[str, Any] = json.loads(line)
        self.children.update(pid for pids in ready["pids"].values() for pid in pids)
        return ready

    def notes(self) -> list[str]:
        return self.notes_file.read_text().splitlines() if self.notes_file.exists() else []

    def errors(self) -> str:
        return self.errors_file.read_text()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Sends a signal, waits, and returns the exit code and what else was on stdout."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, output
