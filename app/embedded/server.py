"""What the two embedded servers have in common: a folder, a port, a password, and a life as a child process."""

import os
import secrets
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from app.embedded.ports import PortClaim, free_port

START_S = 60.0  # crash recovery of a large write-ahead log on a slow disk; a usual start takes 0.2 s
STOP_S = 15.0  # a clean stop writes a checkpoint; then the server is asked less politely
KILL_S = 5.0  # after SIGQUIT the server only has to end its children
PROBE_INTERVAL_S = 0.01
LOG_LIMIT_BYTES = 5 * 1024 * 1024  # a log beyond this is put aside at the next start; one older log is kept
LOG_TAIL_LINES = 15


class EmbeddedServerError(Exception):
    """An embedded server can't be prepared or started; the message says what to do about it."""


def launched(
    program: Sequence[str | Path],
    *,
    on_parent_death: str = "KILL",
    unprivileged: bool = False,
    own: Sequence[Path] = (),
    reach: Sequence[Path] = (),
    enter: Sequence[Path] = (),
) -> list[str]:
    """The command that runs `program` so that it ends with this process; see `app/embedded/launch.py`.

    On Linux it ends with the *thread* that starts it, so start it from a thread that lives as long as the process.
    """
    launcher = Path(__file__).with_name("launch.py")
    command = [sys.executable, "-I", "-S", str(launcher), f"--parent={os.getpid()}", f"--signal={on_parent_death}"]
    if unprivileged:
        command.append("--unprivileged")
    command += [f"--own={path}" for path in own] + [f"--reach={path}" for path in reach] + [f"--enter={path}" for path in enter]
    return [*command, "--", *map(str, program)]


def secret_file(path: Path) -> str:
    """The secret kept in the file, made on first use; readable by its owner only."""
    if path.exists() and (secret := path.read_text().strip()):
        return secret
    return write_secret(path, secrets.token_urlsafe(24))


def write_secret(path: Path, secret: str) -> str:
    """Writes a secret to a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    draft.replace(path)
    return secret


def make_folder(path: Path) -> None:
    """Makes a folder for our data. As root it can be passed, though not listed, by the account PostgreSQL runs under."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, or an empty string when there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def open_log(log: Path) -> int:
    """Opens a log for a child to append to, and puts one that has become too large aside. The caller closes it."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class Server(ABC):
    """A server out of a wheel, on loopback, with its files in one folder.

    Without a port a free one is claimed at the first start and kept until `stop()`.
    """

    name: str
    stop_signals: tuple[int, ...]  # what to ask with, in this order, before it is killed

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / f"{self.name}.log"
        self._port = port
        self._claim: PortClaim | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; claimed on first use when none was given."""
        if self._port is None:
            self._claim = free_port()
            self._port = self._claim.number
        return self._port

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._child, "start() comes first"
        return self._child.pid

    @property
    @abstractmethod
    def url(self) -> str:
        """Where to connect, with the password."""

    @abstractmethod
    def prepare(self) -> None:
        """Makes what must be on disk; does nothing the second time. Raises EmbeddedServerError."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments; it ends with the process that calls this."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The program's environment."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server takes connections, asked once in its own protocol."""

    def start(self) -> str:
        """Prepares, starts and waits until the server answers; returns its URL. Raises EmbeddedServerError."""
        try:
            self.prepare()
            deadline = time.monotonic() + START_S
            while not self._start_once(deadline):
                time.sleep(PROBE_INTERVAL_S)
        except BaseException:
            self.stop()  # the port, and a server that is half up
            raise
        return self.url

    def _start_once(self, deadline: float) -> bool:
        """Starts the program; False when it ended because of what a killed predecessor has yet to release."""
        log = open_log(self.log)
        try:
            begin = os.fstat(log).st_size
            child = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C in a terminal is for us; we stop our servers in order
            )
        finally:
            os.close(log)
        self._child = child
        while time.monotonic() < deadline:
            if child.poll() is not None:
                if self.may_pass(self.log.read_bytes()[begin:]):
                    return False
                raise EmbeddedServerError(f"{self.name} ended at its start; the end of {self.log}:\n{tail(self.log)}")
            if self.answers():
                return True
            time.sleep(PROBE_INTERVAL_S)
        raise EmbeddedServerError(f"{self.name} did not answer within {START_S:.0f} s; see {self.log}.")

    def may_pass(self, log: bytes) -> bool:  # noqa: ARG002
        """Whether the failure that this log tells of goes away by itself."""
        return False

    def stop(self) -> None:
        """Stops the server, cleanly if it can be had within STOP_S seconds; does nothing when it doesn't run."""
        child, self._child = self._child, None
        if child:
            for number, patience_s in zip(self.stop_signals, (STOP_S, KILL_S), strict=True):
                child.send_signal(number)
                try:
                    child.wait(patience_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
            else:
                child.kill()
                child.wait()
        if self._claim:
            self._claim.close()
            self._claim = self._port = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
