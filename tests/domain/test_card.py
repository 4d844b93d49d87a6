"""Cards: what is one, whose it is, and how little of it is ever shown."""

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.card import (
    CardBrand,
    CardDetails,
    CardSummary,
    brand_of,
    has_expired,
    holds_card_number,
    is_card_number,
    is_cvv,
    normalise_number,
)
from tests.domain.examples import card_numbers, raw, request, with_check_digit


@pytest.mark.parametrize(
    "digits",
    [
        "4111111111111111",
        "4242424242424242",
        "5555555555554444",
        "5105105105105100",
        "378282246310005",
        "6011111111111117",
        "4222222222222",  # 13 digits
        "6304000000000000000",  # 19 digits
        "0000000000000",
    ],
)
def test_well_known_numbers_are_card_numbers(digits: str) -> None:
    assert is_card_number(digits)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4111111111111112",
        "411111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "411111111111111a",
        "٤١١١١١١١١١١١١١١١",  # digits, but Arabic ones
        "４１１１１１１１１１１１１１１１",  # full-width
        "4¹11111111111111",
        "+411111111111111",
        "4111111111111111\n",
        "0" * 12,
        "0" * 20,
    ],
)
def test_everything_else_is_not(text: str) -> None:
    assert not is_card_number(text)


@given(card_numbers)
def test_any_13_to_19_digits_with_their_check_digit_are_a_card_number(number: str) -> None:
    assert is_card_number(number)


@given(card_numbers, st.integers(0, 18), st.sampled_from("0123456789"))
def test_a_single_wrong_digit_is_noticed(number: str, place: int, digit: str) -> None:
    assume(place < len(number) and number[place] != digit)

    assert not is_card_number(number[:place] + digit + number[place + 1 :])


@given(card_numbers, st.integers(0, 17))
def test_two_neighbours_that_changed_places_are_noticed_but_for_09_and_90(number: str, place: int) -> None:
    assume(place + 1 < len(number) and number[place] != number[place + 1])
    assume({number[place], number[place + 1]} != {"0", "9"})  # Luhn's known blind spot

    assert not is_card_number(number[:place] + number[place + 1] + number[place] + number[place + 2 :])


@given(card_numbers, st.data())
def test_spaces_and_dashes_that_people_type_are_taken_out(number: str, data: st.DataObject) -> None:
    typed = "".join(character + data.draw(st.sampled_from(["", " ", "-"])) for character in number)

    assert normalise_number(typed) == number


@pytest.mark.parametrize(("text", "good"), [("123", True), ("1234", True), ("000", True)])
def test_three_or_four_digits_are_a_cvv(text: str, good: bool) -> None:
    assert is_cvv(text) is good


@pytest.mark.parametrize("text", ["", "12", "12345", "12a", "١٢٣", "１２３", "12³", " 123", "123\n", "-12", "1.2"])
def test_anything_else_is_no_cvv(text: str) -> None:
    assert not is_cvv(text)


@pytest.mark.parametrize(
    ("month", "year", "expired"),
    [(3, 2026, False), (2, 2026, True), (4, 2026, False), (12, 2025, True), (1, 2027, False), (3, 2025, True), (2, 2027, False)],
)
def test_a_card_is_good_to_the_end_of_its_month(month: int, year: int, expired: bool) -> None:
    for now in (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)):
        assert has_expired(month, year, now) is expired


@pytest.mark.parametrize(
    ("digits", "brand"),
    [
        ("4", CardBrand.VISA),
        ("50", CardBrand.OTHER),
        ("51", CardBrand.MASTERCARD),
        ("55", CardBrand.MASTERCARD),
        ("56", CardBrand.OTHER),
        ("2220", CardBrand.OTHER),
        ("2221", CardBrand.MASTERCARD),
        ("2720", CardBrand.MASTERCARD),
        ("2721", CardBrand.OTHER),
        ("33", CardBrand.OTHER),
        ("34", CardBrand.AMERICAN_EXPRESS),
        ("35", CardBrand.OTHER),
        ("36", CardBrand.OTHER),
        ("37", CardBrand.AMERICAN_EXPRESS),
        ("38", CardBrand.OTHER),
        ("6010", CardBrand.OTHER),
        ("6011", CardBrand.DISCOVER),
        ("6012", CardBrand.OTHER),
        ("643", CardBrand.OTHER),
        ("644", CardBrand.DISCOVER),
        ("649", CardBrand.DISCOVER),
        ("65", CardBrand.DISCOVER),
        ("66", CardBrand.OTHER),
        ("0", CardBrand.OTHER),
        ("9", CardBrand.OTHER),
    ],
)
def test_the_first_digits_tell_the_brand(digits: str, brand: CardBrand) -> None:
    assert brand_of(with_check_digit(digits + "0" * (15 - len(digits)))) is brand


@given(card_numbers)
def test_every_card_number_has_a_brand(number: str) -> None:
    assert brand_of(number) in CardBrand


def test_all_that_is_kept_is_the_brand_and_the_last_four_digits() -> None:
    assert CardDetails("4242424242424242", "456", 6, 2030).summary == CardSummary(CardBrand.VISA, "4242")


def test_no_repr_shows_a_card() -> None:
    """A log or a traceback may hold any of these."""
    shown = f"{request()!r} {raw()!r} {request().card!r} {raw().card!r}"

    for secret in ("4111111111111111", "123", "2030", "12"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "card 4111 1111 1111 1111, 12/30",
        "4111-1111-1111-1111",
        "4111 1111 1111 1111 1230",
        "ticket 99 4111111111111111",
        "378282246310005",
        "…5555  5555  5555  4444.",
    ],
)
def test_a_card_number_is_found_in_a_text_however_it_is_grouped(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no digits",
        "ends in 1111, $1,999.00 on 2026-06-01 12:00",
        "4111 1111 1111 1112",
        "cap_0f8fad5b-d9cb-469f-a165-70867728950e",
        "1760000000005",
        "411111111111",
    ],
)
def test_what_people_write_otherwise_is_no_card_number(text: str) -> None:
    assert not holds_card_number(text)


@given(st.text("0123456789", max_size=60))
def test_digits_hold_a_card_number_exactly_when_one_stretch_of_them_is_one(digits: str) -> None:
    stretches = {digits[start:end] for start in range(len(digits)) for end in range(start + 13, start + 20)}

    assert holds_card_number(digits) is any(is_card_number(each) and each[0] in "23456" for each in stretches)


@pytest.mark.parametrize("length", [13, 14, 15, 16, 17, 18, 19])
def test_a_card_number_is_found_at_either_parity_and_in_the_middle_of_other_digits(length: int) -> None:
    body = "4" + "0" * (length - 2)
    number = next(f"{body}{digit}" for digit in "0123456789" if is_card_number(f"{body}{digit}"))

    for before in ("", "1", "11"):
        assert holds_card_number(f"{before}{number}1")
