"""`python -m bench.bank_client`: what a call to the bank costs this process, by how many are in flight; ours beside httpx's own pool.

The server is another process, which answers after a while, so that calls overlap. Only ratios of figures of one run mean something.
"""

import asyncio
import itertools
import json
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import click
import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from bank.answer import Done
from bank.client import BankClient, VoidCall, bank_http

IN_FLIGHT = (20, 200, 1_000)
CALLS = 2_000  # measured for each figure; with more in flight, three rounds of them
LATENCY_S = 0.05  # long enough for a thousand to be under way, short enough for nobody to wait for the bank
BACKLOG = 2_048
BODY = b'{"void_id":"void_1","authorization_id":"auth_1","status":"voided","voided_at":"2026-11-21T12:00:00Z"}\n'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class _Bank(asyncio.Protocol):
    """Says the same to everybody. One request at a time on each connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):  # httpx sends head and body one after the other
            asyncio.get_running_loop().call_later(LATENCY_S, self._transport.write, ANSWER)


def _serve(listening: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Bank, sock=listening, backlog=BACKLOG)
        await server.serve_forever()

    uvloop.run(serve())


@contextmanager
def _a_bank() -> Iterator[str]:
    """The URL of a server in another process."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(BACKLOG)
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(listening,), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()


def _httpxs_pool() -> httpx.AsyncBaseTransport:
    most = max(IN_FLIGHT)
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
    return httpx.AsyncHTTPTransport(limits=limits, trust_env=False)


async def _cpu_ms(url: str, transport: httpx.AsyncBaseTransport | None, in_flight: int) -> float:
    """Processor time of this process for one call, in milliseconds, with `in_flight` of them at any time."""
    client = BankClient(bank_http(url, transport))
    numbers = itertools.count()

    async def call(times: int) -> None:
        for _ in range(times):
            answer = await client.send(VoidCall("auth_1"), f"bench-{next(numbers)}")
            assert isinstance(answer, Done), answer

    async def everybody(times: int) -> None:
        await asyncio.gather(*(call(times) for _ in range(in_flight)))

    try:
        await everybody(1)  # connections are made once, and not what is measured
        rounds = max(CALLS // in_flight, 3)
        began_s = time.process_time()
        await everybody(rounds)
        return (time.process_time() - began_s) * 1000 / (rounds * in_flight)
    finally:
        await client.close()


def _measure(url: str, console: Console) -> dict[str, list[float]]:
    kinds: dict[str, Callable[[], httpx.AsyncBaseTransport | None]] = {"ours": lambda: None, "httpx's own pool": _httpxs_pool}
    figures: dict[str, list[float]] = {}
    for name, transport in kinds.items():
        figures[name] = []
        for in_flight in IN_FLIGHT:
            console.print(f"{name}, {in_flight:,} in flight …")
            figures[name].append(uvloop.run(_cpu_ms(url, transport(), in_flight)))
    return figures


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def main(as_json: bool) -> None:
    """Measure what a call to the bank costs, with few and with many in flight."""
    console = Console(stderr=as_json)
    with _a_bank() as url:
        figures = _measure(url, console)
    if as_json:
        click.echo(json.dumps({"in_flight": IN_FLIGHT, "cpu_ms_of_a_call": figures}))
        return
    table = Table("CPU ms of a call", *(f"{in_flight:,} in flight" for in_flight in IN_FLIGHT), "1,000 ÷ 20")
    for name, values in figures.items():
        table.add_row(name, *(f"{value:.2f}" for value in values), f"{values[-1] / values[0]:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
