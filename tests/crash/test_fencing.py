"""A process that pauses is as bad as a dead one, and then it wakes up: whoever lost the lease changes nothing any more."""

import asyncio
from pathlib import Path

import pytest

from domain.failpoint import Failpoint
from domain.payment import Verb
from tests.crash.aftermath import endings
from tests.crash.site import Site
from tests.crash.table import Left, outcome

PAUSES = {  # where it stands when its leases run out, and what those who take over find
    Failpoint.BANK_CALL_DUE: Left.UNASKED,
    Failpoint.BANK_ANSWER_READ: Left.DONE,
}


@pytest.mark.parametrize("at", PAUSES)
async def test_who_wakes_up_without_a_lease_is_fenced_out(site: Site, tmp_path: Path, at: Failpoint) -> None:
    """And its clients hear what the others did."""
    go_on = tmp_path / "go-on"
    sleeper = site.start_api(f"{at.value}:1:hold={go_on}", outcome_wait_s=30)
    wishes = await site.wishes_of_many()

    asked = [asyncio.create_task(wish.ask(sleeper)) for wish in wishes]
    await sleeper.stands_at(at, times=len(wishes))
    await site.leases_run_out(wishes)
    await site.nothing_is_open(wishes)
    before = await site.books(wishes)
    go_on.touch()
    told = await asyncio.gather(*asked)
    ends = await endings(site, wishes)

    assert sleeper.said().count("lease lost") == len(wishes)
    assert await site.books(wishes) == before
    assert [answer["payment"] for answer in told] == [end.answer["payment"] for end in ends]
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(PAUSES[at], verb) for verb in Verb}


async def test_who_wakes_up_while_another_holds_the_lease_leaves_it_to_him(site: Site, tmp_path: Path) -> None:
    """Both have the bank's answer in their hands. The one who is late can only warn of a hold that nobody else knows yet."""
    wake_up, go_on = tmp_path / "wake-up", tmp_path / "go-on"
    at = Failpoint.BANK_ANSWER_READ
    sleeper = site.start_api(f"{at.value}:1:hold={wake_up}", outcome_wait_s=30)
    wishes = await site.wishes_of_many()

    with site.worker_frozen():
        asked = [asyncio.create_task(wish.ask(sleeper)) for wish in wishes]
        await sleeper.stands_at(at, times=len(wishes))
        await site.leases_run_out(wishes)
        holder = site.start_worker(f"{at.value}:1:hold={go_on}")
        await holder.stands_at(at, times=len(wishes))
        wake_up.touch()
        told = await asyncio.gather(*asked)
        left_open = await site.open_attempts(wishes)
        go_on.touch()
        await site.nothing_is_open(wishes)
    await holder.killed()
    ends = await endings(site, wishes)

    assert sleeper.said().count("lease lost") == len(wishes)
    assert all(answer["payment"]["pendingOperation"] for answer in told), "it told what was so"
    assert left_open == len(wishes)
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(Left.DOUBT, verb) for verb in Verb}


async def test_who_wakes_up_with_another_hold_in_its_hands_says_so(site: Site, tmp_path: Path) -> None:
    """The bank answered the sleeper, forgot the key, and made another hold for those who took over."""
    go_on = tmp_path / "go-on"
    sleeper = site.start_api(f"{Failpoint.BANK_ANSWER_READ.value}:1:hold={go_on}", outcome_wait_s=30)
    wishes = await site.wishes_of_many()
    await site.script("slow_drip", times=len(wishes), drip_ms=0, stores_key=False)

    asked = [asyncio.create_task(wish.ask(sleeper)) for wish in wishes]
    await sleeper.stands_at(Failpoint.BANK_ANSWER_READ, times=len(wishes))
    await site.leases_run_out(wishes)
    await site.nothing_is_open(wishes)
    go_on.touch()
    await asyncio.gather(*asked)
    ends = await endings(site, wishes)

    assert {end.verb: end.outcome for end in ends} == {verb: outcome(Left.FORGOTTEN, verb) for verb in Verb}
