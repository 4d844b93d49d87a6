"""The numbers of stored cards, sealed, and apart from the cards: who reads cards, by mistake or on purpose, reads no number."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from persistence.database import Transaction

_INSERT = text("""
    insert into card_numbers (tenant_id, card_id, sealed, key_version) values (:tenant_id, :card_id, :sealed, :key_version)
""")
_GET = text("select card_id, sealed from card_numbers where tenant_id = :tenant_id and card_id = any(cast(:ids as uuid[]))")
_ERASE = text("delete from card_numbers where tenant_id = :tenant_id and card_id = any(cast(:ids as uuid[]))")


async def insert_card_number(tx: Transaction, tenant_id: UUID, card_id: UUID, sealed: bytes, *, key_version: int) -> None:
    """Keep a card's number, sealed for this card under that version of the tenant's data key."""
    parameters = {"tenant_id": tenant_id, "card_id": card_id, "sealed": sealed, "key_version": key_version}
    await tx.execute(_INSERT, parameters)


async def get_card_numbers(tx: Transaction, tenant_id: UUID, card_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The sealed numbers of those cards that have one."""
    rows = await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(card_ids)})
    return {row.card_id: row.sealed for row in rows}


async def erase_card_numbers(tx: Transaction, tenant_id: UUID, card_ids: Sequence[UUID]) -> int:
    """Forget the numbers of these cards. Returns how many there were."""
    return (await tx.execute(_ERASE, {"tenant_id": tenant_id, "ids": list(card_ids)})).rowcount
