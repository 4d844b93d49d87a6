"""What each child is: its command, its environment, when it is ready and how it is stopped."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.embedded.ports import LOOPBACK
from app.embedded.server import KILL_S, STOP_S, Server, launched
from app.supervisor.child import Program, Started
from app.supervisor.probe import answers_200

DRAIN_S = 26.0  # the api answers who waits (10 s) and then finishes its calls to the bank (15 s)
BANK_STOP_S = 5.0  # the mock has nothing to finish: the gateway has drained before
CALM = {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "10", "MAX_LATENCY_MS": "50"}  # of the sandbox's bank; see docs/bank-mock.md
WORKER_SETTLE_S = 3.0  # a worker that has said nothing and lives for so long is taken for ready


def embedded(server: Server) -> Program:
    """PostgreSQL or Redis out of its wheel."""

    async def is_ready(_: Started) -> bool:
        return await asyncio.to_thread(server.answers)

    first, second = (signal.Signals(number) for number in server.stop_signals)
    return Program(
        name=server.name,
        command=server.command,
        environment=server.environment,
        log=server.log,
        is_ready=is_ready,
        stop=((first, STOP_S), (second, KILL_S)),
        prepare=server.prepare,
        may_pass=server.may_pass,
    )


def bank(entry: Sequence[str], data: Path, port: int, control_port: int) -> Program:
    """The mock bank. It gets the environment as we got it: FAILURE_RATE and the like are its own."""
    return _bank("bank", entry, data, port, control_port, {"BANK_STATE": str(data / "bank.sqlite"), **os.environ})


def sandbox_bank(entry: Sequence[str], data: Path, port: int, control_port: int) -> Program:
    """Another mock bank, for test keys. It is calm whatever the live one is told: a partner's tests fail for the partner's reasons."""
    return _bank(
        "sandbox-bank", entry, data, port, control_port, {**os.environ, **CALM, "BANK_STATE": str(data / "sandbox.sqlite")}
    )


def _bank(name: str, entry: Sequence[str], data: Path, port: int, control_port: int, environment: Mapping[str, str]) -> Program:
    arguments = ("bank", "--host", LOOPBACK, "--port", str(port), "--control-port", str(control_port))
    return Program(
        name=name,
        command=lambda: launched([*entry, *arguments]),
        environment=lambda: dict(environment),
        log=data / "logs" / f"{name}.log",
        is_ready=lambda _: answers_200(port, "/health"),
        stop=((signal.SIGTERM, BANK_STOP_S), (signal.SIGKILL, KILL_S)),
    )


def without(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    """A service gets the logins that it uses: the owner's would take it past row security."""
    return {name: value for name, value in environment.items() if name not in names}


def api(entry: Sequence[str], environment: Mapping[str, str], log: Path, port: int, listener: int | None) -> Program:
    """One process of the api: on a port of its own, or on a socket that it shares with its siblings."""
    place = ("--host", LOOPBACK, "--port", str(port)) if listener is None else ("--fd", str(listener))
    own = without(environment, "PARTNER_API_OWNER_DATABASE_URL", "PARTNER_API_WORKER_DATABASE_URL")
    return Program(
        name=log.stem,
        command=lambda: launched([*entry, "serve", *place]),
        environment=lambda: own,
        log=log,
        is_ready=lambda _: answers_200(port, "/readyz"),
        stop=((signal.SIGTERM, DRAIN_S), (signal.SIGKILL, KILL_S)),
        pass_fds=() if listener is None else (listener,),
    )


def worker(entry: Sequence[str], environment: Mapping[str, str], log: Path) -> Program:
    """The worker: recovery, reconciliation, webhooks. It has no port to ask; it is ready when it begins to log."""

    async def is_ready(started: Started) -> bool:
        lived_s = asyncio.get_running_loop().time() - started.at_s
        return lived_s > WORKER_SETTLE_S or os.stat(log).st_size > started.log_bytes  # noqa: PTH116 - quick

    own = without(environment, "PARTNER_API_OWNER_DATABASE_URL")
    return Program(
        name=log.stem,
        command=lambda: launched([*entry, "work"]),
        environment=lambda: own,
        log=log,
        is_ready=is_ready,
        stop=((signal.SIGTERM, DRAIN_S), (signal.SIGKILL, KILL_S)),
    )
