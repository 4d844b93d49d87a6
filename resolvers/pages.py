"""The arguments of pages, checked."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from domain.request import normal_name
from persistence.pages import Page, Window
from persistence.payment_pages import Cursor
from resolvers.given import given
from resolvers.refused_argument import RefusedArgument
from schema.connection import PageInfo

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


def window(*, first: int | None, after: str | None, last: int | None = None, before: str | None = None) -> Window:
    """The rows that are wanted of a list in the order of time. Left out or null is no wish. Raises RefusedArgument."""
    first, after, last, before = given(first), given(after), given(last), given(before)
    if first is not None and last is not None:
        raise RefusedArgument(["last"], "Give `first` or `last`, not both.")
    return Window(
        limit=page_size("last", last) if last is not None else page_size("first", first),
        backward=last is not None,
        after=place("after", after, Cursor.decode),
        before=place("before", before, Cursor.decode),
    )


def page_info_of(page: Page[Any], cursors: Sequence[str]) -> PageInfo:
    """Where a page with these cursors begins and ends."""
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


def printable(argument: str, text: str, *, within: Sequence[str] = ()) -> str:
    """A name in its one spelling. Raises RefusedArgument for what can be nobody's."""
    if not text.isprintable():
        raise RefusedArgument([*within, argument], "It has a character that can't be printed, so nothing can match.")
    return normal_name(text)
