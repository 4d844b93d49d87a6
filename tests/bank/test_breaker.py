"""The breaker opens for a bank that is away and for no other, lets one probe through, and is compared with a naive model of itself."""

import math
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bank.answer import Done, Kept, NotKept, Refused, Unclarity, Unclear
from bank.breaker import (
    MIN_CALLS,
    OPENS_AT,
    PAUSE_BASE_S,
    PAUSE_CAP_S,
    PROBE_S,
    WINDOW_S,
    Breaker,
    BreakerState,
    is_failure,
)
from bank.transport import TOTAL_TIMEOUT_S

START = datetime(2026, 6, 1, 12, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def opened(at_s=0.0, random=1.0):
    """A breaker that has just opened; with `random` 1 its pauses are as long as they get."""
    breaker = Breaker(lambda: random)
    for _ in range(MIN_CALLS):
        breaker.record(at(at_s), ok=False)
    assert breaker.state(at(at_s)) is BreakerState.OPEN
    return breaker


def test_a_bank_that_is_away_opens_it_after_twenty_calls_and_not_before():
    breaker = Breaker(lambda: 0.0)

    states = []
    for _ in range(MIN_CALLS):
        breaker.record(START, ok=False)
        states.append(breaker.state(START))

    assert states == [BreakerState.CLOSED] * (MIN_CALLS - 1) + [BreakerState.OPEN]
    assert not breaker.admits(START)


def test_failures_that_are_far_apart_don_t_open_it():
    breaker = Breaker(lambda: 0.0)

    for number in range(1000):
        breaker.record(at(number), ok=False)  # a failure a second: ten in ten seconds

    assert breaker.admits(at(1000))


def test_a_good_answer_never_opens_it():
    breaker = Breaker(lambda: 0.0)
    for _ in range(MIN_CALLS - 1):
        breaker.record(START, ok=False)

    breaker.record(START, ok=True)

    assert breaker.state(START) is BreakerState.CLOSED


@pytest.mark.parametrize(("later_s", "state"), [(WINDOW_S - 1, BreakerState.OPEN), (WINDOW_S, BreakerState.CLOSED)])
def test_it_looks_back_ten_seconds(later_s, state):
    breaker = Breaker(lambda: 0.0)
    for _ in range(MIN_CALLS - 1):
        breaker.record(START, ok=False)

    breaker.record(at(later_s), ok=False)

    assert breaker.state(at(later_s)) is state


@pytest.mark.parametrize("per_second", [3, 20, 300])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_bank_that_fails_at_random_stays_asked(share, per_second):
    chance = Random(7)
    breaker = Breaker(chance.random)

    for number in range(600 * per_second // 10):
        now = at(number / per_second)
        assert breaker.admits(now)
        breaker.record(now, ok=chance.random() >= share)


def test_after_the_pause_one_probe_is_let_through_and_no_second_one():
    breaker = opened()

    assert [breaker.admits(at(PAUSE_BASE_S + wait_s)) for wait_s in (-0.001, 0, 0.001, 1, PROBE_S - 0.001)] == [
        False,
        True,
        False,
        False,
        False,
    ]


def test_a_probe_that_never_reports_is_replaced():
    breaker = opened()
    breaker.admits(at(PAUSE_BASE_S))

    assert breaker.admits(at(PAUSE_BASE_S + PROBE_S))
    assert not breaker.admits(at(PAUSE_BASE_S + PROBE_S))
    assert PROBE_S > TOTAL_TIMEOUT_S


def test_one_good_answer_of_the_probe_closes_it_and_old_failures_are_forgotten():
    breaker = opened()
    breaker.admits(at(PAUSE_BASE_S))

    breaker.record(at(PAUSE_BASE_S + 1), ok=True)
    for _ in range(MIN_CALLS - 1):
        breaker.record(at(PAUSE_BASE_S + 1), ok=False)

    assert breaker.state(at(PAUSE_BASE_S + 1)) is BreakerState.CLOSED
    assert breaker.reopens_in_s(at(PAUSE_BASE_S + 1)) == 0.0


def test_pauses_double_to_a_cap_and_begin_anew_once_it_was_closed():
    breaker, now, pauses = opened(), START, []
    for _ in range(6):
        pauses.append(breaker.reopens_in_s(now))
        now += timedelta(seconds=pauses[-1])
        assert breaker.admits(now)
        breaker.record(now, ok=False)

    assert pauses == [2, 4, 8, 15, 15, 15]
    assert max(pauses) == PAUSE_CAP_S


def test_processes_don_t_probe_together():
    pauses = {opened(random=random).reopens_in_s(START) for random in (0.0, 0.25, 0.999)}

    assert len(pauses) == 3
    assert all(PAUSE_BASE_S / 2 <= pause <= PAUSE_BASE_S for pause in pauses)


def test_two_minutes_after_the_bank_is_back_nothing_is_open():
    """The worst case: the longest pause has just begun, and its probe is lost."""
    assert PAUSE_CAP_S + PROBE_S + TOTAL_TIMEOUT_S < 120


def test_calls_that_began_before_it_opened_change_nothing():
    breaker = opened()

    breaker.record(at(1), ok=True)
    breaker.record(at(1), ok=False)
    late = breaker.reopens_in_s(at(1))
    breaker.record(at(PAUSE_BASE_S + 1), ok=True)  # the pause is over, and nobody was let through yet

    assert late == PAUSE_BASE_S - 1
    assert breaker.state(at(PAUSE_BASE_S + 1)) is BreakerState.HALF_OPEN


def test_a_clock_that_is_set_back_does_not_hold_it_open():
    breaker = opened(at_s=3600)

    assert breaker.admits(at(0))
    breaker.record(at(0), ok=True)
    assert breaker.state(at(0)) is BreakerState.CLOSED


def test_a_clock_that_is_set_back_does_not_keep_old_failures():
    breaker = Breaker(lambda: 0.0)
    for _ in range(MIN_CALLS - 1):
        breaker.record(at(3600), ok=False)

    breaker.record(at(0), ok=False)

    assert breaker.state(at(0)) is BreakerState.CLOSED


def test_every_answer_is_for_the_bank_or_against_it():
    against = {
        Unclarity.NOT_SENT: True,
        Unclarity.NO_ANSWER: True,
        Unclarity.BANK_ERROR: True,
        Unclarity.UNINTELLIGIBLE: False,  # it is there, and asking less does not help
    }

    assert {why: is_failure(Unclear(why, "", may_have_acted=True)) for why in Unclarity} == against
    assert not is_failure(Done("auth_1", replayed=False))
    assert not is_failure(Refused("insufficient_funds", ""))
    assert not is_failure(Kept("auth_1"))
    assert not is_failure(NotKept())


class AgainstAModel(RuleBasedStateMachine):
    """The model keeps every report there ever was, and counts them anew each time."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0
        self.random = 0.0
        self.breaker = Breaker(lambda: self.random)
        self.reports = []  # since it was closed last
        self.pauses = []  # since it was closed last: (from, until)
        self.probes = []  # of the last pause: when each was let through

    @initialize(quarters=st.integers(0, 40))
    def begin(self, quarters):
        self.now_s = quarters / 4

    def expected_state(self):
        if not self.pauses:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.now_s < self.pauses[-1][1] else BreakerState.HALF_OPEN

    def opens(self):
        ceiling_s = min(2 ** (len(self.pauses) + 1), 15)
        pause = timedelta(seconds=ceiling_s * (0.5 + self.random / 2))
        self.pauses.append((self.now_s, self.now_s + pause.total_seconds()))
        self.reports, self.probes = [], []

    @rule(wait_s=st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.5, 7.5, 15.0, 40.0]))
    def time_passes(self, wait_s):
        self.now_s += wait_s

    @rule(random=st.sampled_from([0.0, 0.25, 0.5, 0.75]))
    def chance_changes(self, random):
        self.random = random

    @rule()
    def somebody_asks(self):
        state = self.expected_state()
        free = all(self.now_s - probe >= PROBE_S for probe in self.probes)
        admitted = self.breaker.admits(at(self.now_s))

        assert admitted is (state is BreakerState.CLOSED or (state is BreakerState.HALF_OPEN and free))
        if admitted and state is BreakerState.HALF_OPEN:
            self.probes.append(self.now_s)

    @rule(ok=st.booleans(), times=st.sampled_from([1, 5, 18, 25]))
    def calls_end(self, ok, times):
        for _ in range(times):
            self.a_call_ends(ok)

    def a_call_ends(self, ok):
        state = self.expected_state()
        self.breaker.record(at(self.now_s), ok)
        if state is BreakerState.CLOSED:
            self.reports.append((self.now_s, ok))
            first_second = math.floor(self.now_s) - WINDOW_S + 1
            recent = [each for seconds, each in self.reports if math.floor(seconds) >= first_second]
            if not ok and len(recent) >= MIN_CALLS and recent.count(False) / len(recent) >= OPENS_AT:
                self.opens()
        elif state is BreakerState.HALF_OPEN and self.probes:
            if ok:
                self.pauses, self.probes = [], []
            else:
                self.opens()

    @invariant()
    def it_is_where_the_model_is(self):
        assert self.breaker.state(at(self.now_s)) is self.expected_state()

    @invariant()
    def whoever_waits_as_long_as_it_says_is_let_through_and_nobody_waits_for_ever(self):
        wait_s = self.breaker.reopens_in_s(at(self.now_s))
        assert 0 <= wait_s <= max(PAUSE_CAP_S, PROBE_S)
        assert (wait_s == 0) is (not self.pauses or (self.expected_state() is BreakerState.HALF_OPEN and self.is_free()))

    def is_free(self):
        return all(self.now_s - probe >= PROBE_S for probe in self.probes)


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
