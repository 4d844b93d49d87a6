"""The whole system: what is started in which order, and stopped in the opposite one."""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from app.embedded.ports import LOOPBACK, PortClaim, PortTakenError, free_port
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.redis import EmbeddedRedis
from app.supervisor import programs
from app.supervisor.child import Child, Program, Say
from app.supervisor.commands import Commands
from app.supervisor.configuration import (
    DEFAULT_PORT,
    Banks,
    DatabaseUrls,
    Options,
    database_urls,
    plain_database_url,
    services_environment,
)

LISTEN_BACKLOG = 1024  # connections that wait while the api restarts; the kernel cuts it to its own limit
PORT_WAIT_S = 1.0  # an api that was killed a moment ago lets go of its port within this
PORT_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class Ready:
    """Where everything is. The keys and the URLs hold secrets."""

    graphql: str
    api_key: str
    test_api_key: str
    bank_url: str
    bank_control_url: str | None
    sandbox_bank_url: str
    sandbox_bank_control_url: str | None
    database_url: str
    redis_url: str
    pids: dict[str, list[int]]

    def as_json(self) -> dict[str, Any]:
        """What `up --json` prints."""
        return asdict(self)


class System:
    """Everything that has no URL of its own yet, plus api and worker, as children of this process."""

    def __init__(self, options: Options, entry: Sequence[str], say: Say) -> None:
        self.options = options
        self.data = options.data.resolve()
        self.environment: dict[str, str] = {}
        self._entry = entry
        self._say = say
        self._children: dict[str, list[Child]] = {
            name: [] for name in ("api", "worker", "bank", "sandbox-bank", "redis", "postgres")
        }  # in the order in which they are stopped
        self._claims: list[PortClaim] = []
        self._listener: socket.socket | None = None

    async def start(self) -> Ready:
        """Starts everything. Raises StartError, EmbeddedServerError, ConfigurationError or PortTakenError."""
        port = await self._api_port()
        secrets, logs = self.data / "secrets", self.data / "logs"
        for folder in (secrets, logs):
            folder.mkdir(mode=0o700, exist_ok=True)
        async with asyncio.TaskGroup() as group:
            databases = group.create_task(self._databases())
            redis_url = group.create_task(self._redis())
            bank, sandbox = group.create_task(self._bank()), group.create_task(self._sandbox_bank())
        banks = Banks(*bank.result(), *sandbox.result())
        self.environment = services_environment(databases.result(), redis_url.result(), banks, secrets)
        commands = Commands(self._entry, self.environment, logs)
        self._say("migrating the database")
        await commands.run("migrate")
        self._say("starting api and worker")
        async with asyncio.TaskGroup() as group:
            keys = group.create_task(commands.demo_keys(secrets / "demo-key.json"))
            for program in self._apis(port):
                group.create_task(self._child("api", program))
            for name in _names("worker", self.options.worker_processes):
                group.create_task(self._child("worker", programs.worker(self._entry, self.environment, logs / f"{name}.log")))
        return Ready(
            graphql=f"http://{LOOPBACK}:{port}/graphql",
            api_key=keys.result().live,
            test_api_key=keys.result().test,
            bank_url=banks.url,
            bank_control_url=banks.control_url,
            sandbox_bank_url=banks.sandbox_url,
            sandbox_bank_control_url=banks.sandbox_control_url,
            database_url=databases.result().owner,
            redis_url=redis_url.result(),
            pids={name: [child.pid for child in children] for name, children in self._children.items()},
        )

    async def stop(self) -> None:
        """Stops everything: first those who serve and let them finish, then what they need."""
        await asyncio.gather(*(child.stop() for child in (*self._children["api"], *self._children["worker"])))
        for name in ("bank", "sandbox-bank", "redis", "postgres"):
            for child in self._children[name]:
                await child.stop()
        if self._listener:
            self._listener.close()
        for claim in self._claims:
            claim.close()

    def hurry(self) -> None:
        """Cuts the waiting of `stop()` short."""
        for children in self._children.values():
            for child in children:
                child.hurry()

    async def _child(self, name: str, program: Program) -> None:
        child = Child(program, self._say)
        self._children[name].append(child)
        await child.start()

    def _claimed(self, preferred: int = 0) -> int:
        claim = free_port(preferred)
        self._claims.append(claim)
        return claim.number

    async def _api_port(self) -> int:
        wanted = self.options.port
        if wanted is None:
            port = self._claimed(DEFAULT_PORT)
            if port != DEFAULT_PORT:
                self._say(f"port {DEFAULT_PORT} is taken; taking {port}")
            return port
        deadline_s = asyncio.get_running_loop().time() + PORT_WAIT_S
        while True:
            with suppress(PortTakenError):
                self._claims.append(PortClaim(wanted))
                return self._claims[-1].number
            if asyncio.get_running_loop().time() > deadline_s:
                raise PortTakenError(wanted)
            await asyncio.sleep(PORT_INTERVAL_S)

    async def _databases(self) -> DatabaseUrls:
        secrets = self.data / "secrets"
        if self.options.database_url:
            return database_urls(plain_database_url(self.options.database_url), {}, secrets)
        if configured := os.environ.get("PARTNER_API_OWNER_DATABASE_URL"):
            return database_urls(plain_database_url(configured), os.environ, secrets)
        self._say("starting PostgreSQL")
        server = EmbeddedPostgres(self.data / "postgres", port=self._claimed())
        await self._child("postgres", programs.embedded(server))
        return database_urls(server.url, {}, secrets)

    async def _redis(self) -> str:
        if configured := self.options.redis_url or os.environ.get("PARTNER_API_REDIS_URL"):
            return configured
        self._say("starting Redis")
        server = EmbeddedRedis(self.data / "redis", port=self._claimed())
        await self._child("redis", programs.embedded(server))
        return server.url

    async def _bank(self) -> tuple[str, str | None]:
        if configured := self.options.bank_url or os.environ.get("PARTNER_API_BANK_URL"):
            return configured, None
        self._say("starting the bank")
        port, control_port = self._claimed(), self._claimed()
        await self._child("bank", programs.bank(self._entry, self.data, port, control_port))
        return f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{control_port}"

    async def _sandbox_bank(self) -> tuple[str, str | None]:
        if configured := os.environ.get("PARTNER_API_SANDBOX_BANK_URL"):
            return configured, None
        port, control_port = self._claimed(), self._claimed()
        await self._child("sandbox-bank", programs.sandbox_bank(self._entry, self.data, port, control_port))
        return f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{control_port}"

    def _apis(self, port: int) -> list[Program]:
        count, listener = self.options.api_processes, None
        if count > 1:  # one socket for all: a connection goes to whoever is free, and waits for those who restart
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Inherited by its connections; without it a small answer may wait 40 ms for the client's acknowledgement.
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._listener.bind((LOOPBACK, port))
            self._listener.listen(LISTEN_BACKLOG)
            listener = self._listener.fileno()
        return [
            programs.api(self._entry, self.environment, self.data / "logs" / f"{name}.log", port, listener)
            for name in _names("api", count)
        ]


def _names(name: str, count: int) -> list[str]:
    """What each of so many processes of one kind is called: the only one is not numbered."""
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
