"""The arguments of pages, checked."""

from collections.abc import Callable
from typing import TypeVar

from resolvers.refused_argument import RefusedArgument

DEFAULT_PAGE = 20  # rows when a client does not say
MAX_PAGE = 100  # rows of a page: what one screen shows, and what one answer may cost

P = TypeVar("P")


def page_size(argument: str, size: int | None) -> int:
    """How many rows are wanted. Raises RefusedArgument."""
    if size is None:
        return DEFAULT_PAGE
    if not 0 <= size <= MAX_PAGE:
        raise RefusedArgument([argument], f"A page has 0 to {MAX_PAGE} rows.")
    return size


def place(argument: str, text: str | None, decode: Callable[[str], P | None]) -> P | None:
    """The place in a list that a cursor means. Raises RefusedArgument for what `decode` does not know."""
    if text is None:
        return None
    decoded = decode(text)
    if decoded is None:
        raise RefusedArgument([argument], "This is no cursor of ours; give one from an edge or from `pageInfo`.")
    return decoded
