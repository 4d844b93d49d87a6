"""Deliveries of webhooks by one worker to a receiver on this machine, with the log written; and what they cost those who have none.

    python3 dev.py bench webhooks                    20,000 deliveries to 4 endpoints of 2 partners
    python3 dev.py bench webhooks --deliveries 60000

A run in which one of them is not DELIVERED, once, with its attempt in the log, counts for nothing. The receiver and PostgreSQL are
processes of their own; all share this machine.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID

import click
import uvloop
from sqlalchemy import text

from app.embedded.postgres import EmbeddedPostgres
from app.keys import ring_of
from app.webhook_http import WebhookHttp
from domain.card import CardBrand, CardSummary
from domain.event import Event, event_of
from domain.money import Money
from domain.payment import Payment, PaymentState
from domain.scope import ALL_SCOPES
from domain.webhook import WebhookEndpoint
from gateway.vault.key_service import LocalKeyService
from gateway.vault.master_keys import agree_on_master_key
from gateway.vault.vault import Vault
from gateway.webhook_courier import Courier
from gateway.webhook_secrets import WebhookSecrets
from gateway.world import World, real_world
from persistence import events as event_rows
from persistence.database import Database
from persistence.events import append_events
from persistence.migrate import Login, migrate
from persistence.partners import insert_partner
from persistence.webhook_deliveries import QUEUE
from persistence.webhook_endpoints import insert_endpoint
from persistence.webhook_secrets import insert_secret

PARTNERS, ENDPOINTS = 2, 2  # endpoints of each partner
PAGE = 500  # events of one transaction
COST_ROUNDS, COST_TIMES = 15, 40  # of measuring an append
TARGET = 3_000


@click.command()
@click.option("--deliveries", default=20_000, show_default=True, help="How many in all.")
def main(deliveries: int) -> None:
    """Measure, and print a line for each figure."""
    with tempfile.TemporaryDirectory(prefix="partner-api-bench-") as folder, _receiver() as receiver:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            uvloop.run(_measure(server.url, receiver, deliveries))
        finally:
            server.stop()


class _Receiver:
    """The other process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline())

    def counts(self) -> Any:
        """What it has received."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def _receiver() -> Iterator[_Receiver]:
    command = [sys.executable, "-m", "bench.receiver"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _Receiver(process)
        finally:
            process.kill()


async def _measure(url: str, receiver: _Receiver, deliveries: int) -> None:
    await migrate(url, app=Login("app", "secret"), worker=Login("watcher", "secret"))
    login = url.partition("//")[2].partition("@")[0]
    owner = Database(url)
    app, watch = Database(url.replace(login, "app:secret")), Database(url.replace(login, "watcher:secret"), pool_size=3)
    world, service = real_world(), LocalKeyService(ring_of(b"m" * 32))
    await agree_on_master_key(owner, service, world.now())
    secrets = WebhookSecrets(Vault(app, service, world.now, fingerprint_key=b"p" * 32))
    bench = Bench(owner, app, world, secrets, receiver.port)
    await _costs(bench)
    for hangs in (False, True):
        post = WebhookHttp(world.now, development=True)
        courier = Courier(app, watch, world, secrets, post=post, shape=cast(Any, None))
        tenants = [await bench.partner([f"/{number}" for number in range(ENDPOINTS)]) for _ in range(PARTNERS)]
        slow = [await bench.partner(["/hang"])] if hangs else []
        for tenant in slow:
            await bench.append(tenant, deliveries // 10)
        for tenant in tenants:
            await bench.append(tenant, deliveries // PARTNERS // ENDPOINTS)
        before = sum(count for path, count in receiver.counts()["received"].items() if path != "/hang")
        began, busy_s = time.perf_counter(), time.process_time()
        await _deliver(courier, bench, tenants)
        took_s, busy_s = time.perf_counter() - began, time.process_time() - busy_s
        counts = receiver.counts()
        sent = sum(count for path, count in counts["received"].items() if path != "/hang") - before
        if sent != deliveries:
            raise click.ClickException(f"{sent} messages were received instead of {deliveries}. The figures count for nothing.")
        beside = f", beside an endpoint that hangs ({counts['received'].get('/hang', 0)} messages wait there)" if hangs else ""
        click.echo(
            f"deliveries/s: {deliveries / took_s:,.0f} (target ≥ {TARGET:,}){beside}: {deliveries:,} in {took_s:.1f} s, "
            f"{busy_s / deliveries * 1e6:,.0f} µs of the worker's CPU each"
        )
        await post.close()
    for each in (owner, app, watch):
        await each.close()


async def _deliver(courier: Courier, bench: "Bench", tenants: Sequence[UUID]) -> None:
    """Until all deliveries of these are in the log as DELIVERED, as the worker does it."""
    stopped = asyncio.Event()
    running = asyncio.create_task(courier.run(stopped))
    while await bench.pending(tenants):  # noqa: ASYNC110  (what is awaited happens in the database)
        await asyncio.sleep(0.1)
    stopped.set()
    with suppress(TimeoutError):  # what hangs need not be waited for
        async with asyncio.timeout(0.1):
            await running


class Bench:
    """Partners with endpoints, and events of theirs."""

    def __init__(self, owner: Database, app: Database, world: World, secrets: WebhookSecrets, port: int) -> None:
        self._owner, self.app, self._world, self._secrets, self._port = owner, app, world, secrets, port

    async def partner(self, paths: Sequence[str]) -> UUID:
        """A new one, with an endpoint at each path of the receiver."""
        tenant_id = self._world.new_uuid()
        async with self._owner.without_tenant() as tx:
            await insert_partner(tx, partner_id=tenant_id, name="bench", created_at=self._world.now())
        now = self._world.now()
        for path in paths:
            seal = await self._secrets.sealing(tenant_id, b"s" * 32)
            endpoint = WebhookEndpoint(
                id=self._world.new_uuid(),
                url=f"http://127.0.0.1:{self._port}{path}",
                description="",
                types=None,
                shape=None,
                scopes=ALL_SCOPES,
                saved_by=tenant_id,
                created_at=now,
                updated_at=now,
            )
            async with self.app.tenant(tenant_id) as tx:
                await insert_endpoint(tx, tenant_id, endpoint)
                await insert_secret(tx, tenant_id, endpoint.id, seal(self._world.new_uuid()), now)
        return tenant_id

    async def append(self, tenant_id: UUID, count: int) -> None:
        """Events, and so their deliveries, as any transaction appends them."""
        payment = await self._payment(tenant_id)
        for start in range(0, count, PAGE):
            async with self.app.tenant(tenant_id) as tx:
                await append_events(tx, tenant_id, [self._event(payment) for _ in range(min(PAGE, count - start))])

    async def append_one(self, tenant_id: UUID, payment: Payment) -> None:
        """One event in a transaction of its own."""
        async with self.app.tenant(tenant_id) as tx:
            await append_events(tx, tenant_id, [self._event(payment)])

    async def pending(self, tenants: Sequence[UUID]) -> int:
        """How many deliveries are not in the log as DELIVERED with one attempt."""
        async with self._owner.without_tenant() as tx:
            query = """
                select count(*) from webhook_deliveries
                where tenant_id = any(:tenants) and not (state = 'DELIVERED' and jsonb_array_length(log) = 1)
            """
            return int((await tx.execute(text(query), {"tenants": list(tenants)})).scalar_one())

    async def _payment(self, tenant_id: UUID) -> Payment:
        now, payment_id = self._world.now(), self._world.new_uuid()
        insert = """
            insert into payments (tenant_id, id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, state,
                                  created_at)
            values (:tenant, :id, :order, 'customer', 1999, 'USD', 'VISA', '1111', 'PENDING', :now)
        """
        async with self.app.tenant(tenant_id) as tx:
            parameters = {"tenant": tenant_id, "id": payment_id, "order": str(payment_id), "now": now}
            await tx.execute(text(insert), parameters)
        return Payment(
            id=payment_id,
            order_id=str(payment_id),
            customer_id="customer",
            amount=Money(1999),
            card=CardSummary(CardBrand.VISA, "1111"),
            state=PaymentState.PENDING,
            reached={PaymentState.PENDING: now},
        )

    def _event(self, payment: Payment) -> Event:
        return event_of(self._world.new_uuid(), None, payment, "bench")


async def _costs(bench: Bench) -> None:
    """What appending an event costs with no endpoint, with one and with twenty, and without the statement's part for webhooks."""
    without = event_rows._APPEND_EVENTS.text.replace(QUEUE, "select 1")
    cases = {number: await bench.partner([f"/cost{each}" for each in range(number)]) for number in (0, 1, 20)}
    payments = {tenant: await bench._payment(tenant) for tenant in cases.values()}
    spent: dict[str, list[float]] = {}
    for _ in range(COST_ROUNDS):
        for number, tenant in cases.items():
            await _time(spent, f"{number} endpoints", bench, tenant, payments[tenant])
        with patch.object(event_rows, "_APPEND_EVENTS", text(without)):
            await _time(spent, "without webhooks", bench, cases[0], payments[cases[0]])
    base = statistics.median(spent.pop("without webhooks"))
    for name, times in spent.items():
        median = statistics.median(times)
        click.echo(
            f"append an event, {name} ÷ without webhooks: {median / base:.2f} ({median * 1e6:,.0f} ÷ {base * 1e6:,.0f} µs)"
        )
    async with bench._owner.without_tenant() as tx:
        await tx.execute(
            text("delete from webhook_deliveries where tenant_id = any(:tenants)"), {"tenants": list(cases.values())}
        )


async def _time(spent: dict[str, list[float]], name: str, bench: Bench, tenant_id: UUID, payment: Payment) -> None:
    await bench.append_one(tenant_id, payment)
    for _ in range(COST_TIMES):
        began = time.perf_counter()
        await bench.append_one(tenant_id, payment)
        spent.setdefault(name, []).append(time.perf_counter() - began)
