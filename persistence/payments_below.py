"""The payments below cards and below customers: the pages of many of them come out of one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sqlalchemy import TextClause, text

from domain.payment import Standing
from persistence.database import Transaction
from persistence.payment_pages import Cursor
from persistence.payments import STANDING_COLUMNS, standing_of


class Parent(Enum):
    """What payments are below of: the column, and its type. Both have an index that ends with the order of a page."""

    CARD = ("card_id", "uuid")
    CUSTOMER = ("customer_id", "text")


def _pages(parent: Parent) -> TextClause:
    column, kind = parent.value
    return text(f"""
        select wanted.number, standing.* from unnest(
            cast(:parent as {kind}[]), cast(:after_at as timestamptz[]), cast(:after_id as uuid[]), cast(:limit as integer[])
        ) with ordinality as wanted (parent, after_at, after_id, count, number)
        cross join lateral (
            select {STANDING_COLUMNS} from payments left join attempts
                on attempts.tenant_id = payments.tenant_id and attempts.payment_id = payments.id and attempts.closed_at is null
            where payments.tenant_id = :tenant_id and payments.{column} = wanted.parent
                and (wanted.after_at is null or (payments.created_at, payments.id) < (wanted.after_at, wanted.after_id))
            order by payments.created_at desc, payments.id desc limit wanted.count
        ) as standing
        order by wanted.number, standing.created_at desc, standing.id desc
    """)


def _count(parent: Parent) -> TextClause:
    column, kind = parent.value
    return text(f"""
        select {column} as parent, count(*) as payments from payments
        where tenant_id = :tenant_id and {column} = any(cast(:parents as {kind}[])) group by {column}
    """)


_PAGES = {parent: _pages(parent) for parent in Parent}
_COUNTS = {parent: _count(parent) for parent in Parent}


@dataclass(frozen=True, slots=True)
class PaymentsWanted:
    """A page of the payments below one card (its id), or below one customer (the partner's name for them)."""

    parent: UUID | str
    limit: int
    after: Cursor | None = None


async def pages_below(tx: Transaction, tenant_id: UUID, parent: Parent, wanted: Sequence[PaymentsWanted]) -> list[list[Standing]]:
    """Pages of payments, newest first, in the order in which they are wanted."""
    parameters = {
        "tenant_id": tenant_id,
        "parent": [each.parent for each in wanted],
        "after_at": [each.after.created_at if each.after else None for each in wanted],
        "after_id": [each.after.id if each.after else None for each in wanted],
        "limit": [each.limit for each in wanted],
    }
    pages: list[list[Standing]] = [[] for _ in wanted]
    for row in await tx.execute(_PAGES[parent], parameters):
        pages[row.number - 1].append(standing_of(row))
    return pages


async def count_below(tx: Transaction, tenant_id: UUID, parent: Parent, parents: Sequence[UUID | str]) -> list[int]:
    """How many payments there are below each of these."""
    rows = await tx.execute(_COUNTS[parent], {"tenant_id": tenant_id, "parents": list(parents)})
    counted = {row.parent: int(row.payments) for row in rows}
    return [counted.get(each, 0) for each in parents]
