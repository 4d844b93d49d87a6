"""SIGTERM: what is under way at the bank is finished, who waits for it is answered, and only then the process ends."""

import asyncio
from pathlib import Path

import pytest

from domain.failpoint import Failpoint
from domain.payment import Verb
from tests.crash.aftermath import endings
from tests.crash.site import Site
from tests.crash.table import Left, outcome

STOPPED = "stopped; 0 payments are left to recovery"
AT = [Failpoint.REQUEST_COMMITTED, Failpoint.BANK_CALL_DUE, Failpoint.BANK_ANSWER_READ, Failpoint.OUTCOME_COMMITTED]


@pytest.mark.parametrize("at", AT)
async def test_an_api_that_is_told_to_stop_answers_who_waits_and_leaves_nothing_open(
    site: Site, tmp_path: Path, at: Failpoint
) -> None:
    go_on = tmp_path / "go-on"
    leaving = site.start_api(f"{at.value}:1:hold={go_on}")
    wishes = await site.wishes_of_many()

    asked = [asyncio.create_task(wish.ask(leaving)) for wish in wishes]
    await leaving.stands_at(at, times=len(wishes))
    leaving.terminate()
    await leaving.says("Shutting down")
    go_on.touch()
    told = await asyncio.gather(*asked)
    await leaving.ended()
    left_open = await site.open_attempts(wishes)
    ends = await endings(site, wishes)

    assert STOPPED in leaving.said()
    assert left_open == 0
    assert told == [{**end.answer, "replayed": False} for end in ends]
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(Left.CLOSED, verb) for verb in Verb}


async def test_an_api_that_is_told_to_stop_finishes_what_nobody_waits_for(site: Site, tmp_path: Path) -> None:
    """Its clients were told PENDING, and have gone."""
    go_on = tmp_path / "go-on"
    leaving = site.start_api(f"{Failpoint.BANK_CALL_DUE.value}:1:hold={go_on}", outcome_wait_s=0.1)
    wishes = await site.wishes_of_many()

    told = await asyncio.gather(*(wish.ask(leaving) for wish in wishes))
    await leaving.stands_at(Failpoint.BANK_CALL_DUE, times=len(wishes))
    leaving.terminate()
    await leaving.says("Waiting for application shutdown")  # nothing else keeps it from ending
    go_on.touch()
    await leaving.ended()
    left_open = await site.open_attempts(wishes)
    ends = await endings(site, wishes)

    assert STOPPED in leaving.said()
    assert left_open == 0
    assert all(answer["payment"]["pendingOperation"] for answer in told)
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(Left.CLOSED, verb) for verb in Verb}


async def test_a_worker_that_is_told_to_stop_finishes_what_it_has_taken_over(site: Site, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    wishes = await site.wishes_of_many()

    with site.worker_frozen():
        await site.strand(wishes)
        await site.leases_run_out(wishes)
        leaving = site.start_worker(f"{Failpoint.BANK_CALL_DUE.value}:1:hold={go_on}")
        await leaving.stands_at(Failpoint.BANK_CALL_DUE, times=len(wishes))
        leaving.terminate()
        go_on.touch()
        code = await leaving.ended()
        left_open = await site.open_attempts(wishes)
    ends = await endings(site, wishes)

    assert code == 0
    assert left_open == 0
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(Left.CLOSED, verb) for verb in Verb}
