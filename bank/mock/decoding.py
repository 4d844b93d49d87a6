"""JSON the way a Go server's decoder reads it, because that is what answers on the other side (contract §3).

What follows from that and would surprise elsewhere: bytes after the first value are ignored, unknown fields too;
`null` leaves a field as it was, which is zero at first; field names match in any case; a repeated field is
assigned again; a number for an integer must be written as one (`1.0` and `1e2` are errors); a value of the wrong
type anywhere in a known field is an error for the whole body.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from bank.mock.errors import Undecodable

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
# "-9223372036854775808" has 20 characters; anything longer overflows, and need not be converted to know it.
_INT64_DIGITS: Final = 20
_SPACE: Final = " \t\r\n"

Shape = Mapping[str, type[str] | type[int]]


class _Overflow:
    """A number that no int64 holds."""


def _refuse_constant(name: str) -> Any:
    # NaN and the infinities are Python's extension of JSON, not JSON.
    raise ValueError(f"{name} is not JSON")


# Pairs stay a tuple, so an object is told from an array (a list) and a repeated name is seen.
_decoder: Final = json.JSONDecoder(
    object_pairs_hook=tuple,
    parse_int=lambda digits: int(digits) if len(digits) <= _INT64_DIGITS else _Overflow(),
    parse_constant=_refuse_constant,
)


def decode(body: bytes, shape: Shape) -> dict[str, Any]:
    """The known fields of a body, each of the type that `shape` names; raises `Undecodable` (§3)."""
    text = body.decode("utf-8", errors="replace").lstrip(_SPACE)
    try:
        value, _ = _decoder.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable("the body is not valid JSON") from error
    fields: dict[str, Any] = {name: kind() for name, kind in shape.items()}
    if value is None:
        return fields
    if not isinstance(value, tuple):
        raise Undecodable("the body is not a JSON object")
    for name, item in value:
        known = name if name in shape else name.casefold()
        if known in shape and item is not None:
            fields[known] = _typed(known, item, shape[known])
    return fields


def _typed(name: str, item: Any, kind: type[str] | type[int]) -> Any:
    # `type(...) is`, because True is an int to Python and never one to JSON.
    if type(item) is not kind:
        raise Undecodable(f"{name} has the wrong type")
    if isinstance(item, int) and not INT64_MIN <= item <= INT64_MAX:
        raise Undecodable(f"{name} is out of range")
    return item
