"""Stored cards: read and locked, many at a time. Their numbers are not here: see `persistence/card_numbers.py`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.card import CardBrand, CardSummary
from domain.stored_card import Card, CardKind, CardLimits, CardReason, CardState
from persistence.database import Transaction

COLUMNS = (
    "id, user_id, kind, brand, last_four, expiry_month, expiry_year, state, reason, created_at, state_since, "
    "limit_per_transaction, limit_per_day, limit_per_month"
)
_GET = text(f"select {COLUMNS} from cards where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))")
# `no key`: a payment that refers to the card need not wait. In the order of the ids, so that nobody waits in a circle.
_LOCK = text(_GET.text + " order by id for no key update")


async def get_cards(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Card]:
    """The tenant's cards among `ids`."""
    return {row.id: card_of(row) for row in await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(ids)})}


async def lock_cards(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Card]:
    """The same, locked against every other change, and against payments with them, until the transaction ends."""
    return {row.id: card_of(row) for row in await tx.execute(_LOCK, {"tenant_id": tenant_id, "ids": list(ids)})}


def card_of(row: Row[Any]) -> Card:
    """A row of `COLUMNS` as a card."""
    return Card(
        id=row.id,
        user_id=row.user_id,
        kind=CardKind(row.kind),
        summary=CardSummary(CardBrand(row.brand), row.last_four),
        expiry_month=row.expiry_month,
        expiry_year=row.expiry_year,
        state=CardState(row.state),
        created_at=row.created_at,
        state_since=row.state_since,
        reason=CardReason(row.reason) if row.reason else None,
        limits=CardLimits(row.limit_per_transaction, row.limit_per_day, row.limit_per_month),
    )
