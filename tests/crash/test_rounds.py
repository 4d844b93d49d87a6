"""A worker dies in its rounds over old holds and old idempotency keys, in the middle of a page and between two pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from domain.failpoint import Failpoint
from domain.payment import Verb
from tests.crash.processes import until
from tests.crash.site import Site, Wish
from tests.crash.table import ROUNDS

AGES = {Failpoint.HOLDS_EXPIRED: ("payments", "created_at", 8), Failpoint.KEYS_REAPED: ("attempts", "closed_at", 36)}


@asynccontextmanager
async def aged(site: Site, tenants: list[UUID], at: Failpoint) -> AsyncIterator[None]:
    """What days would do, for a while. In the end the books tell the true times again, for the invariants."""
    table, column, days = AGES[at]
    shift = f"update {table} set {column} = {column} + make_interval(days => $2) where tenant_id = any($1)"
    await site.owner_fetch(shift, tenants, -days)
    yield
    await site.owner_fetch(shift, tenants, days)


def passings(failpoint: Failpoint) -> list[int]:
    return [passing for each, passing in ROUNDS if each is failpoint]


async def two_holds(site: Site) -> list[Wish]:
    """Of two partners."""
    wishes = [await (await site.partner()).wish(Verb.AUTHORIZE) for _ in range(2)]
    for wish in wishes:
        await wish.repeat(site.api)
    return wishes


@pytest.mark.parametrize("passing", passings(Failpoint.HOLDS_EXPIRED))
async def test_old_holds_are_released_once_whenever_a_worker_dies_over_it(site: Site, passing: int) -> None:
    wishes = await two_holds(site)
    tenants = [wish.partner.id for wish in wishes]
    states = "select state, count(*) from payments where tenant_id = any($1) group by state"
    expiries = "select count(*) from events where tenant_id = any($1) and type = 'payment.expired'"

    async def now() -> dict[str, int]:
        return {row["state"]: row["count"] for row in await site.owner_fetch(states, tenants)}

    async def all_expired() -> bool:
        return await now() == {"EXPIRED": 2}

    with site.worker_frozen():
        async with aged(site, tenants, Failpoint.HOLDS_EXPIRED):
            victim = site.start_worker(f"holds-expired:{passing}")
            await victim.fell_at(Failpoint.HOLDS_EXPIRED)
            left = await now()
            async with site.another_worker():  # begins with a round
                await until(all_expired, "the expiry of both")
        await site.leases_run_out(wishes)
    await site.nothing_is_open(wishes)
    await site.verify(wishes)

    assert left == ({"AUTHORIZED": 2} if passing == 1 else {"AUTHORIZED": 1, "EXPIRED": 1})
    assert (await site.owner_fetch(expiries, tenants))[0]["count"] == 2
    assert await _voids(site, wishes) == [1, 1]


async def _voids(site: Site, wishes: list[Wish]) -> list[int]:
    """How often the bank gave each hold's money back."""
    voided = [each["authorization_id"] for each in (await site.ledger())["voids"]]
    receipts = [await wish.partner.receipt((await wish.repeat(site.api))["payment"]["id"]) for wish in wishes]
    return [voided.count(receipt["bankReferences"]["authorization"]) for receipt in receipts]


@pytest.mark.parametrize("passing", passings(Failpoint.KEYS_REAPED))
async def test_old_keys_are_forgotten_whenever_a_worker_dies_over_it(site: Site, passing: int) -> None:
    """All else stays."""
    wishes = await two_holds(site)
    tenants = [wish.partner.id for wish in wishes]
    keys = "select count(idempotency_key) from attempts where tenant_id = any($1)"
    rest = (
        "select (select count(*) from payments where tenant_id = any($1)) as payments, "
        "(select count(*) from attempts where tenant_id = any($1)) as attempts, "
        "(select count(*) from events where tenant_id = any($1)) as events"
    )
    before = await site.owner_fetch(rest, tenants)

    async def count() -> int:
        return int((await site.owner_fetch(keys, tenants))[0]["count"])

    async def none_is_left() -> bool:
        return await count() == 0

    with site.worker_frozen():
        async with aged(site, tenants, Failpoint.KEYS_REAPED):
            victim = site.start_worker(f"keys-reaped:{passing}")
            await victim.fell_at(Failpoint.KEYS_REAPED)
            left = await count()
            async with site.another_worker():  # begins with a round
                await until(none_is_left, "the forgetting of both")
    await site.verify(wishes)
    again = [await wish.ask(site.api) for wish in wishes]

    assert left == 3 - passing
    assert await site.owner_fetch(rest, tenants) == before
    assert {answer["__typename"] for answer in again} == {"OrderAlreadyPaidError"}, "the orders are still paid, once"
