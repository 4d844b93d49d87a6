"""Payments in virtual time while everything fails: bank, database, processes, clocks. `python3 dev.py simulate` plays more of them."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from domain.failpoint import Failpoint
from domain.payment import PaymentState
from tests.databases import DatabaseUrls
from tests.simulation.bank_line import TROUBLES
from tests.simulation.bugs import BUGS, LUCK_FOR
from tests.simulation.plan import DAY_S, Event, make_plan
from tests.simulation.play import Played, play
from tests.simulation.scene import Scene, scene, virtual_runner
from tests.simulation.simulation import PER_STRETCH, Simulated, simulate
from tests.simulation.stage import DIE, STILL
from tests.simulation.staged_parts import AWAY, BROKEN

T = TypeVar("T")
Figure = Callable[[str, object], None]
SEEDS = range(1, 9)
STRETCHES = 25  # 2,500 operations of each seed: 20,000 in all
ENOUGH_FOR_A_BUG = 50  # stretches; the rarest of the planted ones needs two processes to be unlucky one after the other


def on_scene(urls: DatabaseUrls, work: Callable[[Scene], Awaitable[T]]) -> T:
    async def there() -> T:
        async with scene(urls) as here:
            return await work(here)

    with virtual_runner() as runner:
        return runner.run(there())


@pytest.mark.timeout(600)  # half a minute on a quiet machine
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_fails_no_payment_is_lost_doubled_or_left_open(
    database_urls: DatabaseUrls, seed: int, record_property: Figure
) -> None:
    started = time.monotonic()

    done = on_scene(database_urls, lambda here: simulate(here, str(seed), range(STRETCHES)))

    assert not done.failure, done.failure
    blows = sum(count for name, count in done.seen.items() if name.startswith("blow "))
    rate = done.operations / (time.monotonic() - started)
    record_property("figure", f"seed {seed}: {done.operations:,} operations, {blows:,} blows, {rate:.0f} operations/s")
    assert done.operations == STRETCHES * PER_STRETCH
    assert not {f"blow {luck}" for luck in (*TROUBLES, AWAY, BROKEN, DIE, STILL)} - set(done.seen), "all that can go wrong does"
    assert not {f"state {state}" for state in PaymentState} - {"state PENDING"} - set(done.seen), "every state is reached"
    assert {"flag POSSIBLE_ORPHAN_HOLD", "flag CAPTURE_REFERENCE_UNKNOWN", "flag VOID_REFERENCE_UNKNOWN"} <= set(done.seen)


NOT_PLAYED = {  # operators' ones, and those of what is no payment: real processes die there, in tests/crash
    Failpoint.SETTLEMENT_WRITTEN,
    Failpoint.SEALS_REPLACED,
    Failpoint.DATA_KEYS_REWRAPPED,
    Failpoint.WEBHOOKS_LEASED,
    Failpoint.WEBHOOK_SENT,
    Failpoint.WEBHOOKS_RECORDED,
    Failpoint.CARD_ISSUE_COMMITTED,
    Failpoint.CARD_ISSUED,
    Failpoint.CARD_ISSUE_WRITTEN,
}


def test_every_failpoint_is_passed_when_time_passes_and_books_are_compared(database_urls: DatabaseUrls) -> None:
    plan = make_plan("all failpoints", PER_STRETCH)
    events = (Event(10, "days pass", 7.5 * DAY_S), Event(25, "weeks pass", 36 * DAY_S))

    played = on_scene(database_urls, lambda here: play(here, replace(plan, events=events, reconciles=True)))

    assert not played.wrong, played.wrong
    assert not {f"failpoint {failpoint}" for failpoint in set(Failpoint) - NOT_PLAYED} - set(played.seen)


def test_the_same_plan_is_played_in_the_same_way_again(database_urls: DatabaseUrls) -> None:
    """Otherwise a seed would be worth nothing."""
    plan = make_plan("again", PER_STRETCH)

    async def three_times(here: Scene) -> list[Played]:
        first = await play(here, plan)
        return [first, await play(here, plan), await play(here, plan, allowed=frozenset(first.blows))]

    first, second, with_its_own_blows = on_scene(database_urls, three_times)

    assert first.blows
    assert first.history == second.history == with_its_own_blows.history


def test_a_calm_world_leaves_nothing_to_review(database_urls: DatabaseUrls) -> None:
    plan = replace(make_plan("calm", PER_STRETCH), events=(), harshness=0.0)

    played = on_scene(database_urls, lambda here: play(here, plan))

    assert not played.wrong, played.wrong
    assert not played.blows
    assert not [name for name in played.seen if name.startswith("flag ")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_told_in_a_short_history(
    database_urls: DatabaseUrls, bug: str, monkeypatch: pytest.MonkeyPatch, record_property: Figure
) -> None:
    BUGS[bug](monkeypatch)

    async def until_it_fails(here: Scene) -> Simulated:
        return await simulate(here, "planted", range(ENOUGH_FOR_A_BUG), favoured=LUCK_FOR.get(bug))

    done = on_scene(database_urls, until_it_fails)

    record_property("figure", f"planted {bug}: found after {done.operations:,} operations")
    assert done.failure, f"not found in {done.operations} operations"
    assert "see it again: python3 dev.py simulate --seed planted --stretch" in done.failure
    history = done.failure.partition("a minimal history")[2].splitlines()
    assert len(history) < 60, "\n".join(history)
