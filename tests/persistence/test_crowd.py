"""When more want a connection than there are: arrivals stand in line, the line has an end, and what was promised goes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from persistence import database as databases
from persistence.database import KEPT_FOR_PROMISES, Crowded, Database, DatabaseAway
from tests.databases import DatabaseUrls

TENANT = UUID(int=1)
TURNS = 2  # of arrivals


@pytest.fixture
async def small(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A database with few connections."""
    opened = Database(database_urls.app, pool_size=TURNS + KEPT_FOR_PROMISES)
    yield opened
    await opened.close()


async def wait_in_line(database: Database) -> "asyncio.Task[None]":
    """An arrival that has its place in the line."""

    async def arrive() -> None:
        async with database.tenant(TENANT):
            pass

    task = asyncio.create_task(arrive())
    await asyncio.sleep(0)
    return task


async def test_what_was_promised_gets_a_connection_while_arrivals_have_all_of_theirs(small: Database) -> None:
    async with AsyncExitStack() as held:
        for _ in range(TURNS):
            await held.enter_async_context(small.tenant(TENANT))
        waiting = await wait_in_line(small)

        for _ in range(KEPT_FOR_PROMISES):
            await held.enter_async_context(small.tenant(TENANT, promised=True))

        assert not waiting.done()
    await waiting


async def test_who_comes_when_the_line_is_full_is_refused_at_once(small: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "MAX_WAITING", 1)
    async with AsyncExitStack() as held:
        for _ in range(TURNS):
            await held.enter_async_context(small.tenant(TENANT))
        before = small.is_crowded
        waiting = await wait_in_line(small)

        assert (before, small.is_crowded) == (False, True)
        with pytest.raises(Crowded, match="1 wait for a connection"):
            await held.enter_async_context(small.tenant(TENANT))
    await waiting
    assert not small.is_crowded


async def test_a_turn_that_does_not_come_is_weather(database_urls: DatabaseUrls) -> None:
    impatient = Database(database_urls.app, pool_size=1, pool_wait_s=0.01)
    async with impatient.tenant(TENANT):
        with pytest.raises(DatabaseAway, match="no turn came"):
            async with impatient.tenant(TENANT):
                pass

    await impatient.close()


async def test_who_leaves_the_line_takes_no_turn_with_him(small: Database) -> None:
    async with AsyncExitStack() as held:
        for _ in range(TURNS):
            await held.enter_async_context(small.tenant(TENANT))
        waiting = await wait_in_line(small)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async with AsyncExitStack() as held:
        for _ in range(TURNS):
            await held.enter_async_context(small.tenant(TENANT))
