"""Scalars. They take a value's shape; what it means is checked in `domain.request`, which answers with a path and a sentence."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NewType, cast

import strawberry
from graphql import (
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    value_from_ast_untyped,
)
from strawberry.types.scalar import ScalarDefinition

MinorUnits = NewType("MinorUnits", int)
CurrencyCode = NewType("CurrencyCode", str)
Count = NewType("Count", int)
Metadata = NewType("Metadata", Mapping[str, Any])

MAX_NUMBER_LENGTH = 40  # characters of a number in a document; 2^63 has 19
TEXTS_BY_NAME = 'expect an object of texts, such as { tier: "gold" }'
INTEGER_OR_TEXT = "expect a whole number in the currency's minor unit, such as 1999 for $19.99"


def _minor_units(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(INTEGER_OR_TEXT)
    return value


def _minor_units_literal(node: ValueNode, _variables: object = None) -> object:
    if not isinstance(node, IntValueNode | FloatValueNode | StringValueNode) or len(node.value) > MAX_NUMBER_LENGTH:
        raise ValueError(INTEGER_OR_TEXT)
    if isinstance(node, IntValueNode):
        return int(node.value)
    return float(node.value) if isinstance(node, FloatValueNode) else node.value


def _currency(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expect an ISO 4217 code, such as USD")
    return value


def _currency_literal(node: ValueNode, _variables: object = None) -> str:
    if not isinstance(node, EnumValueNode | StringValueNode):
        raise ValueError("expect an ISO 4217 code, such as USD")
    return node.value


def _metadata(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(TEXTS_BY_NAME)
    return value


def _metadata_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Mapping[str, Any]:
    if not isinstance(node, ObjectValueNode):
        raise ValueError(TEXTS_BY_NAME)
    return _metadata(value_from_ast_untyped(node, variables))


def _time(value: object) -> datetime:
    try:
        time = datetime.fromisoformat(cast(str, value))
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("expect a time with its offset, such as 2030-01-31T12:00:00Z")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("expect a time between the years 1 and 9999") from None


def _show_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(value: object) -> date:
    try:
        return date.fromisoformat(cast(str, value))
    except (TypeError, ValueError):
        raise ValueError("expect a day, such as 2030-01-31") from None


SCALARS: dict[object, ScalarDefinition] = {
    MinorUnits: strawberry.scalar(
        name="MinorUnits",
        description=(
            "An amount as a whole number in the minor unit of its currency: 1999 is $19.99. 64 bits, so never Int and "
            "never a float; as input, decimal text is taken too, because JavaScript's numbers end at 2^53."
        ),
        serialize=int,
        parse_value=_minor_units,
        parse_literal=_minor_units_literal,
    ),
    CurrencyCode: strawberry.scalar(
        name="CurrencyCode",
        description="An ISO 4217 currency code. Today only USD can be charged.",
        serialize=str,
        parse_value=_currency,
        parse_literal=_currency_literal,
    ),
    Count: strawberry.scalar(
        name="Count",
        description="How many of something: a whole number up to 2^53, where JavaScript's end. Only in answers.",
        serialize=int,
    ),
    Metadata: strawberry.scalar(
        name="Metadata",
        description=(
            'Texts by their names, as an object: `{ tier: "gold" }`. At most 50, their names of at most 40 characters and they '
            "themselves of at most 500."
        ),
        serialize=dict,
        parse_value=_metadata,
        parse_literal=_metadata_literal,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day: ISO 8601, such as 2030-01-31.",
        serialize=date.isoformat,
        parse_value=_day,
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in time: RFC 3339, answered in UTC with a Z, to the microsecond.",
        serialize=_show_time,
        parse_value=_time,
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    ),
}
