"""Wake-ups over a real Redis: prompt with it, slower but correct without it."""

import asyncio
from uuid import uuid4

import pytest

from persistence.wakeups import RedisWakeups


@pytest.fixture
async def two_processes(redis_server):
    """Wake-ups as two processes would have them."""
    async with RedisWakeups(redis_server.url) as here, RedisWakeups(redis_server.url) as there, asyncio.timeout(120):
        await asyncio.gather(*(up.wait() for end in (here, there) for up in (end.listening, end.publishing)))
        yield here, there


async def woken(wakeups, attempt_id):
    """Returns when the wake-up has come, after however many looks."""
    with wakeups.expect(attempt_id) as expected:
        while not expected.woken.is_set():
            await expected.woken.wait()


async def test_what_closes_in_one_process_wakes_who_waits_in_another(two_processes):
    here, there = two_processes
    attempt_id = uuid4()
    waiting = asyncio.create_task(woken(there, attempt_id))
    await asyncio.sleep(0)

    here.announce([uuid4(), attempt_id])

    await waiting  # and no look of its own: `woken` has none


async def test_nobody_is_woken_for_another_attempt(two_processes):
    here, there = two_processes
    mine, other = uuid4(), uuid4()
    waiting_for_mine = asyncio.create_task(woken(there, mine))
    waiting_for_other = asyncio.create_task(woken(there, other))
    await asyncio.sleep(0)

    here.announce([other])
    await waiting_for_other

    assert not waiting_for_mine.done()
    here.announce([mine])
    await waiting_for_mine


async def test_a_redis_that_goes_away_is_noticed_and_found_again(redis_server, two_processes):
    here, there = two_processes
    lines = [up for end in two_processes for up in (end.listening, end.publishing)]
    async with asyncio.timeout(30):
        redis_server.stop()
        while any(up.is_set() for up in lines):  # noqa: ASYNC110  (nothing announces a loss)
            await asyncio.sleep(0.01)
        redis_server.start()
        await asyncio.gather(*(up.wait() for up in lines))
    attempt_id = uuid4()
    waiting = asyncio.create_task(woken(there, attempt_id))
    await asyncio.sleep(0)

    here.announce([attempt_id])
    await waiting

    assert here.connected


async def test_what_closes_between_the_look_and_the_waiting_is_not_missed(two_processes):
    here, there = two_processes
    attempt_id = uuid4()

    with there.expect(attempt_id) as expected:
        here.announce([attempt_id])
        await asyncio.wait_for(expected.woken.wait(), 60)  # it has come before anybody waits
        await expected.wait(0)

        assert not expected.woken.is_set()  # and is used up: the next wait waits


async def test_when_redis_goes_everybody_looks_at_once(redis_server, two_processes):
    _, there = two_processes
    waiting = asyncio.create_task(woken(there, uuid4()))
    await asyncio.sleep(0)

    redis_server.stop()
    await waiting
    redis_server.start()


async def test_without_redis_waiting_ends_after_a_while_and_announcing_never_fails():
    async with RedisWakeups("redis://127.0.0.1:1/0") as alone:
        alone.announce([uuid4() for _ in range(20_000)])
        with alone.expect(uuid4()) as expected:
            await expected.wait(60)

        assert not alone.connected


async def test_stopping_in_the_middle_of_anything_ends(redis_server):
    for turns in range(60):
        async with asyncio.timeout(10), RedisWakeups(redis_server.url) as wakeups:
            wakeups.announce([uuid4()])
            for _ in range(turns):
                await asyncio.sleep(0)
