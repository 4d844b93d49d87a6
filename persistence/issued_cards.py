"""Issued cards: on record before the bank is asked for one, so that no card of the bank's is ever lost."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.issuing import IssuedCard
from domain.partner import Mode
from persistence.database import Transaction
from persistence.partners import IN_MODE

_COLUMNS = "card_id, user_id, opened_at, actor, api_key_id, idempotency_key, bank_reference, revealed_at"
_INSERT = text("""
    insert into issued_cards (tenant_id, card_id, user_id, opened_at, actor, api_key_id, idempotency_key, ask_again_at)
    values (:tenant_id, :card_id, :user_id, :opened_at, :actor, :api_key_id, :idempotency_key, :ask_again_at)
""")
_GET = text(f"select {_COLUMNS} from issued_cards where tenant_id = :tenant_id and card_id = :card_id")
_LOCK = text(_GET.text + " for update")
_FINISH = text("""
    update issued_cards set bank_reference = :reference, ask_again_at = null where tenant_id = :tenant_id and card_id = :card_id
""")
_GIVE_UP = text("delete from issued_cards where tenant_id = :tenant_id and card_id = :card_id and bank_reference is null")
_REVEAL = text("update issued_cards set revealed_at = :at where tenant_id = :tenant_id and card_id = :card_id")
_DUE_TENANTS = text(f"""
    select distinct tenant_id from (
        select tenant_id from issued_cards where ask_again_at <= :now and {IN_MODE.format("tenant_id")}
        order by ask_again_at limit :scan
    ) as due
""")
_TAKE_DUE = text(f"""
    with due as materialized (
        select card_id from issued_cards where tenant_id = :tenant_id and ask_again_at <= :now
        order by ask_again_at limit :limit
        for update skip locked
    )
    update issued_cards set ask_again_at = :ask_again_at from due
    where tenant_id = :tenant_id and issued_cards.card_id = due.card_id
    returning {", ".join("issued_cards." + each for each in _COLUMNS.split(", "))}
""")
MAX_DUE_SCAN = 1000  # rows looked at for tenants with work; the rest comes with the next round


async def insert_issued_card(tx: Transaction, tenant_id: UUID, card: IssuedCard, *, ask_again_at: datetime) -> None:
    """A card that the bank is going to be asked for; by the worker from then on, if nobody has finished it."""
    parameters = {
        "tenant_id": tenant_id,
        "card_id": card.card_id,
        "user_id": card.user_id,
        "opened_at": card.opened_at,
        "actor": card.actor,
        "api_key_id": card.api_key_id,
        "idempotency_key": card.idempotency_key,
        "ask_again_at": ask_again_at,
    }
    await tx.execute(_INSERT, parameters)


async def get_issued_card(tx: Transaction, tenant_id: UUID, card_id: UUID) -> IssuedCard | None:
    """What is on record of an issued card. None: it is none, or was given up."""
    row = (await tx.execute(_GET, {"tenant_id": tenant_id, "card_id": card_id})).one_or_none()
    return _issued_card(row) if row else None


async def lock_issued_card(tx: Transaction, tenant_id: UUID, card_id: UUID) -> IssuedCard | None:
    """The same, locked until the transaction ends."""
    row = (await tx.execute(_LOCK, {"tenant_id": tenant_id, "card_id": card_id})).one_or_none()
    return _issued_card(row) if row else None


async def finish_issued_card(tx: Transaction, tenant_id: UUID, card_id: UUID, reference: str) -> None:
    """The bank has made it, under this reference. The row is locked."""
    await tx.execute(_FINISH, {"tenant_id": tenant_id, "card_id": card_id, "reference": reference})


async def give_issued_card_up(tx: Transaction, tenant_id: UUID, card_id: UUID) -> bool:
    """The bank will not make it: forget it. False: it was finished or given up before."""
    return (await tx.execute(_GIVE_UP, {"tenant_id": tenant_id, "card_id": card_id})).rowcount == 1


async def reveal_issued_card(tx: Transaction, tenant_id: UUID, card_id: UUID, at: datetime) -> None:
    """Its number is shown, and won't be again. The row is locked."""
    await tx.execute(_REVEAL, {"tenant_id": tenant_id, "card_id": card_id, "at": at})


async def tenants_with_due_issues(tx: Transaction, now: datetime, mode: Mode) -> list[UUID]:
    """Who has a card that the bank has to be asked for again, in one mode. Needs the worker's login and no tenant."""
    return [row.tenant_id for row in await tx.execute(_DUE_TENANTS, {"now": now, "scan": MAX_DUE_SCAN, "mode": mode})]


async def take_due_issues(
    tx: Transaction, tenant_id: UUID, *, now: datetime, ask_again_at: datetime, limit: int
) -> list[IssuedCard]:
    """The ones that are due, the longest waiting first, without those that another worker is taking; no other takes them until then."""
    parameters = {"tenant_id": tenant_id, "now": now, "ask_again_at": ask_again_at, "limit": limit}
    return [_issued_card(row) for row in await tx.execute(_TAKE_DUE, parameters)]


def _issued_card(row: Row[Any]) -> IssuedCard:
    return IssuedCard(
        card_id=row.card_id,
        user_id=row.user_id,
        opened_at=row.opened_at,
        actor=row.actor,
        api_key_id=row.api_key_id,
        idempotency_key=row.idempotency_key,
        reference=row.bank_reference,
        revealed_at=row.revealed_at,
    )
