"""Those who make crashes good die themselves: one after the other, and in the middle of a batch."""

import pytest

from domain.failpoint import Failpoint
from domain.payment import Verb
from tests.crash.aftermath import endings
from tests.crash.site import Site, standing_at
from tests.crash.table import BATCHES, RECOVERIES, Death, outcome

DEATHS = 2


@pytest.mark.parametrize("death", RECOVERIES, ids=str)
async def test_attempts_survive_the_deaths_of_two_workers(site: Site, death: Death) -> None:
    """A batch is one partner's, but in a transaction a partner's attempts wait for each other."""
    at_once = death.at is Failpoint.LEASES_TAKEN_OVER
    wishes = await (await site.partner()).wishes() if at_once else await site.wishes_of_many()

    with site.worker_frozen():
        await site.strand(wishes)
        for number in range(1, DEATHS + 1):
            await site.script(death.fault, times=len(wishes))
            await site.leases_run_out(wishes)
            victim = site.start_worker(standing_at(death.at))
            await victim.stands_at(death.at, times=1 if at_once else len(wishes))
            await site.bank_acted(wishes, death.fault, number)
            await victim.killed()
        await site.leases_run_out(wishes)
    ends = await endings(site, wishes)

    assert {end.verb: end.outcome for end in ends} == {verb: outcome(death.left, verb, DEATHS) for verb in Verb}


@pytest.mark.parametrize(("failpoint", "passing"), BATCHES)
async def test_a_batch_survives_the_death_of_its_worker(site: Site, failpoint: Failpoint, passing: int) -> None:
    """How far each of the others has come is chance: what holds for all of them are the invariants."""
    wishes = [*await (await site.partner()).wishes(), *await (await site.partner()).wishes()]

    with site.worker_frozen():
        await site.strand(wishes)
        await site.leases_run_out(wishes)
        victim = site.start_worker(f"{failpoint.value}:{passing}")
        await victim.fell_at(failpoint)
        left_open = await site.open_attempts(wishes)
        await site.leases_run_out(wishes)
    ends = await endings(site, wishes)

    assert 0 < left_open <= len(wishes), "it was in the middle"
    assert all(end.outcome.effects == 1 for end in ends if end.verb is not Verb.AUTHORIZE)
    assert all(end.outcome.flags for end in ends if end.outcome.effects > 1)
