"""The processes of one run, found by whose children they are, and signals that can't reach anybody else's. Linux only."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
BEGAN = 17  # in /proc/PID/stat the 22nd field; the name, the state and the parent come before what is counted here
# How each is told from its command line. A child that is just being started shows it too, behind its launcher's.
KINDS = {"api": "serve", "worker": "work", "redis": "valkey-server", "postgres": "postgres"}


@dataclass(frozen=True, slots=True)
class Process:
    """A living process as it was when looked at. The same number with another beginning is another process."""

    pid: int
    parent: int
    began: int  # in the kernel's ticks
    arguments: tuple[str, ...] = field(compare=False)  # Postgres writes over them as it goes


def children_of(parent: int) -> list[Process]:
    """The living children of a process, the oldest number first."""
    found = [_look(int(each.name)) for each in PROC.iterdir() if each.name.isdecimal()]
    return sorted((each for each in found if each and each.parent == parent), key=lambda each: each.pid)


def of_kind(kind: str, supervisor: int) -> list[Process]:
    """The supervisor's children of one of KINDS, as they are now: after a restart they are others."""
    return [each for each in children_of(supervisor) if KINDS[kind] in {_program(text) for text in each.arguments}]


def postgres_backends(supervisor: int) -> list[Process]:
    """The server processes that serve a client each. Their command lines say whose."""
    servers = [child for postgres in of_kind("postgres", supervisor) for child in children_of(postgres.pid)]
    return [each for each in servers if "127.0.0.1(" in " ".join(each.arguments)]


def send(process: Process, number: signal.Signals) -> bool:
    """Send a signal to the process that was found. False when it has ended, even if another has its number by now."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            if _look(process.pid) == process:  # asked after the handle was opened, so both are of one process
                signal.pidfd_send_signal(handle, number)
                return True
        finally:
            os.close(handle)
    return False


def _program(argument: str) -> str:
    """`valkey-server` of `/somewhere/valkey-server 127.0.0.1:6379`, which Redis writes over its command line."""
    return Path(argument.partition(" ")[0]).name


def _look(pid: int) -> Process | None:
    try:
        state, parent, *rest = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        arguments = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else Process(pid, int(parent), int(rest[BEGAN]), tuple(arguments))
