"""What a drill runs: a bank of its own, the proxy in front of it, and `partner-api up` behind that."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app import staff
from app.embedded.ports import LOOPBACK, free_port
from app.embedded.server import launched, open_log, tail
from app.settings import KeySettings
from app.supervisor import programs
from app.supervisor.child import Child, Program
from domain.tier import TierName
from tests.chaos.proxy import Line, Proxy

ROOT = Path(__file__).resolve().parents[2]
ENTRY = (sys.executable, "-P", "-m", "app")
STARTS_WITHIN_S, STOPS_WITHIN_S = 120.0, 60.0
API_PROCESSES = WORKER_PROCESSES = 2  # what one of them leaves behind, another takes over
CARD_PREFIX, CVV, CARDS = "400000", "123", 500
BALANCE_MINOR = 10**12  # nobody's money runs out
CHAOS = {"FAILURE_RATE": "0.05", "MIN_LATENCY_MS": "100", "MAX_LATENCY_MS": "2000"}  # the bank's own (contract §6)
PARTNERS = ("Shop A", "Shop B", "Shop C")


@dataclass(frozen=True, slots=True)
class Partner:
    """One of the API's partners."""

    name: str
    id: str
    key: str


@dataclass(slots=True)
class System:
    """Everything that runs, and how to reach it."""

    folder: Path
    bank: Child
    proxy: Proxy
    bank_control_url: str
    supervisor: asyncio.subprocess.Process
    ready: dict[str, Any]
    partners: list[Partner]


class DidNotStart(Exception):
    """The system did not come up; the message has the end of a log."""


@asynccontextmanager
async def running(folder: Path, say: Callable[[str], None]) -> AsyncIterator[System]:
    """The whole system with its files in `folder`; nothing of it is left in the end. Raises DidNotStart."""
    bank_port, control_port = free_port(), free_port()
    bank = Child(bank_program(folder, bank_port.number, control_port.number), say)
    proxy = Proxy(bank_port.number)
    supervisor: asyncio.subprocess.Process | None = None
    try:
        await bank.start()
        proxy.set_line(Line.UP)
        supervisor = await _supervisor(folder, proxy.url)
        ready = await _ready(supervisor, folder)
        partners = [await _partner(name, staff_settings(folder, ready)) for name in PARTNERS]
        control_url = f"http://{LOOPBACK}:{control_port.number}"
        yield System(folder, bank, proxy, control_url, supervisor, ready, partners)
    finally:
        if supervisor:
            await _stop(supervisor)
        await proxy.close()
        await bank.stop()
        for claim in (bank_port, control_port):
            claim.close()


def bank_program(folder: Path, port: int, control_port: int) -> Program:
    """The mock bank with the contract's own chaos; its books survive its death."""
    (folder / "logs").mkdir(exist_ok=True)
    accounts = [{"prefix": CARD_PREFIX, "count": CARDS, "cvv": CVV, "balance": BALANCE_MINOR}]
    variables = {
        **CHAOS,
        "BANK_STATE": str(folder / "bank.sqlite"),
        "BANK_ACCOUNTS": json.dumps(accounts),
    }
    program = programs.bank(ENTRY, folder, port, control_port)
    return replace(program, environment=lambda: {**os.environ, **variables})


async def _supervisor(folder: Path, bank_url: str) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARTNER_API_")}
    log = open_log(folder / "logs" / "up.log")
    arguments = ("--json", "--port", "0", "--data", str(folder / "data"), "--bank-url", bank_url)
    processes = ("--api-processes", str(API_PROCESSES), "--worker-processes", str(WORKER_PROCESSES))
    try:
        return await asyncio.create_subprocess_exec(
            *launched([*ENTRY, "up", *arguments, *processes], on_parent_death="TERM"),
            env=kept,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the drill, which stops things in order
        )
    finally:
        os.close(log)


async def _ready(supervisor: asyncio.subprocess.Process, folder: Path) -> dict[str, Any]:
    assert supervisor.stdout
    with suppress(TimeoutError):
        async with asyncio.timeout(STARTS_WITHIN_S):
            if line := await supervisor.stdout.readline():
                return dict(json.loads(line))
    raise DidNotStart(f"`partner-api up` did not come up:\n{tail(folder / 'logs' / 'up.log')}")


def staff_settings(folder: Path, ready: dict[str, Any]) -> KeySettings:
    """What the staff's commands are told: the owner's login, and the pepper that `up` made."""
    pepper = (folder / "data" / "secrets" / "pepper").read_text().strip()
    return KeySettings(owner_database_url=ready["database_url"], pepper=SecretStr(pepper))


async def _partner(name: str, settings: KeySettings) -> Partner:
    partner_id = await staff.create_partner(settings, name, TierName.ENTERPRISE)
    key = await staff.create_key(settings, partner_id, "chaos")
    assert key is not None, "the partner was made a moment ago"
    return Partner(name, partner_id, key["key"])


async def _stop(supervisor: asyncio.subprocess.Process) -> None:
    """SIGTERM; SIGKILL to one that does not stop, whose children then end by themselves."""
    for number, patience_s in ((signal.SIGTERM, STOPS_WITHIN_S), (signal.SIGKILL, STOPS_WITHIN_S)):
        if supervisor.returncode is None:
            with suppress(ProcessLookupError):
                supervisor.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(supervisor.wait(), patience_s)
