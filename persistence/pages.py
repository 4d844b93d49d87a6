"""Windows on lists in the order of time, newest first: keyset cursors, so that a page costs the same however deep it lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, tuple_

from persistence.payment_pages import Cursor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """The first `limit` rows between two places, or the last ones when `backward`."""

    limit: int
    backward: bool = False
    after: Cursor | None = None
    before: Cursor | None = None

    def narrow(self, query: Select[Any], created_at: ColumnElement[datetime], row_id: ColumnElement[UUID]) -> Select[Any]:
        """The query for what is in it, and for one row more, which tells whether there is more."""
        place = tuple_(created_at, row_id)
        if self.after is not None:
            query = query.where(place < (self.after.created_at, self.after.id))
        if self.before is not None:
            query = query.where(place > (self.before.created_at, self.before.id))
        order = (created_at, row_id) if self.backward else (created_at.desc(), row_id.desc())
        return query.order_by(*order).limit(self.limit + 1)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, newest first, and whether there are more on either side."""

    rows: list[T]
    has_next: bool
    has_previous: bool


def page_of(window: Window, found: Sequence[T]) -> Page[T]:
    """The page in what a narrowed query has found."""
    more, rows = len(found) > window.limit, list(found[: window.limit])
    if window.backward:
        return Page(rows[::-1], has_next=window.before is not None, has_previous=more)
    return Page(rows, has_next=more, has_previous=window.after is not None)
