"""A quiet bank, over ASGI, over real sockets and as a process of its own."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time as real_time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from bank.mock import Bank, BankSettings, VirtualTime, create_bank
from bank.mock.serve import server_for

ROOT = Path(__file__).resolve().parents[3]
_SERVE = """
import os
from bank.mock.serve import BankSettings, serve
settings = BankSettings.from_environment(os.environ)
serve("127.0.0.1", settings.port, settings.control_port, settings)
"""
_STARTS_WITHIN_S = 10.0


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def settings() -> BankSettings:
    return BankSettings(failure_rate=0, min_latency_ms=0, max_latency_ms=0, state="memory", seed=1)


@pytest.fixture
def bank(settings: BankSettings, time: VirtualTime) -> Bank:
    return create_bank(settings, clock=time.clock, sleep=time.sleep)


@pytest.fixture
async def client(bank: Bank) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bank.app), base_url="http://bank") as client:
        yield client


@pytest.fixture
async def control(bank: Bank) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bank.control), base_url="http://control") as client:
        yield client


@pytest.fixture
async def real_bank(settings: BankSettings) -> AsyncIterator[tuple[Bank, httpx.AsyncClient, int]]:
    """A bank behind a real socket and in real time; its control app stays without one."""
    bank = create_bank(settings)
    server = server_for(bank.app, "127.0.0.1", 0)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
        await asyncio.sleep(0.002)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        yield bank, client, port
    server.should_exit = True
    await serving


class BankProcess:
    """A bank that can be killed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port, self.control_port = _free_port(), _free_port()
        self._environment = {**os.environ, "PORT": str(self.port), "BANK_CONTROL_PORT": str(self.control_port)}
        self._environment |= {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0", **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", _SERVE], cwd=ROOT, env=self._environment, stderr=subprocess.PIPE)
        deadline = real_time.monotonic() + _STARTS_WITHIN_S
        while real_time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if self.control("GET", "/healthz").status_code == 200 and self.call("GET", "/health"):
                    return
            real_time.sleep(0.02)
        raise AssertionError("the bank did not start")

    def stop(self, number: signal.Signals) -> int:
        """Send the signal to our own process and wait; answers its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process = None
        return code

    def call(self, method: str, path: str, *, key: str = "", json: object = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers, json=json, timeout=5)

    def control(self, method: str, path: str) -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.control_port}{path}", timeout=5)


@pytest.fixture
def bank_process() -> Iterator[Callable[..., BankProcess]]:
    """Makes bank processes; whatever still runs at the end is killed."""
    made: list[BankProcess] = []

    def make(**environment: str) -> BankProcess:
        made.append(BankProcess(environment))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        if each.process is not None:
            each.stop(signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
