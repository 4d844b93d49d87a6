"""The database dies, or the line to it, in the middle of our two transactions. We live on, and so does what was committed."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from domain.payment import Verb
from tests.crash.aftermath import endings
from tests.crash.processes import until
from tests.crash.relay import CommitLine
from tests.crash.site import Site
from tests.crash.table import COMMITS, SERVERS, Death, Left, outcome
from tests.databases import APP

SERVING = f"select pid from pg_stat_activity where usename = '{APP.name}' and state = 'idle in transaction'"


@pytest.mark.parametrize("death", SERVERS, ids=str)
async def test_transactions_survive_the_death_of_their_postgres(fragile_site: Site, tmp_path: Path, death: Death) -> None:
    """One of its processes is killed; it ends all others, for they share its memory, and recovers from its log."""
    site, go_on = fragile_site, tmp_path / "go-on"
    api = site.start_api(f"{death.at.value}:1:hold={go_on}")
    wishes = await site.wishes_of_many()

    asked = [asyncio.create_task(wish.ask(api)) for wish in wishes]
    await api.stands_at(death.at, times=len(wishes))
    serving = await site.owner_fetch(SERVING)
    os.kill(serving[0]["pid"], signal.SIGKILL)
    await until(lambda: _has_recovered(site), "Postgres after its recovery")
    go_on.touch()
    told = await asyncio.gather(*asked)
    ends = await endings(site, wishes)

    assert len(serving) == len(wishes)
    assert told == ([None] * len(wishes) if death.left is Left.NOTHING else [{**end.answer, "replayed": False} for end in ends])
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(death.left, verb) for verb in Verb}


async def _has_recovered(site: Site) -> bool:
    try:
        return await site.owner_fetch(SERVING) == []
    except (OSError, asyncpg.PostgresError):
        return False


@pytest.mark.parametrize(("death", "when"), COMMITS, ids=str)
async def test_transactions_survive_the_loss_of_their_commits_answer(site: Site, tmp_path: Path, death: Death, when: str) -> None:
    """Whoever sent it can't know whether it was done."""
    go_on = tmp_path / "go-on"
    async with CommitLine(site.urls.app) as line:
        api = site.start_api(f"{death.at.value}:1:hold={go_on}", database_url=line.url)
        wishes = await site.wishes_of_many()

        asked = [asyncio.create_task(wish.ask(api)) for wish in wishes]
        await api.stands_at(death.at, times=len(wishes))
        line.break_at_commits(len(wishes), when=when)
        go_on.touch()
        told = await asyncio.gather(*asked)
        broke_all = line.breaks_left == 0
        await site.leases_run_out(wishes)
        ends = await endings(site, wishes)
        await api.killed()

    assert broke_all
    assert told == ([{**end.answer, "replayed": False} for end in ends] if death.left is Left.CLOSED else [None] * len(wishes))
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(death.left, verb) for verb in Verb}
    assert {end.answer["replayed"] for end in ends} == {death.left is not Left.NOTHING}
