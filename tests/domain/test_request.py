"""What partners send, checked: each bad value has its path, all problems come at once, and no message repeats what was sent."""

import math
import unicodedata
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.answer import InvalidInput
from domain.card import CardDetails
from domain.ids import IdKind, encode_id
from domain.money import MAX_MINOR_UNITS, Money
from domain.request import AuthorizeRequest, OperateRequest, as_integer, parse_authorize, parse_operate
from tests.domain.examples import NOW, card_numbers, raw

PATHS = {
    "idempotency_key": ("input", "idempotencyKey"),
    "order_id": ("input", "orderId"),
    "customer_id": ("input", "customerId"),
    "minor_units": ("input", "amount", "minorUnits"),
    "currency": ("input", "amount", "currency"),
    "number": ("input", "source", "card", "number"),
    "cvv": ("input", "source", "card", "cvv"),
    "expiry_month": ("input", "source", "card", "expiryMonth"),
    "expiry_year": ("input", "source", "card", "expiryYear"),
}
NAMES = ("idempotency_key", "order_id", "customer_id")
BAD_NAMES = {
    "empty": "",
    "256 characters": "x" * 256,
    "256 characters beyond the BMP": "\N{PILE OF POO}" * 256,
    "a line feed": "order\n1",
    "a tab": "order\t1",
    "a NUL": "order\x00",
    "DEL": "order\x7f",
    "a control character of C1": "order\x85",
    "a lone surrogate": "order\ud800",
    "a zero-width space": "order\u200b",
    "a right-to-left override": "\u202eorder",
    "a no-break space": "order\xa01",
    "a line separator": "order\u2028",
    "a byte order mark": "\ufeff",
    "a private character": "\ue000",
    "an unassigned character": "\U000e0fff",
    "a blank": " ",
    "blanks": "   ",
}
GOOD_NAMES = [
    "x",
    "order-1",
    "x" * 255,
    "\N{PILE OF POO}" * 255,
    "Bestellung Nr. 7",
    "注文",
    " x ",
    "'; drop table payments; --",
    "<b>",
]


def problems_of(**changes: Any) -> dict[tuple[str, ...], str]:
    """Path and message of everything that is wrong."""
    parsed = parse_authorize(raw(**changes), NOW)
    return {problem.path: problem.message for problem in parsed.problems} if isinstance(parsed, InvalidInput) else {}


def test_a_good_wish_is_taken_as_it_is() -> None:
    parsed = parse_authorize(raw(), NOW)

    card = CardDetails("4111111111111111", "123", 12, 2030)
    assert parsed == AuthorizeRequest("key-1", "order-1", "customer-1", Money(1999), card)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_bad_name_is_refused_with_its_path(name: str, text: str) -> None:
    assert list(problems_of(**{name: text})) == [PATHS[name]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", GOOD_NAMES)
def test_a_good_name_is_taken(name: str, text: str) -> None:
    parsed = parse_authorize(raw(**{name: text}), NOW)

    assert isinstance(parsed, AuthorizeRequest)
    assert getattr(parsed, name) == text


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(min_size=1, max_size=255))
@example(text="e\u0301")
@example(text="\u2126")  # an ohm, whose normal form is an omega
def test_the_two_spellings_of_one_name_are_one_name(name: str, text: str) -> None:
    composed = parse_authorize(raw(**{name: unicodedata.normalize("NFC", text)}), NOW)
    decomposed = parse_authorize(raw(**{name: unicodedata.normalize("NFD", text)}), NOW)

    assert composed == decomposed


def test_a_names_length_is_counted_in_its_normal_form() -> None:
    """255 characters with an accent each are 510 when they come decomposed."""
    assert problems_of(order_id="e\u0301" * 255) == {}
    assert list(problems_of(order_id="e\u0301" * 256)) == [PATHS["order_id"]]


@pytest.mark.parametrize(
    ("given_as", "meaning"),
    [
        (1, 1),
        ("1", 1),
        (1.0, 1),
        (100.0, 100),
        ("007", 7),
        ("-0", 0),
        (-0.0, 0),
        (-5, -5),
        ("-5", -5),
        (0, 0),
        (2**53, 2**53),
        (2**63 - 1, 2**63 - 1),
        (2**63, 2**63),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), 2**63),
        (str(-(2**63)), -(2**63)),
        (10**100, 10**100),
        (2.0**53 - 1, 2**53 - 1),
        (-(2.0**53) + 1, -(2**53) + 1),
        (2.0**63, 2**63),
        (1e300, int(1e300)),
    ],
    ids=repr,
)
def test_a_whole_number_is_taken_as_one(given_as: object, meaning: int) -> None:
    assert as_integer(given_as) == meaning


@pytest.mark.parametrize(
    "given_as",
    [
        *(
            True,
            False,
            None,
            1.5,
            "1.5",
            "1.0",
            "",
            "-",
            "--1",
            "+1",
            " 1",
            "1 ",
            "1\n",
            "1e3",
            "1E3",
            "0x10",
            "1_000",
            "1,000",
            "$1",
        ),
        *("١", "１", "²", "½", "Infinity", "NaN", "one", "\ud800", "0" * 21, "1" + "0" * 20, "-1" + "0" * 19),
        *(math.inf, -math.inf, math.nan, 2.0**53, -(2.0**53), 2.0**62, 1e17, 0.1, [], [1], {}, {"minorUnits": 1}, b"1", 1j),
    ],
    ids=repr,
)
def test_anything_else_is_none(given_as: object) -> None:
    """A float between 2^53 and 2^63 may not be the number that was meant."""
    assert as_integer(given_as) is None


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_64_bit_number_means_the_same_as_number_and_as_text(number: int) -> None:
    assert as_integer(number) == as_integer(str(number)) == number


@given(st.floats() | st.text() | st.booleans() | st.none() | st.integers())
def test_no_value_is_ever_rounded(value: object) -> None:
    number = as_integer(value)

    assert number is None or number == (int(value) if isinstance(value, str) else value)


@pytest.mark.parametrize("minor_units", [1, "1", 1.0, 1999, MAX_MINOR_UNITS, str(MAX_MINOR_UNITS)])
def test_an_amount_from_one_cent_to_64_bits_is_taken(minor_units: object) -> None:
    parsed = parse_authorize(raw(minor_units=minor_units), NOW)

    assert isinstance(parsed, AuthorizeRequest)
    assert parsed.amount == Money(int(str(minor_units).removesuffix(".0")))


@pytest.mark.parametrize(
    ("minor_units", "reason"),
    [
        *((bad, "not a whole number") for bad in ("1.5", 1.5, True, None, "x", " 1", "1e3", 2.0**53, math.nan, math.inf)),
        *((bad, "not positive") for bad in (0, -1, "0", "-0", "-1", -(2**70))),
        *((bad, "largest amount") for bad in (2**63, str(2**63), 2.0**63, 10**50)),
    ],
    ids=str,
)
def test_a_bad_amount_is_refused_with_its_path_and_a_reason(minor_units: object, reason: str) -> None:
    problems = problems_of(minor_units=minor_units)

    assert list(problems) == [PATHS["minor_units"]]
    assert reason in problems[PATHS["minor_units"]]


@pytest.mark.parametrize("currency", ["", "EUR", "usd", "USD ", "US", "USDT", "\N{DOLLAR SIGN}", "\ud800"])
def test_another_currency_is_refused(currency: str) -> None:
    assert list(problems_of(currency=currency)) == [PATHS["currency"]]


@pytest.mark.parametrize(
    "number", ["", "4111111111111112", "4" * 12, "4" * 20, "4111 1111", "not a number", "\ud800" * 16, "٤" * 16]
)
def test_a_bad_card_number_is_refused(number: str) -> None:
    assert list(problems_of(number=number)) == [PATHS["number"]]


@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "4111-1111-1111-1111", " 4111111111111111 "])
def test_a_card_number_is_taken_as_people_type_it(number: str) -> None:
    parsed = parse_authorize(raw(number=number), NOW)

    assert isinstance(parsed, AuthorizeRequest)
    assert parsed.card.number == "4111111111111111"


@pytest.mark.parametrize("cvv", ["", "1", "12345", "abc", " 123", "12٣"])
def test_a_bad_cvv_is_refused(cvv: str) -> None:
    assert list(problems_of(cvv=cvv)) == [PATHS["cvv"]]


@pytest.mark.parametrize(
    ("month", "year", "where"),
    [
        (0, 2030, "expiry_month"),
        (13, 2030, "expiry_month"),
        (-1, 2030, "expiry_month"),
        (2**31 - 1, 2030, "expiry_month"),
        (0, 1, "expiry_month"),
        (12, 0, "expiry_year"),
        (12, 30, "expiry_year"),
        (12, 1999, "expiry_year"),
        (12, 2077, "expiry_year"),
        (12, 20300, "expiry_year"),
        (12, -(2**31), "expiry_year"),
        (2, 2026, "expiry_month"),
        (12, 2025, "expiry_year"),
        (1, 2000, "expiry_year"),
    ],
)
def test_a_bad_expiry_is_refused_where_it_is_wrong(month: int, year: int, where: str) -> None:
    assert list(problems_of(expiry_month=month, expiry_year=year)) == [PATHS[where]]


@pytest.mark.parametrize(("month", "year"), [(3, 2026), (12, 2026), (1, 2027), (12, 2076)])
def test_an_expiry_from_this_month_on_is_taken(month: int, year: int) -> None:
    assert problems_of(expiry_month=month, expiry_year=year) == {}


def test_the_month_ends_in_utc() -> None:
    last_moment = datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    wish = raw(expiry_month=3, expiry_year=2026)

    assert isinstance(parse_authorize(wish, last_moment), AuthorizeRequest)
    assert isinstance(parse_authorize(wish, datetime(2026, 4, 1, tzinfo=UTC)), InvalidInput)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    problems = problems_of(
        idempotency_key="",
        order_id="\n",
        customer_id="x" * 256,
        minor_units=0,
        currency="EUR",
        number="1",
        cvv="1",
        expiry_month=13,
    )

    assert list(problems) == [path for name, path in PATHS.items() if name != "expiry_year"]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(NAMES, st.text() | st.sampled_from([*BAD_NAMES.values()])),
            "minor_units": st.integers() | st.floats() | st.text() | st.booleans() | st.none(),
            "currency": st.text(),
            "number": st.text() | card_numbers,
            "cvv": st.text(),
            "expiry_month": st.integers(-(2**31), 2**31 - 1),
            "expiry_year": st.integers(-(2**31), 2**31 - 1),
        },
    )
)
def test_a_request_comes_out_or_problems_with_paths_of_the_input(changes: dict[str, Any]) -> None:
    """Whatever is sent; nothing raises."""
    parsed = parse_authorize(raw(**changes), NOW)

    if isinstance(parsed, InvalidInput):
        wrong = [problem.path for problem in parsed.problems]
        assert wrong
        assert len(set(wrong)) == len(wrong)
        assert set(wrong) <= set(PATHS.values())


SECRET = "5105105105105100"
PLANTED = [
    *({name: SECRET + text} for name in NAMES for text in ("\n", "\x00", "x" * 255)),
    {"minor_units": SECRET + ".5"},
    {"minor_units": -int(SECRET)},
    {"minor_units": int(SECRET) * 10**9},
    {"currency": SECRET},
    {"number": SECRET + "1"},
    {"number": SECRET[:-1] + "7"},
    {"cvv": SECRET},
    {"cvv": "98765"},
    {"expiry_month": 98765, "expiry_year": 2030},
    {"expiry_year": 98765},
]


@pytest.mark.parametrize("changes", PLANTED, ids=lambda changes: next(iter(changes)))
def test_no_message_repeats_what_was_sent(changes: dict[str, Any]) -> None:
    """It may be a card number in the wrong place."""
    parsed = parse_authorize(raw(**changes), NOW)

    assert isinstance(parsed, InvalidInput)
    said = " ".join(problem.message for problem in parsed.problems)
    assert SECRET not in said
    assert "98765" not in said


@given(st.sampled_from((*NAMES, "currency", "number", "cvv")), st.text(min_size=5))
def test_no_message_repeats_a_text_that_was_sent(name: str, text: str) -> None:
    said = " ".join(problems_of(**{name: text}).values())
    assume(text not in "It is empty; give 1 to 255 printable characters. Only USD can be charged. It is not a card number:")

    assert text not in said


def test_an_operation_names_a_payment() -> None:
    payment_id = UUID(int=5)

    parsed = parse_operate("key-1", encode_id(IdKind.PAYMENT, payment_id))

    assert parsed == OperateRequest("key-1", payment_id)


@pytest.mark.parametrize("text", ["", "5", str(UUID(int=5)), encode_id(IdKind.API_KEY, UUID(int=5)), "\ud800", "pay_"])
def test_an_id_that_no_payment_can_have_names_none(text: str) -> None:
    """It is answered like an unknown one: not found."""
    assert parse_operate("key-1", text) == OperateRequest("key-1", None)


@pytest.mark.parametrize("text", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_an_operations_bad_key_is_refused_with_its_path(text: str) -> None:
    parsed = parse_operate(text, encode_id(IdKind.PAYMENT, UUID(int=5)))

    assert isinstance(parsed, InvalidInput)
    assert [problem.path for problem in parsed.problems] == [("input", "idempotencyKey")]


def test_the_two_spellings_of_an_operations_key_are_one_key() -> None:
    assert parse_operate("caf\u00e9", "") == parse_operate("cafe\u0301", "")
