"""Further cards, single and in ranges."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank.mock.accounts import further_accounts
from bank.mock.validation import check_digit, is_plausible_card_number


def test_a_range_makes_as_many_plausible_cards() -> None:
    accounts = further_accounts('{"prefix":"400000","count":1000,"cvv":"123","balance":5}')

    numbers = [account.card_number for account in accounts]
    assert len(set(numbers)) == 1000
    assert numbers[0] == "4000000000000002"
    assert all(len(number) == 16 and is_plausible_card_number(number) for number in numbers)
    assert {(a.cvv, a.balance, a.available, a.expiry_month, a.expiry_year) for a in accounts} == {("123", 5, 5, 12, 2035)}


def test_cards_and_ranges_mix() -> None:
    card = {"card_number": "4111111111111111", "cvv": "9", "expiry_month": 2, "expiry_year": 2040, "balance": 1}
    cards = {"prefix": "37", "length": 15, "count": 2, "cvv": "1234", "balance": 2, "expiry_year": 2041}

    accounts = further_accounts(json.dumps([card, cards]))

    assert [(len(a.card_number), a.balance, a.expiry_year) for a in accounts] == [
        (16, 1, 2040),
        (15, 2, 2041),
        (15, 2, 2041),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"prefix":"4","count":0.5,"cvv":"1","balance":1}', "count is not a whole number"),
        ('{"prefix":"4","count":250001,"cvv":"1","balance":1}', "count is too large"),
        ('{"prefix":"40000000000000","count":11,"cvv":"1","balance":1}', "count is too large"),
        ('{"prefix":"4","count":1,"length":20,"cvv":"1","balance":1}', "length is not between 13 and 19"),
        ('{"prefix":"4","count":1,"cvv":"1","balance":-1}', "balance is not a whole number"),
        ('{"prefix":"4","count":1,"cvv":"1","balance":1,"expiry_month":13}', "expiry_month is not between 1 and 12"),
        ('{"card_number":"4111111111111112","cvv":"1","balance":1}', "card_number fails Luhn's check"),
        ('{"card_number":4111,"cvv":"1","balance":1}', "card_number is not a string of digits"),
        ("[5]", "its entry 1 is wrong"),
        ("no-such-file.json", "its file cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_without_card_data(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        further_accounts(text)

    assert "4111" not in str(refusal.value)


@given(stem=st.text("0123456789", min_size=12, max_size=18), place=st.integers(0, 18), shift=st.integers(1, 9))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_luhn_notices_any_single_wrong_digit(stem: str, place: int, shift: int) -> None:
    number = stem + check_digit(stem)
    place %= len(number)
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]

    assert is_plausible_card_number(number)
    assert not is_plausible_card_number(wrong)
