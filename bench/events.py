"""From the commit of an event to all who follow it, open loop.

    python3 dev.py bench events                                 1,000 subscribers of 50 partners, 200 events a second
    python3 dev.py bench events --partners 1 --rate 20          all of them follow the same partner
    python3 dev.py bench events --soak --seconds 60             the same while the API is killed, Redis flushed and killed, sockets cut

A run in which a subscriber lacks an event, or has one twice or out of order, counts for nothing.
"""

import asyncio
import base64
import itertools
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import click
import httpx
from rich.console import Console
from rich.table import Table

from app import staff
from app.settings import KeySettings
from bench.followers import HARM, Follower, soak
from bench.system import started
from domain.event import Event, EventType
from domain.ids import IdKind, decode_id_of, encode_id
from domain.payment import Payment
from domain.tier import TierName
from gateway.world import real_world
from persistence.database import Database
from persistence.events import append_events
from persistence.payments import get_payments
from persistence.wakeups import RedisWakeups

AUTHORIZE = (
    "mutation($input: AuthorizePaymentInput!) { authorizePayment(input: $input) { ... on PaymentPayload { payment { id } } } }"
)
CARD = {"number": "4111111111111111", "cvv": "123", "expiryMonth": 12, "expiryYear": 2030}
PATIENCE_S = 60.0  # for what is late; a run that needs it is far from the target
TARGET_MS = 50
HARM_EVERY_S = 5.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Followed:
    """A partner, a key of its own, and a payment that its events are about."""

    tenant: UUID
    key: str
    payment: Payment
    last_event: str


@click.command()
@click.option("--subscribers", default=1_000, show_default=True, help="Connections, shared evenly by the partners.")
@click.option("--partners", default=50, show_default=True, help="Partners, who share the events evenly.")
@click.option("--rate", default=200.0, show_default=True, help="Events a second, of all partners together.")
@click.option("--seconds", default=10.0, show_default=True, help="How long.")
@click.option("--wire", type=click.Choice(["ws", "sse", "both"]), default="both", show_default=True, help="How they follow.")
@click.option("--soak", "is_soak", is_flag=True, help="Do harm meanwhile, every five seconds, and see whether all have all.")
@click.option("--processes", default=1, show_default=True, help="Processes of the API.")
def main(subscribers: int, partners: int, rate: float, seconds: float, wire: str, is_soak: bool, processes: int) -> None:
    """Measure, and print a line for each wire; or do harm, and print what is wrong."""
    console = Console()
    pepper = base64.b64encode(secrets.token_bytes(32)).decode()
    table = Table("wire", "deliveries/s", "p50 ms", "p99 ms", "max ms", "API: µs of a processor for each delivery")
    with (
        tempfile.TemporaryDirectory(prefix="partner-api-bench-") as folder,
        started(Path(folder), "--api-processes", str(processes), PARTNER_API_PEPPER=pepper) as system,
    ):
        settings = KeySettings(owner_database_url=system["database_url"], pepper=pepper)  # type: ignore[call-arg, arg-type]
        wires = ("ws", "sse") if wire == "both" else (wire,)
        if is_soak:
            console.print(asyncio.run(_soaked(system, settings, subscribers, partners, rate, seconds, wires)))
            return
        for each in wires:
            console.print(f"{subscribers:,} subscribers of {partners} partners over {each}, {rate:g} events/s …")
            table.add_row(
                each, *asyncio.run(_measure(system, settings, Path(folder), subscribers, partners, rate, seconds, each))
            )
    console.print(table)
    console.print(
        f"Target: p99 ≤ {TARGET_MS} ms. Everything, the subscribers too, shares this machine of {os.cpu_count()} cores."
    )


async def _measure(
    system: dict[str, Any],
    settings: KeySettings,
    folder: Path,
    subscribers: int,
    partners: int,
    rate: float,
    seconds: float,
    wire: str,
) -> list[str]:
    database = Database(system["database_url"], pool_size=10)
    wakeups = RedisWakeups(system["redis_url"])
    database.on_events = wakeups.announce_events
    file = folder / f"seen-{wire}"
    async with wakeups:
        followed = [await _partner(system["graphql"], settings, database) for _ in range(partners)]
        crowd = [followed[number % partners] for number in range(subscribers)]
        with _subscribers() as process:
            parts = urlsplit(system["graphql"])
            asked = {
                "host": parts.hostname,
                "port": parts.port,
                "ready_at": 2,
                "patience_s": PATIENCE_S,
                "file": str(file),
                "subscribers": [{"wire": wire, "key": each.key, "after": each.last_event} for each in crowd],
            }
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            if (await asyncio.to_thread(process.stdout.readline)).strip() != "ready":
                raise click.ClickException("The subscribers did not come in; see above.")
            used = _processor_s(system["pids"]["api"])
            committed, counts = await _write(database, followed, rate, seconds)
            process.stdin.write(json.dumps([2 + counts[each.tenant] for each in crowd]) + "\n")
            process.stdin.flush()
            await asyncio.to_thread(process.wait)
            used = _processor_s(system["pids"]["api"]) - used
    await database.close()
    latencies = _judged(file, committed, crowd, counts)
    percentiles = [latencies[min(int(len(latencies) * share), len(latencies) - 1)] for share in (0.5, 0.99, 1)]
    figures = [f"{each / 1e6:.1f}" for each in percentiles]
    return [f"{len(latencies) / seconds:,.0f}", *figures, f"{used / len(latencies) * 1e6:.0f}"]


async def _soaked(
    system: dict[str, Any],
    settings: KeySettings,
    subscribers: int,
    partners: int,
    rate: float,
    seconds: float,
    wires: Sequence[str],
) -> str:
    """One sentence when everybody has everything. Raises otherwise."""
    database = Database(system["database_url"], pool_size=10)
    wakeups = RedisWakeups(system["redis_url"])
    database.on_events = wakeups.announce_events
    async with wakeups:
        followed = [await _partner(system["graphql"], settings, database) for _ in range(partners)]

        async def write() -> dict[str, int]:
            _, counts = await _write(database, followed, rate, seconds)
            return {each.key: 2 + counts[each.tenant] for each in followed}

        crowd = [
            Follower(wires[number % len(wires)], each.key, each.last_event, Random(number))  # noqa: S311
            for number, each in ((number, followed[number % partners]) for number in range(subscribers))
        ]
        harm = list(itertools.islice(itertools.cycle(HARM), max(1, int(seconds / HARM_EVERY_S))))
        complaints = await soak(system, system["supervisor"], crowd, write, pause_s=HARM_EVERY_S, harm=harm)
    await database.close()
    if complaints:
        raise click.ClickException(f"broken: {len(complaints)} of {subscribers} subscribers, the first: {complaints[0]}")
    deliveries, connections = sum(len(each.numbers) for each in crowd), sum(each.connections for each in crowd)
    return (
        f"{subscribers:,} subscribers have had {deliveries:,} events over {connections:,} connections, each one once and in order, "
        f"while harm was done {len(harm)} times: {', '.join(harm)}."
    )


def _subscribers() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "bench.subscribers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def _partner(url: str, settings: KeySettings, database: Database) -> Followed:
    """A new partner with one payment, which is two events."""
    partner = await staff.create_partner(settings, "bench", TierName.ENTERPRISE)
    key = await staff.create_key(settings, partner, "bench")
    tenant = decode_id_of(IdKind.PARTNER, partner)
    assert key is not None and tenant is not None
    wish = {
        "idempotencyKey": "bench",
        "orderId": "bench",
        "customerId": "bench",
        "amount": {"minorUnits": 100, "currency": "USD"},
        "source": {"card": CARD},
    }
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key['key']}"}, timeout=30) as http:
        made = (await http.post(url, json={"query": AUTHORIZE, "variables": {"input": wish}})).json()
        first = (await http.post(url, json={"query": "{ events(first: 1) { nodes { id } } }"})).json()
    payment_id = decode_id_of(IdKind.PAYMENT, made["data"]["authorizePayment"]["payment"]["id"])
    assert payment_id is not None
    async with database.tenant(tenant) as tx:
        payment = (await get_payments(tx, tenant, [payment_id]))[payment_id]
    return Followed(tenant, key["key"], payment, first["data"]["events"]["nodes"][0]["id"])


async def _write(
    database: Database, followed: Sequence[Followed], rate: float, seconds: float
) -> tuple[dict[str, int], dict[UUID, int]]:
    """Log events at this rate, whatever becomes of those before; when each was committed, by its id, and how many each partner has."""
    world, committed, counts = real_world(), dict[str, int](), defaultdict[UUID, int](int)
    began = time.monotonic()

    async def one(number: int) -> None:
        partner, event_id = followed[number % len(followed)], world.new_uuid()
        await asyncio.sleep(began + number / rate - time.monotonic())
        event = Event(event_id, EventType.PAYMENT_AUTHORIZED, world.now(), partner.payment, "PENDING", None)
        async with database.tenant(partner.tenant) as tx:
            await append_events(tx, partner.tenant, [event])
        committed[encode_id(IdKind.EVENT, event_id)] = time.monotonic_ns()
        counts[partner.tenant] += 1

    async with asyncio.TaskGroup() as writers:
        for number in range(int(rate * seconds)):
            writers.create_task(one(number))
    return committed, counts


def _judged(file: Path, committed: dict[str, int], crowd: Sequence[Followed], counts: dict[UUID, int]) -> list[int]:
    """How late each delivery was, in order of size. Raises where anything is missing, double or out of order."""
    latencies: list[int] = []
    numbers: dict[int, list[int]] = defaultdict(list)
    for line in file.read_text().splitlines():
        subscriber, event_id, sequence, at = line.split()
        numbers[int(subscriber)].append(int(sequence))
        if event_id in committed:
            latencies.append(int(at) - committed[event_id])
    for number, partner in enumerate(crowd):
        if numbers[number] != list(range(2, 3 + counts[partner.tenant])):
            raise click.ClickException(f"broken: subscriber {number} has {numbers[number][:20]} … The figures count for nothing.")
    return sorted(latencies)


def _processor_s(pids: Sequence[int]) -> float:
    """Seconds of a processor that these processes have used."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS


if __name__ == "__main__":
    main()
