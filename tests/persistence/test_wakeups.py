"""Wake-ups over a real Redis: prompt with it, slower but correct without it."""

import asyncio
from uuid import uuid4

import pytest

from app.embedded.redis import EmbeddedRedis
from persistence.wakeups import LOOK_S, RedisWakeups


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """A Redis of this module's own."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def two_processes(redis):
    """Wake-ups as two processes would have them."""
    ends = [RedisWakeups(redis.url), RedisWakeups(redis.url)]
    running = [asyncio.create_task(end.run()) for end in ends]
    async with asyncio.timeout(10):
        await asyncio.gather(*(end.connected.wait() for end in ends))
    yield ends
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_what_closes_in_one_process_wakes_who_waits_in_another(two_processes):
    here, there = two_processes
    attempt_id = uuid4()
    waiting = asyncio.create_task(there.wait(attempt_id, 60))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    here.announce([uuid4(), attempt_id])
    await waiting

    assert loop.time() - began_s < LOOK_S


async def test_nobody_is_woken_for_another_attempt(two_processes):
    here, there = two_processes
    mine, other = uuid4(), uuid4()
    waiting_for_mine = asyncio.create_task(there.wait(mine, 60))
    waiting_for_other = asyncio.create_task(there.wait(other, 60))
    await asyncio.sleep(0)

    here.announce([other])
    await waiting_for_other

    assert not waiting_for_mine.done()
    here.announce([mine])
    await waiting_for_mine


async def test_without_redis_waiting_ends_after_a_while_and_announcing_never_fails():
    alone = RedisWakeups("redis://127.0.0.1:1/0")
    running = asyncio.create_task(alone.run())

    alone.announce([uuid4() for _ in range(20_000)])
    await alone.wait(uuid4(), 60)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not alone.connected.is_set()
