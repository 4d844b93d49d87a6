"""The stage itself: what is proved on it is worth what it is worth."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from bank.client import VoidCall
from domain.failpoint import Failpoint
from persistence.database import DatabaseAway
from tests.databases import DatabaseUrls
from tests.simulation.bank_line import staged_bank
from tests.simulation.scene import Scene, Straight, scene, settled, virtual_runner
from tests.simulation.stage import DIE, GO, Point, Process, Stage
from tests.simulation.staged_parts import AWAY, BROKEN, StagedDatabase, StagedWakeups
from tests.simulation.virtual_loop import Stuck


class Told(Straight):
    """Does what it is told at points that begin so, and notes everything else in order."""

    def __init__(self, **lucks: str) -> None:
        self.lucks = lucks

    def choose(self, points: Sequence[Point]) -> tuple[Point, str]:
        point = points[0]
        return point, self.lucks.get(point.what.replace(" ", "_"), GO)


class Shuffling(Straight):
    """Chooses by a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def choose(self, points: Sequence[Point]) -> tuple[Point, str]:
        return self.chance.choice(points), GO


def play(director, script, urls=None):
    """The script's result and the stage; with `urls` the script gets a scene, too."""

    async def there():
        stage = Stage(asyncio.get_running_loop(), director, "a seed")
        if urls is None:
            return await stage.perform(lambda: script(stage)), stage
        async with scene(urls) as here:
            return await stage.perform(lambda: script(stage, here)), stage

    with virtual_runner() as runner:
        return runner.run(there())


def test_hours_pass_at_once_and_only_while_nobody_can_go_on() -> None:
    async def script(stage: Stage) -> list[float]:
        seen = []

        async def nap(seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append(stage.time_s)

        await asyncio.gather(nap(3600.0), nap(0.5), nap(86400.0 * 3))
        return seen

    seen, _ = play(Straight(), script)

    assert seen == [0.5, 3600.0, 86400.0 * 3]


def test_a_time_limit_is_in_virtual_time_too() -> None:
    async def script(stage: Stage) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(8.0):
                await asyncio.Event().wait()
        return stage.time_s

    waited_s, _ = play(Straight(), script)

    assert waited_s == 8.0


def test_who_waits_for_nothing_is_noticed() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="nobody can go on"):
        play(Straight(), script)


def test_the_same_director_gives_the_same_history_and_another_one_another() -> None:
    async def script(stage: Stage) -> None:
        async def walker() -> None:
            for step in range(5):
                await stage.point(f"step {step}")
            await asyncio.sleep(stage.random())

        for name in "abc":
            stage.start(Process(name), name, walker())
        await asyncio.sleep(60)

    histories = [play(Shuffling(seed), script)[1].history for seed in (1, 1, 2)]

    assert histories[0] == histories[1]
    assert histories[0] != histories[2]
    assert len(histories[0]) == 15


def test_a_dead_process_does_nothing_any_more_and_its_clean_up_reaches_nobody() -> None:
    done = []

    async def script(stage: Stage) -> None:
        async def work() -> None:
            try:
                await stage.point("write")
                done.append("written")
            finally:
                await stage.point("tidy up")
                done.append("tidied")

        process = Process("victim")
        stage.start(process, "actor", work())
        await settled(process)
        assert process.dead

    _, stage = play(Told(write=DIE), script)

    assert done == []
    assert [step.what for step in stage.history] == ["write"]


def test_a_slow_process_gets_no_turn_while_time_passes_for_the_others() -> None:
    seen = {}

    async def script(stage: Stage) -> None:
        async def work(name: str) -> None:
            await asyncio.sleep(1)
            await stage.point("step")
            seen[name] = stage.time_s

        slow, other = Process("slow", slow=True), Process("other")
        stage.start(slow, "slow", work("slow"))
        stage.start(other, "other", work("other"))
        await asyncio.sleep(30)
        slow.slow = False
        await settled(slow)

    play(Straight(), script)

    assert seen == {"other": 1.0, "slow": 30.0}


async def count_partners(here: Scene) -> int:
    async with here.owner.without_tenant() as tx:
        return (await tx.exec_driver_sql("select count(*) from partners")).scalar_one()


@pytest.mark.parametrize(
    ("luck", "point", "written"), [(AWAY, "begin_insert", 0), (BROKEN, "begin_insert", 1), (BROKEN, "committed_insert", 1)]
)
def test_a_database_is_away_before_anything_is_done_or_after_everything_is(
    database_urls: DatabaseUrls, luck: str, point: str, written: int
) -> None:
    async def script(stage: Stage, here: Scene) -> int:
        async def insert() -> None:
            with pytest.raises(DatabaseAway):
                async with StagedDatabase(stage, here.owner).without_tenant() as tx:
                    await tx.exec_driver_sql("insert into partners values (gen_random_uuid(), 'a', now())")

        with stage.postgres():
            await here.sweep()
        await stage.start(Process("api"), "actor", insert())
        with stage.postgres():
            return await count_partners(here)

    count, _ = play(Told(**{point: luck}), script, database_urls)

    assert count == written


def test_dying_in_the_middle_of_a_transaction_commits_nothing(database_urls: DatabaseUrls) -> None:
    class AtTheFailpoint(Straight):
        def dies_at(self, *_: object) -> bool:
            return True

    async def script(stage: Stage, here: Scene) -> int:
        async def insert() -> None:
            async with StagedDatabase(stage, here.owner).without_tenant() as tx:
                await tx.exec_driver_sql("insert into partners values (gen_random_uuid(), 'a', now())")
                await stage.reach(Failpoint.REQUEST_CLAIMED)

        with stage.postgres():
            await here.sweep()
        process = Process("api")
        stage.start(process, "actor", insert())
        await settled(process)
        with stage.postgres():
            return await count_partners(here)

    count, stage = play(AtTheFailpoint(), script, database_urls)

    assert count == 0
    assert stage.failpoints == {Failpoint.REQUEST_CLAIMED: 1}


def test_a_bank_that_is_asked_inside_of_a_transaction_is_noticed(database_urls: DatabaseUrls) -> None:
    """Rule 1 of docs/house.md, enforced wherever anything is played."""

    async def script(stage: Stage, here: Scene) -> None:
        line = staged_bank(stage, "[]")
        api = Process("api")
        parts = here.parts(stage, api, line, StagedWakeups(stage))

        async def work() -> None:
            async with parts.database.without_tenant():
                await parts.bank.send(VoidCall("auth_1"), "key")

        with pytest.raises(AssertionError, match="inside of a transaction"):
            await stage.start(api, "actor", work())

    play(Straight(), script, database_urls)
