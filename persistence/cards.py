"""Stored cards: read, locked and saved, many at a time. Their numbers are not here: see `persistence/card_numbers.py`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.card import CardBrand, CardSummary
from domain.stored_card import Card, CardKind, CardLimits, CardReason, CardState
from persistence.database import Transaction

MAX_TENANTS = 1000  # of one look for expired cards; the rest comes with the next
COLUMNS = (
    "id, user_id, kind, brand, last_four, expiry_month, expiry_year, state, reason, created_at, state_since, "
    "limit_per_transaction, limit_per_day, limit_per_month"
)
_GET = text(f"select {COLUMNS} from cards where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))")
# `no key`: a payment that refers to the card need not wait. In the order of the ids, so that nobody waits in a circle.
_LOCK = text(_GET.text + " order by id for no key update")

_LOCK_OPEN = text(f"""
    select {COLUMNS} from cards where tenant_id = :tenant_id and user_id = :user_id and state <> 'CLOSED'
    order by id for no key update
""")
_LOCK_OF_NUMBER = text(f"""
    select {COLUMNS} from cards where tenant_id = :tenant_id and user_id = :user_id and fingerprint = :fingerprint
    order by id for no key update
""")
_TENANTS_WITH_EXPIRED = text("""
    select distinct tenant_id from cards where state <> 'CLOSED' and (expiry_year, expiry_month) < (:year, :month) limit :limit
""")
# Whoever is busy with one of them has its lock; it comes with the next look.
_LOCK_EXPIRED = text(f"""
    select {COLUMNS} from cards
    where tenant_id = :tenant_id and state <> 'CLOSED' and (expiry_year, expiry_month) < (:year, :month)
    order by id limit :limit for no key update skip locked
""")
_ROOM = text("""
    select cards_per_user, (
        select count(*) from cards where tenant_id = :tenant_id and user_id = :user_id and state <> 'CLOSED'
    ) + (
        select count(*) from issued_cards where tenant_id = :tenant_id and user_id = :user_id and bank_reference is null
    ) as open from partners where id = :tenant_id
""")
_INSERT = text(f"""
    insert into cards (tenant_id, {COLUMNS}, fingerprint)
    values (:tenant_id, :id, :user_id, :kind, :brand, :last_four, :expiry_month, :expiry_year, :state, :reason, :created_at,
            :state_since, :limit_per_transaction, :limit_per_day, :limit_per_month, :fingerprint)
""")
_SAVE = text("""
    update cards set
        expiry_month = given.expiry_month, expiry_year = given.expiry_year, state = given.state, reason = given.reason,
        state_since = given.state_since, limit_per_transaction = given.limit_per_transaction,
        limit_per_day = given.limit_per_day, limit_per_month = given.limit_per_month
    from unnest(
        cast(:id as uuid[]), cast(:expiry_month as integer[]), cast(:expiry_year as integer[]), cast(:state as text[]),
        cast(:reason as text[]), cast(:state_since as timestamptz[]), cast(:limit_per_transaction as bigint[]),
        cast(:limit_per_day as bigint[]), cast(:limit_per_month as bigint[])
    ) as given (id, expiry_month, expiry_year, state, reason, state_since, limit_per_transaction, limit_per_day, limit_per_month)
    where cards.tenant_id = :tenant_id and cards.id = given.id
""")
_FORGET_FINGERPRINTS = text("""
    update cards set fingerprint = decode(repeat('00', 32), 'hex') where tenant_id = :tenant_id and user_id = :user_id
""")


async def get_cards(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Card]:
    """The tenant's cards among `ids`."""
    return {row.id: card_of(row) for row in await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(ids)})}


async def lock_cards(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Card]:
    """The same, locked against every other change, and against payments with them, until the transaction ends."""
    return {row.id: card_of(row) for row in await tx.execute(_LOCK, {"tenant_id": tenant_id, "ids": list(ids)})}


async def lock_open_cards(tx: Transaction, tenant_id: UUID, user_id: UUID) -> list[Card]:
    """A user's cards that are not closed, locked."""
    return [card_of(row) for row in await tx.execute(_LOCK_OPEN, {"tenant_id": tenant_id, "user_id": user_id})]


async def lock_cards_of_number(tx: Transaction, tenant_id: UUID, user_id: UUID, fingerprint: bytes) -> list[Card]:
    """A user's cards with this number, closed ones too, locked. At most one is open."""
    parameters = {"tenant_id": tenant_id, "user_id": user_id, "fingerprint": fingerprint}
    return [card_of(row) for row in await tx.execute(_LOCK_OF_NUMBER, parameters)]


async def tenants_with_expired_cards(tx: Transaction, now: datetime) -> list[UUID]:
    """Whose open cards have a month that is over, up to MAX_TENANTS of them. Needs the worker's login."""
    rows = await tx.execute(_TENANTS_WITH_EXPIRED, {"year": now.year, "month": now.month, "limit": MAX_TENANTS})
    return [row.tenant_id for row in rows]


async def lock_expired_cards(tx: Transaction, tenant_id: UUID, now: datetime, limit: int) -> list[Card]:
    """Open cards of the tenant whose month is over, locked; none that somebody else has locked."""
    parameters = {"tenant_id": tenant_id, "year": now.year, "month": now.month, "limit": limit}
    return [card_of(row) for row in await tx.execute(_LOCK_EXPIRED, parameters)]


async def room_for_cards(tx: Transaction, tenant_id: UUID, user_id: UUID) -> tuple[int, int]:
    """How many open cards a user of this partner may have, and how many this one has, whose row is locked.

    Those that the bank is being asked for are counted, too.
    """
    row = (await tx.execute(_ROOM, {"tenant_id": tenant_id, "user_id": user_id})).one()
    return row.cards_per_user, row.open


async def insert_card(tx: Transaction, tenant_id: UUID, card: Card, fingerprint: bytes) -> None:
    """A new card, of a number with this fingerprint."""
    given = {
        "user_id": card.user_id,
        "kind": card.kind.value,
        "brand": card.summary.brand.value,
        "last_four": card.summary.last_four,
        "created_at": card.created_at,
    }
    await tx.execute(_INSERT, {"tenant_id": tenant_id, "fingerprint": fingerprint, **given, **_changeable(card)})


async def save_cards(tx: Transaction, tenant_id: UUID, cards: Sequence[Card]) -> None:
    """Write what may change of locked cards."""
    rows = [_changeable(card) for card in cards]
    await tx.execute(_SAVE, {"tenant_id": tenant_id, **{name: [row[name] for row in rows] for name in rows[0]}})


async def forget_fingerprints(tx: Transaction, tenant_id: UUID, user_id: UUID) -> None:
    """Let nothing of a user's closed cards tell which numbers they had."""
    await tx.execute(_FORGET_FINGERPRINTS, {"tenant_id": tenant_id, "user_id": user_id})


def _changeable(card: Card) -> dict[str, object]:
    return {
        "id": card.id,
        "expiry_month": card.expiry_month,
        "expiry_year": card.expiry_year,
        "state": card.state.value,
        "reason": card.reason.value if card.reason else None,
        "state_since": card.state_since,
        "limit_per_transaction": card.limits.per_transaction,
        "limit_per_day": card.limits.per_day,
        "limit_per_month": card.limits.per_month,
    }


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
