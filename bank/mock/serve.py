"""Run a bank: both of its doors in one process and one event loop, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bank.mock.bank import create_bank
from bank.mock.settings import BankSettings
from bank.mock.wire import TRANSPORT

__all__ = ["BankProtocol", "BankSettings", "serve"]

# A pool keeps its connections for a minute of quiet; uvicorn's five seconds would make resets of our own.
_KEEP_ALIVE_S: Final = 60
# A load test opens its thousand connections at once.
_BACKLOG: Final = 2048
# The books only grow, in objects that live long and form no cycles. At Python's thresholds the collector walks all
# of them again and again, which shows as pauses of tens of milliseconds in a benchmark that isn't about the bank.
_GC_THRESHOLDS: Final = (50_000, 50, 100)
# What is in flight at SIGTERM gets its latency and this much more; hanging faults are cut off.
_DRAIN_S: Final = 2


class BankProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which also hands the transport to the app: the bank closes connections without an answer."""

    def on_message_begin(self) -> None:
        """Put the transport into the scope, where `bank.mock.wire` looks for it."""
        super().on_message_begin()
        extensions = self.scope.setdefault("extensions", {})
        assert extensions is not None
        extensions[TRANSPORT] = self.transport  # type: ignore[assignment]


class _Server(uvicorn.Server):
    """Leaves the signals to `serve`, which has two servers to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_for(app: ASGIApp, host: str, port: int, *, drain_s: int = _DRAIN_S) -> uvicorn.Server:
    """A server that plays every fault of `bank.mock.wire`; it leaves signals to whoever runs it."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BankProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
    )
    return _Server(config)


def serve(host: str, port: int, control_port: int | None, settings: BankSettings) -> None:
    """Serve until told to stop, then finish what is in flight. Raises `BankStateError` before it listens."""
    bank = create_bank(settings)
    drain_s = settings.max_latency_ms // 1000 + _DRAIN_S
    servers = [server_for(bank.app, host, port, drain_s=drain_s)]
    if control_port is not None:
        servers.append(server_for(bank.control, host, control_port))
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        with asyncio.Runner(loop_factory=servers[0].config.get_loop_factory()) as runner:
            runner.run(_run(servers))
    finally:
        bank.close()


async def _run(servers: list[uvicorn.Server]) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await asyncio.gather(*(server.serve() for server in servers))
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
