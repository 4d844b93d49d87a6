"""Scalars: which values they take, as literals and as variables, and how they answer."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from graphql import (
    GraphQLError,
    GraphQLScalarType,
    parse_const_value,
)
from hypothesis import given
from hypothesis import strategies as st

from app.graphql import build_schema
from tests.domain.examples import moments

TYPES = build_schema()._schema.type_map


def scalar(name: str) -> GraphQLScalarType:
    kind = TYPES[name]
    assert isinstance(kind, GraphQLScalarType)
    return kind


MINOR_UNITS, CURRENCY, TIME = scalar("MinorUnits"), scalar("CurrencyCode"), scalar("DateTime")


def literal(kind: GraphQLScalarType, text: str) -> Any:
    return kind.parse_literal(parse_const_value(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1999", 1999),
        ("0", 0),
        ("-5", -5),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), 2**63),
        ("9" * 40, int("9" * 40)),
        ("1.0", 1.0),
        ("1e2", 100.0),
        ('"1999"', "1999"),
        ('"not a number"', "not a number"),
        ('""', ""),
        ('"""1999"""', "1999"),
    ],
)
def test_minor_units_take_a_number_or_text_as_a_literal(text: str, value: object) -> None:
    """What it means is checked later, with a path and a sentence."""
    taken = literal(MINOR_UNITS, text)

    assert taken == value
    assert type(taken) is type(value)


@pytest.mark.parametrize("text", ["true", "null", "USD", "[1]", "{a: 1}", "9" * 41, '"' + "9" * 41 + '"', "1." + "0" * 40])
def test_minor_units_take_nothing_else_as_a_literal(text: str) -> None:
    with pytest.raises((ValueError, GraphQLError), match="whole number"):
        literal(MINOR_UNITS, text)


@pytest.mark.parametrize("value", [1999, 0, -5, 2**63, 1.0, 1.5, "1999", "x", ""])
def test_minor_units_take_a_number_or_text_as_a_variable(value: object) -> None:
    assert MINOR_UNITS.parse_value(value) == value


@pytest.mark.parametrize("value", [True, False, None, [], [1], {}, {"minorUnits": 1}], ids=repr)
def test_minor_units_take_nothing_else_as_a_variable(value: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        MINOR_UNITS.parse_value(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_minor_units_answer_a_whole_number_of_64_bits(number: int) -> None:
    shown = MINOR_UNITS.serialize(number)

    assert shown == number
    assert type(shown) is int


@pytest.mark.parametrize("text", ["USD", '"USD"'])
def test_a_currency_is_a_bare_word_or_text(text: str) -> None:
    assert literal(CURRENCY, text) == CURRENCY.parse_value("USD") == "USD"


@pytest.mark.parametrize("text", ["1", "true", "null", "[USD]", "{a: USD}", "1.5"])
def test_nothing_else_is_a_currency_literal(text: str) -> None:
    with pytest.raises((ValueError, GraphQLError), match="ISO 4217"):
        literal(CURRENCY, text)


@pytest.mark.parametrize("value", [1, True, None, ["USD"], {}], ids=repr)
def test_nothing_else_is_a_currency_variable(value: object) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        CURRENCY.parse_value(value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00+00:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00.123456Z", datetime(2030, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2030-01-31T14:00:00+02:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T00:00:00-12:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_with_its_offset_is_taken_in_utc(text: str, moment: datetime) -> None:
    taken = TIME.parse_value(text)

    assert taken == moment
    assert taken.tzinfo is UTC
    assert literal(TIME, f'"{text}"') == moment


@pytest.mark.parametrize(
    "value",
    [
        "2030-01-31T12:00:00",
        "2030-01-31",
        "12:00:00Z",
        "2030-02-30T12:00:00Z",
        "2030-01-31T25:00:00Z",
        "",
        "now",
        "1893456000",
        1893456000,
        1.5,
        True,
        None,
        [],
        {},
        "\ud800",
        "٢٠٣٠-٠١-٣١T١٢:٠٠:٠٠Z",
    ],
    ids=repr,
)
def test_nothing_else_is_a_time(value: object) -> None:
    with pytest.raises(ValueError, match="expect a time with its offset"):
        TIME.parse_value(value)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_utc_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="between the years 1 and 9999"):
        TIME.parse_value(text)


@given(moments, st.integers(-23, 23))
def test_a_time_is_answered_in_utc_to_the_microsecond_and_taken_back(moment: datetime, hours: int) -> None:
    shown = TIME.serialize(moment.astimezone(timezone(timedelta(hours=hours))))

    assert shown.endswith("Z")
    assert TIME.parse_value(shown) == moment


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.text()))
def test_no_value_is_refused_but_with_a_sentence(value: Any) -> None:
    for kind in (MINOR_UNITS, CURRENCY, TIME):
        said = ""
        try:
            kind.parse_value(value)
        except ValueError as error:
            said = str(error)
        assert said == "" or said.startswith("expect ")
