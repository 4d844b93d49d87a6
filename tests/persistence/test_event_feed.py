"""The feed: every event once and in order, whoever is woken when, and however far behind a follower is."""

import asyncio
from contextlib import aclosing, suppress

import pytest

from domain.payment import Verb
from persistence import event_feed
from persistence.database import APPENDED, DatabaseAway
from persistence.event_feed import EventFeed
from persistence.events import last_sequence
from tests.conftest import PATIENCE_S


@pytest.fixture
def feed(database):
    """A feed that is told of everything in this process, as if Redis were there."""
    made = EventFeed(database, lambda: True)
    database.on_events = made.wake
    yield made
    database.on_events = lambda _: None


async def taken(feed, tenant, count, after=None):
    """The numbers of the next events."""
    numbers = []
    async with asyncio.timeout(PATIENCE_S), aclosing(feed.follow(tenant, after)) as following:
        async for logged in following:
            numbers.append(logged.sequence)
            if len(numbers) == count:
                break
    return numbers


async def until(condition):
    """Let others go on until it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what it waits for is inside of the feed
            await asyncio.sleep(0)


async def pay(gateway, tenant, wish, on, times):
    """So many orders, of three events each."""
    for _ in range(times):
        payment = (await gateway.authorize(tenant, wish())).payment
        await gateway.operate(tenant, Verb.CAPTURE, on(payment.id))


async def test_who_follows_from_the_beginning_gets_what_was_and_what_comes_without_a_seam(feed, gateway, tenant, wish, on):
    await pay(gateway, tenant, wish, on, 2)
    following = asyncio.create_task(taken(feed, tenant, 15, after=0))

    await pay(gateway, tenant, wish, on, 3)

    assert await following == list(range(1, 16))


async def test_who_follows_from_now_on_gets_nothing_of_before(feed, gateway, database, tenant, wish, on):
    await pay(gateway, tenant, wish, on, 1)
    async with aclosing(feed.follow(tenant)) as following:
        next_one = asyncio.ensure_future(anext(following))
        await until(lambda: tenant in feed._tails and feed._tails[tenant].begun.is_set())
        async with database.tenant(tenant) as tx:
            assert await last_sequence(tx, tenant) == 3

        await pay(gateway, tenant, wish, on, 1)

        assert (await next_one).sequence == 4


async def test_who_is_further_behind_than_memory_reads_the_table(feed, gateway, tenant, wish, on, monkeypatch):
    monkeypatch.setattr(event_feed, "KEPT", 2)
    monkeypatch.setattr(event_feed, "MAX_PAGE", 2)
    await pay(gateway, tenant, wish, on, 1)
    following = [asyncio.create_task(taken(feed, tenant, 9, after=0)) for _ in range(3)]

    await pay(gateway, tenant, wish, on, 2)

    assert await asyncio.gather(*following) == [list(range(1, 10))] * 3


async def test_many_followers_of_one_tenant_cost_one_reader(feed, gateway, tenant, wish, on):
    following = [asyncio.create_task(taken(feed, tenant, 3, after=0)) for _ in range(20)]
    await until(lambda: tenant in feed._tails and feed._tails[tenant].followers == 20)

    readers = {tail.reader for tail in feed._tails.values()}
    await pay(gateway, tenant, wish, on, 1)

    assert len(readers) == 1
    assert await asyncio.gather(*following) == [[1, 2, 3]] * 20
    await until(lambda: not feed._tails)
    (reader,) = readers
    with pytest.raises(asyncio.CancelledError):
        await reader


async def test_without_wake_ups_the_reader_looks_by_itself(database, gateway, tenant, wish, on, monkeypatch):
    monkeypatch.setattr(event_feed, "LOOK_S", 0.01)
    deaf = EventFeed(database, lambda: False)
    following = asyncio.create_task(taken(deaf, tenant, 3, after=0))

    await pay(gateway, tenant, wish, on, 1)

    assert await following == [1, 2, 3]


async def test_a_transaction_that_fails_wakes_nobody(database, gateway, tenant, wish, on):
    woken = []
    database.on_events = woken.append
    await pay(gateway, tenant, wish, on, 1)
    told = len(woken)

    with suppress(ZeroDivisionError):
        async with database.tenant(tenant) as tx:
            tx.info[APPENDED] = tenant
            raise ZeroDivisionError
    async with database.tenant(tenant) as tx:
        await last_sequence(tx, tenant)

    database.on_events = lambda _: None
    assert told == 3
    assert len(woken) == told


async def test_a_database_that_is_away_for_a_while_costs_no_event(feed, gateway, tenant, wish, on, monkeypatch):
    monkeypatch.setattr(event_feed, "DATABASE_PAUSE_S", 0.0)
    looks = []

    async def page_of_events(*given, **how):
        looks.append(given)
        if len(looks) in (2, 3):
            raise DatabaseAway("test")
        return await original(*given, **how)

    original = event_feed.page_of_events
    monkeypatch.setattr(event_feed, "page_of_events", page_of_events)
    await pay(gateway, tenant, wish, on, 1)
    following = asyncio.create_task(taken(feed, tenant, 3, after=3))
    await until(lambda: looks)

    await pay(gateway, tenant, wish, on, 1)

    assert await following == [4, 5, 6]
    assert len(looks) > 3
