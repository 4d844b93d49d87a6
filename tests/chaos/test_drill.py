"""A drill of some seconds: the load and each kind of fault once, in the order that leaves the most behind for recovery."""

from pathlib import Path
from random import Random

import pytest

from tests.chaos.drill import Drill
from tests.chaos.report import Display
from tests.chaos.schedule import Event, Fault, Period, Schedule, Weather, orders
from tests.chaos.system import CARDS, PARTNERS

LASTS_S = 8.0
RATE = 10.0
WEATHER = [Period(0, 2, Weather.FLAKY), Period(2, 2, Weather.CALM), Period(4, 1, Weather.FLAPPING), Period(5, 3, Weather.FLAKY)]
EVENTS = [
    Event(0.5, Fault.BANK_SLOW_TO_STORE_KEYS, 3.0, 0.0),
    Event(2.5, Fault.KILL_API, 0.0, 0.0),
    Event(3.0, Fault.KILL_WORKER, 0.0, 0.0),
    Event(3.5, Fault.KILL_BANK, 0.0, 0.0),
    Event(4.0, Fault.CRASH_POSTGRES, 0.0, 0.5),
    Event(4.5, Fault.KILL_REDIS, 0.0, 0.0),
    Event(6.0, Fault.BANK_DATABASE_DOWN, 1.0, 0.0),
]


@pytest.mark.drill
@pytest.mark.timeout(300)  # on a busy machine eight processes take their time to start, and a lease its 20 s to run out
async def test_a_drill_of_eight_seconds_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    load = list(orders(1, LASTS_S, rate=RATE, partners=len(PARTNERS), cards=CARDS))

    result = await Drill(Schedule(LASTS_S, WEATHER, EVENTS, load, Random(1)), tmp_path, Display()).run()

    assert result.settled_s is not None, "nothing stays open"
    assert result.violations == {where: [] for where in result.violations}
    assert result.verification["violations"] == []
    assert result.is_right
    assert result.acknowledged.total() == len(load)
    assert {event.fault for event in EVENTS} <= {Fault(name) for name in result.faults if name in set(Fault)}
