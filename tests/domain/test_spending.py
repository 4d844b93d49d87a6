"""What a card's limits let through, and when they are there again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.answer import CardLimitExceeded, LimitName
from domain.spending import NOTHING_SPENT, Period, Spent, begin_of, end_of, exceeded_limit
from domain.stored_card import CardLimits

CARD = UUID(int=7)
NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
minor = st.integers(1, 10**6)
maybe = st.none() | minor


def test_without_limits_everything_is_let_through() -> None:
    assert exceeded_limit(CARD, CardLimits(), Spent(10**12, 10**12), 10**12, NOW) is None


def test_the_last_cent_of_a_day_can_be_spent_and_not_one_more() -> None:
    limits, spent = CardLimits(per_day=1000), Spent(600, 600)

    assert exceeded_limit(CARD, limits, spent, 400, NOW) is None
    assert exceeded_limit(CARD, limits, spent, 401, NOW) == CardLimitExceeded(
        CARD, LimitName.PER_DAY, 1000, 400, datetime(2026, 11, 22, tzinfo=UTC)
    )


def test_the_limit_of_a_single_payment_never_resets() -> None:
    assert exceeded_limit(CARD, CardLimits(per_transaction=10), NOTHING_SPENT, 11, NOW) == CardLimitExceeded(
        CARD, LimitName.PER_TRANSACTION, 10, 10, None
    )


def test_what_is_left_is_never_less_than_nothing() -> None:
    refusal = exceeded_limit(CARD, CardLimits(per_month=100), Spent(0, 250), 1, NOW)

    assert refusal == CardLimitExceeded(CARD, LimitName.PER_MONTH, 100, 0, datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 28, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_days_and_months_end_at_midnight_utc(now: datetime, day: datetime, month: datetime) -> None:
    assert (end_of(Period.DAY, now), end_of(Period.MONTH, now)) == (day, month)


@given(st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_each_moment_is_within_its_day_and_its_month(now: datetime) -> None:
    for period in Period:
        assert begin_of(period, now) <= now < end_of(period, now)
        assert begin_of(period, end_of(period, now) - timedelta(microseconds=1)) == begin_of(period, now)


@given(st.builds(CardLimits, maybe, maybe, maybe), st.lists(minor, max_size=30))
def test_what_was_let_through_never_adds_up_to_more_than_a_limit(limits: CardLimits, wishes: list[int]) -> None:
    spent = NOTHING_SPENT

    for wish in wishes:
        if exceeded_limit(CARD, limits, spent, wish, NOW) is None:
            spent = spent.and_also(wish)
            assert limits.per_transaction is None or wish <= limits.per_transaction

    assert limits.per_day is None or spent.today <= limits.per_day
    assert limits.per_month is None or spent.this_month <= limits.per_month
