"""What the walk puts in one place, one after the other."""

from dataclasses import dataclass
from typing import Any

from domain.ids import decode_id, encode_id


@dataclass(frozen=True)
class Pair:
    """What to put in the same place, one after the other; the answers must not differ. `refused`: both are errors, as nobody's are."""

    victims: Any
    nobodys: Any
    refused: bool = False


def neighbour(public_id: str) -> str:
    """An id that nobody has, next to this one: it stands at the same place in every order."""
    decoded = decode_id(public_id)
    assert decoded is not None
    kind, value = decoded
    return encode_id(kind, type(value)(int=value.int ^ 1))


def id_pair(public_id: str) -> Pair:
    """An id, and its neighbour."""
    return Pair(public_id, neighbour(public_id))
