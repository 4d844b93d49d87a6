"""A worker's rounds go on whatever happens in one of them, and stop when they are told to."""

import asyncio
import logging

import pytest

from gateway.rounds import again_and_again
from persistence.database import DatabaseAway


@pytest.mark.parametrize("trouble", [DatabaseAway("away"), ValueError("a bug")])
async def test_a_round_that_goes_wrong_is_logged_and_followed_by_the_next(trouble, caplog):
    stopped, rounds = asyncio.Event(), []

    async def work():
        rounds.append(1)
        if len(rounds) == 1:
            raise trouble
        stopped.set()

    with caplog.at_level(logging.WARNING):
        await again_and_again("sweeping", work, 0.0, stopped)

    assert len(rounds) == 2
    assert "sweeping" in caplog.text


async def test_who_rests_between_two_rounds_stops_at_once():
    stopped, done = asyncio.Event(), asyncio.Event()

    async def work():
        done.set()

    rounds = asyncio.create_task(again_and_again("sweeping", work, 3600.0, stopped))
    await done.wait()
    stopped.set()

    async with asyncio.timeout(10):
        await rounds
