"""Retries are a share of first tries, and a few more; compared with a model that forgets nothing."""

import math
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bank.retry_budget import FREE_RETRIES_PER_S, RETRIES_PER_FIRST_TRY, WINDOW_S, RetryBudget

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
FREE = FREE_RETRIES_PER_S * WINDOW_S


def at(seconds):
    return START + timedelta(seconds=seconds)


def withdrawn(budget, now, tries=10_000):
    return sum(budget.withdraw(now) for _ in range(tries))


def test_a_quiet_system_can_retry():
    assert withdrawn(RetryBudget(), START) == FREE


def test_two_first_tries_pay_for_one_retry():
    budget = RetryBudget()
    for _ in range(1000):
        budget.deposit(START)

    assert withdrawn(budget, START) == FREE + 500


def test_what_is_ten_seconds_old_is_forgotten_on_both_sides():
    budget = RetryBudget()
    for _ in range(1000):
        budget.deposit(START)
    withdrawn(budget, START)

    assert not budget.withdraw(at(WINDOW_S - 1))
    assert withdrawn(budget, at(WINDOW_S)) == FREE


def test_a_retry_that_was_refused_costs_nothing():
    budget = RetryBudget()
    withdrawn(budget, START)

    budget.deposit(START)
    budget.deposit(START)

    assert withdrawn(budget, START) == 1


def test_a_clock_that_is_set_back_does_not_block_retries():
    budget = RetryBudget()
    withdrawn(budget, at(3600))

    assert budget.withdraw(START)


class AgainstAModel(RuleBasedStateMachine):
    """The model keeps every deposit and every withdrawal there ever was."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0
        self.budget = RetryBudget()
        self.deposits = []
        self.withdrawals = []

    def recent(self, moments):
        first_second = math.floor(self.now_s) - WINDOW_S + 1
        return sum(math.floor(each) >= first_second for each in moments)

    @rule(wait_s=st.sampled_from([0.0, 0.3, 1.0, 4.0, 9.0, 10.0, 60.0]))
    def time_passes(self, wait_s):
        self.now_s += wait_s

    @rule(times=st.sampled_from([1, 7, 100]))
    def first_tries(self, times):
        for _ in range(times):
            self.budget.deposit(at(self.now_s))
            self.deposits.append(self.now_s)

    @rule(times=st.sampled_from([1, 7, 100]))
    def retries(self, times):
        for _ in range(times):
            may = self.recent(self.withdrawals) + 1 <= FREE + RETRIES_PER_FIRST_TRY * self.recent(self.deposits)
            assert self.budget.withdraw(at(self.now_s)) is may
            if may:
                self.withdrawals.append(self.now_s)

    @invariant()
    def its_memory_is_bounded(self):
        assert len(self.budget._window._seconds) <= WINDOW_S


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
