"""What a seed gives: the same again, everything in turn, and no two crashes of Postgres within its recovery."""

from itertools import pairwise
from random import Random

import pytest

from tests.chaos.proxy import Toxic
from tests.chaos.schedule import FAULT_NEEDS_S, RECOVERY_S, TOXIC_S, Fault, Manners, Schedule, Weather, flaky_fate, schedule

TEN_MINUTES_S = 600.0
SEEDS = range(20)


def drawn(seed: int) -> Schedule:
    return schedule(seed, TEN_MINUTES_S, rate=20, partners=3, cards=500)


def test_the_same_seed_gives_the_same_schedule_and_another_one_another() -> None:
    one, again, other = drawn(7), drawn(7), drawn(8)

    assert (one.weather, one.events, one.orders) == (again.weather, again.events, again.orders)
    assert one.weather != other.weather
    assert one.events != other.events
    assert one.orders != other.orders


@pytest.mark.parametrize("seed", SEEDS)
def test_in_ten_minutes_everything_has_its_turn(seed: int) -> None:
    made = drawn(seed)

    assert {event.fault for event in made.events} == set(Fault)
    assert {period.weather for period in made.weather} == set(Weather)
    assert {order.manners for order in made.orders} == set(Manners)
    assert {order.partner for order in made.orders} == {0, 1, 2}
    assert any(order.card is None for order in made.orders)


@pytest.mark.parametrize("seed", SEEDS)
def test_postgres_does_not_crash_within_its_recovery(seed: int) -> None:
    crashes = [event.at_s for event in drawn(seed).events if event.fault is Fault.CRASH_POSTGRES]

    assert len(crashes) > 3
    assert min(later - earlier for earlier, later in pairwise(crashes)) >= RECOVERY_S


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_begins_before_the_end_and_in_order(seed: int) -> None:
    made = drawn(seed)

    assert [event.at_s for event in made.events] == sorted(event.at_s for event in made.events)
    assert max(event.at_s for event in made.events) < TEN_MINUTES_S - FAULT_NEEDS_S
    assert max(order.at_s for order in made.orders) < TEN_MINUTES_S
    assert made.weather[0].at_s == 0
    assert all(earlier.at_s + earlier.lasts_s == later.at_s for earlier, later in pairwise(made.weather))
    assert made.weather[-1].at_s + made.weather[-1].lasts_s == pytest.approx(TEN_MINUTES_S)


def test_orders_come_at_the_rate_that_was_asked_for() -> None:
    made = drawn(1)

    assert len(made.orders) == pytest.approx(20 * TEN_MINUTES_S, rel=0.05)
    assert len({order.number for order in made.orders}) == len(made.orders)


def test_flaky_weather_has_every_toxic_and_lets_most_requests_through() -> None:
    chance = Random(1)

    fates = [flaky_fate(chance) for _ in range(2000)]

    assert {fate.toxic for fate in fates} == set(Toxic)
    assert set(TOXIC_S) == set(Toxic) - {Toxic.NONE}
    assert sum(fate.toxic is Toxic.NONE for fate in fates) > 1000
