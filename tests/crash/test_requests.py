"""An API process dies with requests in its hands. Their clients repeat them elsewhere, and nothing is lost or done twice."""

import asyncio

import pytest

from domain.payment import Verb
from tests.crash.aftermath import endings
from tests.crash.site import Site, standing_at
from tests.crash.table import REQUESTS, Death, Left, outcome

ACKNOWLEDGED_AFTER_S = 0.1  # who is to be told PENDING is told so at once


@pytest.mark.parametrize("death", REQUESTS, ids=str)
async def test_requests_survive_the_death_of_their_process(site: Site, death: Death) -> None:
    victim = site.start_api(standing_at(death.at), **({"outcome_wait_s": ACKNOWLEDGED_AFTER_S} if death.acknowledged else {}))
    wishes = await site.wishes_of_many()
    await site.script(death.fault, times=len(wishes))

    asked = [asyncio.create_task(wish.ask(victim)) for wish in wishes]
    await victim.stands_at(death.at, times=len(wishes))
    await site.bank_acted(wishes, death.fault)
    told = await asyncio.gather(*asked) if death.acknowledged else []
    await victim.killed()
    firsts = await asyncio.gather(*asked)
    await site.leases_run_out(wishes)
    ends = await endings(site, wishes)

    assert firsts == (told or [None] * len(wishes))
    assert [answer["payment"]["id"] for answer in told] == ([end.receipt["id"] for end in ends] if death.acknowledged else [])
    assert {end.verb: end.outcome for end in ends} == {verb: outcome(death.left, verb) for verb in Verb}
    assert {end.answer["replayed"] for end in ends} == {death.left is not Left.NOTHING}
