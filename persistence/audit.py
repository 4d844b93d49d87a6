"""The audit log: append-only, read by the platform's staff and by the checker of invariants. The API's login can't change an entry."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from domain.audit import AuditEntry
from domain.payment import Payment
from domain.receipt import from_document, to_document
from persistence.database import Transaction

MAX_ENTRIES = 1000  # of a page: receipts are a kilobyte each, and nobody reads more at once

_RECORD = text("""
    insert into audit_log (tenant_id, id, at, actor, action, payment_id, note, before, after)
    select :tenant_id, id, at, actor, action, payment_id, note, before, after
    from unnest(
        cast(:id as uuid[]), cast(:at as timestamptz[]), cast(:actor as text[]), cast(:action as text[]),
        cast(:payment_id as uuid[]), cast(:note as text[]), cast(:before as jsonb[]), cast(:after as jsonb[])
    ) as given (id, at, actor, action, payment_id, note, before, after)
    returning id
""")
# Ids are in the order of time, so the primary key serves the newest entries first.
_NEWEST = """
    select id, at, actor, action, payment_id, note, before, after from audit_log
    where tenant_id = :tenant_id and (cast(:older_than as uuid) is null or id < :older_than) {of_payment}
    order by id desc limit :limit
"""
_NEWEST_OF_ALL = text(_NEWEST.format(of_payment=""))
_NEWEST_OF_PAYMENT = text(_NEWEST.format(of_payment="and payment_id = :payment_id"))


async def record(tx: Transaction, tenant_id: UUID, entries: Sequence[AuditEntry]) -> None:
    """Append entries, in the transaction that does what they tell of."""
    await tx.execute(
        _RECORD,
        {
            "tenant_id": tenant_id,
            "id": [entry.id for entry in entries],
            "at": [entry.at for entry in entries],
            "actor": [entry.actor for entry in entries],
            "action": [entry.action for entry in entries],
            "payment_id": [entry.payment_id for entry in entries],
            "note": [entry.note for entry in entries],
            "before": [_document(entry.before) for entry in entries],
            "after": [_document(entry.after) for entry in entries],
        },
    )


async def newest_entries(
    tx: Transaction, tenant_id: UUID, *, payment_id: UUID | None = None, older_than: UUID | None = None, limit: int
) -> list[AuditEntry]:
    """What was done, the newest first; of one payment, or of all. `older_than` is the last entry of the page before."""
    assert 0 < limit <= MAX_ENTRIES
    parameters = {"tenant_id": tenant_id, "older_than": older_than, "limit": limit}
    if payment_id is None:
        rows = await tx.execute(_NEWEST_OF_ALL, parameters)
    else:
        rows = await tx.execute(_NEWEST_OF_PAYMENT, parameters | {"payment_id": payment_id})
    return [_entry(row) for row in rows]


def _document(payment: Payment | None) -> str | None:
    return None if payment is None else orjson.dumps(to_document(payment)).decode()


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        payment_id=row.payment_id,
        note=row.note,
        before=None if row.before is None else from_document(row.before),
        after=None if row.after is None else from_document(row.after),
    )
