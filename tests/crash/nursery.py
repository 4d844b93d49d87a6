"""Starts our commands out of a process that has loaded all of our code: a second saved for each of the many that are to die.

What is forked is a process like any other, with its own memory, sockets and end. One message starts one: its arguments, its
environment, and as descriptors its log and perhaps a socket to listen on. The answer is its number; asked for a number, the nursery
answers how that process has ended, if it has.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MESSAGE_BYTES = 65_536  # an environment, a few arguments
CLOSES_WITHIN_S = 20.0


class Nursery:
    """The end of the line at the tests. When it is closed, or the tests are gone, whatever was started is ended."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PARTNER_API_")}
        with theirs:
            command = [sys.executable, "-m", "tests.crash.nursery", str(theirs.fileno())]
            self._process = subprocess.Popen(command, cwd=ROOT, env=kept, pass_fds=(theirs.fileno(),))

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: int, listener: int | None) -> int:
        """A new process's number."""
        message = {"arguments": list(arguments), "environment": dict(environment)}
        return int(self._ask(message, [log] if listener is None else [log, listener]))

    def ended(self, pid: int) -> int | None:
        """A process's exit code, negative for a signal; None while it lives. To be asked until there is one, and not again."""
        code: int | None = self._ask({"ended": pid}, [])
        return code

    def close(self) -> None:
        """End everything."""
        self._line.close()
        self._process.wait(CLOSES_WITHIN_S)

    def _ask(self, message: dict[str, Any], descriptors: list[int]) -> Any:
        socket.send_fds(self._line, [json.dumps(message).encode() + b"\n"], descriptors)
        return json.loads(self._line.recv(MESSAGE_BYTES))


def main(line: socket.socket) -> None:
    """Serve until the other end is closed."""
    import app.cli.serve  # noqa: PLC0415
    import app.main  # noqa: PLC0415
    import app.worker  # noqa: PLC0415, F401
    import bank.mock.serve  # noqa: PLC0415, F401

    alive: set[int] = set()
    while content := (received := socket.recv_fds(line, MESSAGE_BYTES, 2))[0]:
        while not content.endswith(b"\n"):
            content += line.recv(MESSAGE_BYTES)
        message, descriptors = json.loads(content), received[1]
        if "ended" in message:
            answer = _exit_code(message["ended"])
            alive -= {message["ended"]} if answer is not None else set()
        elif (answer := os.fork()) == 0:
            line.close()
            _become(message["arguments"], message["environment"], *descriptors)
        else:
            alive.add(answer)
        for descriptor in descriptors:
            os.close(descriptor)
        line.send(json.dumps(answer).encode())
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _exit_code(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _become(arguments: list[str], environment: dict[str, str], log: int, listener: int | None = None) -> None:
    """In the new process: `partner-api` with these arguments, as if it had been called by its name. Does not return."""
    from app.cli import main as partner_api  # noqa: PLC0415

    code = 1
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(environment)
        sys.argv = ["partner-api", *arguments, *(["--fd", str(listener)] if listener is not None else [])]
        partner_api()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
