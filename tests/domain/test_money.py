"""Money: whole minor units, and one way to show them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import MAX_MINOR_UNITS, Money

amounts = st.integers(1, MAX_MINOR_UNITS)


@pytest.mark.parametrize(
    ("minor_units", "formatted"),
    [
        (1, "$0.01"),
        (9, "$0.09"),
        (10, "$0.10"),
        (99, "$0.99"),
        (100, "$1.00"),
        (1999, "$19.99"),
        (99_999, "$999.99"),
        (100_000, "$1,000.00"),
        (123_456, "$1,234.56"),
        (100_000_000, "$1,000,000.00"),
        (MAX_MINOR_UNITS, "$92,233,720,368,547,758.07"),
    ],
)
def test_an_amount_is_shown_for_people(minor_units: int, formatted: str) -> None:
    assert Money(minor_units).formatted == formatted


@given(amounts)
def test_what_is_shown_is_exactly_the_amount(minor_units: int) -> None:
    """No float is anywhere near it: every cent of 2^63 is there."""
    formatted = Money(minor_units).formatted

    assert int(formatted.replace("$", "").replace(",", "").replace(".", "")) == minor_units


@pytest.mark.parametrize("minor_units", [-1, MAX_MINOR_UNITS + 1])
def test_money_that_is_negative_or_beyond_64_bits_is_a_bug_of_ours(minor_units: int) -> None:
    with pytest.raises(AssertionError):
        Money(minor_units)


def test_money_in_an_unknown_currency_is_a_bug_of_ours() -> None:
    with pytest.raises(AssertionError):
        Money(1, "EUR")
