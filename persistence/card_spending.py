"""What is spent with stored cards, and the lock under which it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from domain.payment import LIVE_STATES
from domain.spending import Period, Spent, begin_of
from domain.stored_card import Card
from domain.user import UserState
from persistence.cards import COLUMNS, card_of
from persistence.database import Transaction

_LIVE = ", ".join(f"'{state.value}'" for state in sorted(LIVE_STATES))
_COLUMNS = ", ".join(f"cards.{column}" for column in COLUMNS.split(", "))
_LOCK = text(f"""
    select {_COLUMNS}, users.external_id, users.state as owner_state
    from cards join users on users.tenant_id = cards.tenant_id and users.id = cards.user_id
    where cards.tenant_id = :tenant_id and cards.id = any(cast(:ids as uuid[]))
    order by cards.id for no key update of cards
""")
_SPENT = text(f"""
    select card_id, sum(amount_minor) as this_month, coalesce(sum(amount_minor) filter (where created_at >= :day), 0) as today
    from payments
    where tenant_id = :tenant_id and card_id = any(cast(:ids as uuid[])) and created_at >= :month and state in ({_LIVE})
    group by card_id
""")


@dataclass(frozen=True, slots=True)
class CardAndOwner:
    """A card and whose it is: the user's state, and the customer that the partner knows the user as."""

    card: Card
    customer_id: str
    owner: UserState


async def lock_cards_to_pay(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, CardAndOwner]:
    """The tenant's cards among `ids`, locked until the transaction ends: against changes, and against each other's payments."""
    rows = await tx.execute(_LOCK, {"tenant_id": tenant_id, "ids": list(ids)})
    return {row.id: CardAndOwner(card_of(row), row.external_id, UserState(row.owner_state)) for row in rows}


async def spent_with_cards(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID], now: datetime) -> dict[UUID, Spent]:
    """What is spent with these cards by now; those with which nothing is are left out. Under the cards' locks it is exact."""
    parameters = {
        "tenant_id": tenant_id,
        "ids": list(ids),
        "day": begin_of(Period.DAY, now),
        "month": begin_of(Period.MONTH, now),
    }
    return {row.card_id: Spent(int(row.today), int(row.this_month)) for row in await tx.execute(_SPENT, parameters)}
