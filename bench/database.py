"""What row-level security and the audit log cost: the same statements on the same data, with and without, in turns.

    python -m bench.database

Ratios of medians; the machine's other work hits both sides alike.
"""

import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import click
from sqlalchemy import text

from app.embedded.postgres import EmbeddedPostgres
from app.keys import ring_of
from domain.audit import AuditEntry
from domain.card import CardDetails
from domain.event import Event
from domain.money import Money
from domain.request import AuthorizeRequest
from gateway import attempts
from gateway.parts import Parts
from gateway.vault.key_service import LocalKeyService
from gateway.vault.master_keys import agree_on_master_key
from gateway.vault.vault import Vault
from gateway.world import real_world
from persistence.database import Database, Transaction
from persistence.events import append_events
from persistence.migrate import APP_PRIVILEGES, Login, migrate
from persistence.partners import insert_partner
from persistence.payment_pages import PaymentFilter, page_of_payments
from persistence.payments import get_standings, get_standings_of_orders

TENANTS, PAYMENTS = 20, 2_000  # of each tenant: enough that a plan that reads all of them shows
ROUNDS, TIMES = 30, 20  # a round takes each side in turn
CARD = CardDetails("4111111111111111", "123", 12, 2030)

Work = Callable[[Database], Awaitable[Any]]


@click.command()
def main() -> None:
    """Measure, and print a line for each ratio."""
    with tempfile.TemporaryDirectory(prefix="partner-api-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            asyncio.run(_measure(server.url))
        finally:
            server.stop()


async def _measure(url: str) -> None:
    await migrate(url, app=Login("bound", "secret"), worker=Login("watcher", "secret"))
    owner = Database(url)
    async with owner.without_tenant() as tx:
        await tx.execute(text("create role free login password 'secret' bypassrls"))
        for privilege in APP_PRIVILEGES:
            await tx.execute(text(privilege.format(login="free")))
        tenants = [await _furnish(tx) for _ in range(TENANTS)]
    async with owner.engine.connect() as connection:
        await connection.execute(text("vacuum analyze"))
    bound, free = (
        Database(url.replace(url.partition("//")[2].partition("@")[0], f"{login}:secret")) for login in ("bound", "free")
    )
    await bound.check_login()
    for name, work in (await _works(owner, tenants[7])).items():
        await _compare(f"row-level security on ÷ off, {name}", partial(work, bound), partial(work, free))
    parts = await _parts(bound)
    await _compare("audit log on ÷ off, begin an authorization", *_beginnings(parts, tenants[0]))
    for each in (owner, bound, free):
        await each.close()


async def _furnish(tx: Transaction) -> UUID:
    world = real_world()
    tenant_id = world.new_uuid()
    await insert_partner(tx, partner_id=tenant_id, name="bench", created_at=world.now())
    insert = """
        insert into payments (tenant_id, id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, state, created_at)
        select :tenant, gen_random_uuid(), 'order-' || n, 'customer-' || n % 50, 100, 'USD', 'VISA', '1111', 'PENDING',
               now() - n * interval '1 minute' from generate_series(1, :payments) as n
    """
    await tx.execute(text(insert), {"tenant": tenant_id, "payments": PAYMENTS})
    return tenant_id


async def _works(owner: Database, tenant_id: UUID) -> dict[str, Work]:
    async with owner.tenant(tenant_id) as tx:
        of_tenant = "select id from payments where tenant_id = :tenant limit 1"
        payment_id = (await tx.execute(text(of_tenant), {"tenant": tenant_id})).scalar_one()

    async def one(database: Database) -> None:
        async with database.tenant(tenant_id) as tx:
            await get_standings(tx, tenant_id, [payment_id])

    async def order(database: Database) -> None:
        async with database.tenant(tenant_id) as tx:
            await get_standings_of_orders(tx, tenant_id, ["order-7"])

    async def page(database: Database) -> None:
        async with database.tenant(tenant_id) as tx:
            await page_of_payments(tx, tenant_id, PaymentFilter(), limit=20, backward=False, after=None, before=None)

    return {"one payment": one, "the payments of an order": order, "a page of 20": page}


async def _parts(database: Database) -> Parts:
    unused: Any = None
    world, key_service = real_world(), LocalKeyService(ring_of(b"m" * 32))
    await agree_on_master_key(database, key_service, world.now())
    vault = Vault(database, key_service, world.now, fingerprint_key=b"p" * 32)
    return Parts(database=database, world=world, wakeups=unused, bank=unused, vault=vault, fingerprint_secret=b"p" * 32)


def _beginnings(parts: Parts, tenant_id: UUID) -> tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]]:
    async def begin() -> None:
        name = secrets.token_hex(8)
        await attempts.begin_authorizations(parts, tenant_id, [AuthorizeRequest(name, name, "bench", Money(100), CARD)])

    async def silent(tx: Transaction, tenant: UUID, events: Sequence[Event], _: Sequence[AuditEntry] = ()) -> None:
        await append_events(tx, tenant, events)

    async def without_log() -> None:
        with patch.object(attempts, "append_events", silent):
            await begin()

    return begin, without_log


async def _compare(name: str, on: Callable[[], Awaitable[Any]], off: Callable[[], Awaitable[Any]]) -> None:
    spent: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        for is_on in (number % 2 == 0, number % 2 != 0):
            work = on if is_on else off
            await work()
            for _ in range(TIMES):
                began = time.perf_counter()
                await work()
                spent[is_on].append(time.perf_counter() - began)
    with_it, without = (timedelta(seconds=statistics.median(spent[is_on])) for is_on in (True, False))
    click.echo(f"{name}: {with_it / without:.2f} ({with_it.microseconds:,} ÷ {without.microseconds:,} µs)")


if __name__ == "__main__":
    main()
