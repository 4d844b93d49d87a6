"""Redis dies with everything that it held. It carries wake-ups only, so nobody learns less; some learn it later."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded.redis import EmbeddedRedis
from domain.failpoint import Failpoint
from domain.payment import Verb
from tests.crash.aftermath import endings
from tests.crash.site import Site
from tests.crash.table import Left, outcome


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that may be killed."""
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


async def test_who_waits_for_another_process_hears_of_the_outcome_though_redis_dies(
    site: Site, tmp_path: Path, redis: EmbeddedRedis
) -> None:
    go_on = tmp_path / "go-on"
    first = site.start_api(f"{Failpoint.BANK_ANSWER_READ.value}:1:hold={go_on}", redis_url=redis.url, outcome_wait_s=30)
    other = site.start_api(redis_url=redis.url, outcome_wait_s=30)
    wishes, later = await site.wishes_of_many(), await site.wishes_of_many()

    asked = [asyncio.create_task(wish.ask(first)) for wish in wishes]
    await first.stands_at(Failpoint.BANK_ANSWER_READ, times=len(wishes))
    waiting = [asyncio.create_task(wish.ask(other)) for wish in wishes]
    os.kill(redis.pid, signal.SIGKILL)
    go_on.touch()
    told, heard = await asyncio.gather(*asked), await asyncio.gather(*waiting)
    redis.stop()
    redis.start()  # and remembers nothing
    told += await asyncio.gather(*(wish.ask(first) for wish in later))
    heard += await asyncio.gather(*(wish.ask(other) for wish in later))
    ends = await endings(site, [*wishes, *later])

    assert told == [{**end.answer, "replayed": False} for end in ends]
    assert heard == [{**end.answer, "replayed": True} for end in ends]
    assert [end.outcome for end in ends] == [outcome(Left.CLOSED, verb) for verb in [*Verb, *Verb]]
