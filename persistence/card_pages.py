"""Pages of cards, newest first: of all that there are, and below many users in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text

from domain.stored_card import Card, CardState
from persistence.cards import COLUMNS, card_of
from persistence.database import Transaction
from persistence.pages import Page, Window, page_of
from persistence.payment_pages import Cursor
from persistence.tables import cards

_COLUMNS = [cards.c[name] for name in COLUMNS.split(", ")]
# A list of users asks for all their pages at once.
_BELOW = text(f"""
    select wanted.number, card.* from unnest(
        cast(:user_id as uuid[]), cast(:after_at as timestamptz[]), cast(:after_id as uuid[]), cast(:limit as integer[])
    ) with ordinality as wanted (user_id, after_at, after_id, count, number)
    cross join lateral (
        select {COLUMNS} from cards
        where tenant_id = :tenant_id and user_id = wanted.user_id
            and (wanted.after_at is null or (created_at, id) < (wanted.after_at, wanted.after_id))
        order by created_at desc, id desc limit wanted.count
    ) as card
    order by wanted.number, card.created_at desc, card.id desc
""")

_COUNTS = text("""
    select user_id, count(*) as cards from cards
    where tenant_id = :tenant_id and user_id = any(cast(:user_ids as uuid[])) group by user_id
""")


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Which cards; None leaves a question open."""

    user_id: UUID | None = None
    states: Sequence[CardState] | None = None


@dataclass(frozen=True, slots=True)
class CardsWanted:
    """A page of one user's cards."""

    user_id: UUID
    limit: int
    after: Cursor | None = None


async def page_of_cards(tx: Transaction, tenant_id: UUID, where: CardFilter, window: Window) -> Page[Card]:
    """The cards that are to be seen through this window."""
    query = select(*_COLUMNS).where(and_(*_conditions(tenant_id, where)))
    return page_of(window, [card_of(row) for row in await tx.execute(window.narrow(query, cards.c.created_at, cards.c.id))])


async def count_cards(tx: Transaction, tenant_id: UUID, where: CardFilter) -> int:
    """How many cards match: a scan of all of them, so only for who asks."""
    query = select(func.count()).select_from(cards).where(and_(*_conditions(tenant_id, where)))
    return int((await tx.execute(query)).scalar_one())


async def count_cards_of(tx: Transaction, tenant_id: UUID, user_ids: Sequence[UUID]) -> list[int]:
    """How many cards each of these users has, closed ones too."""
    rows = await tx.execute(_COUNTS, {"tenant_id": tenant_id, "user_ids": list(user_ids)})
    counted = {row.user_id: int(row.cards) for row in rows}
    return [counted.get(each, 0) for each in user_ids]


async def pages_of_cards(tx: Transaction, tenant_id: UUID, wanted: Sequence[CardsWanted]) -> list[list[Card]]:
    """Pages of several users' cards, in the order in which they are wanted."""
    parameters = {
        "tenant_id": tenant_id,
        "user_id": [each.user_id for each in wanted],
        "after_at": [each.after.created_at if each.after else None for each in wanted],
        "after_id": [each.after.id if each.after else None for each in wanted],
        "limit": [each.limit for each in wanted],
    }
    pages: list[list[Card]] = [[] for _ in wanted]
    for row in await tx.execute(_BELOW, parameters):
        pages[row.number - 1].append(card_of(row))
    return pages


def _conditions(tenant_id: UUID, where: CardFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [cards.c.tenant_id == tenant_id]
    if where.user_id is not None:
        conditions.append(cards.c.user_id == where.user_id)
    if where.states is not None:
        conditions.append(cards.c.state.in_([state.value for state in where.states]))
    return conditions
