"""The audit log: append-only, read by the platform's staff and by the checker of invariants. The API's login can't change an entry."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from domain.audit import ActorKind, AuditEntry
from domain.payment import Payment
from domain.receipt import from_document, to_document
from persistence.database import Transaction

MAX_ENTRIES = 1000  # of a page: receipts are a kilobyte each, and nobody reads more at once

COLUMNS = (
    "id, at, kind, actor, api_key_id, address, request_id, action, payment_id, subject, attempt_id, idempotency_key, note, "
    "before, after"
)
# Also in front of another statement: what begins a mutation and what logs it travel together.
RECORDED = f"""
    insert into audit_log (tenant_id, {COLUMNS})
    select :tenant_id, {COLUMNS}
    from unnest(
        cast(:audit_id as uuid[]), cast(:at as timestamptz[]), cast(:kind as text[]), cast(:actor as text[]),
        cast(:api_key_id as uuid[]), cast(:address as text[]), cast(:request_id as text[]), cast(:action as text[]),
        cast(:audit_payment_id as uuid[]), cast(:audit_subject as text[]), cast(:attempt_id as uuid[]),
        cast(:audit_key as text[]), cast(:note as text[]), cast(:before as jsonb[]), cast(:after as jsonb[])
    ) with ordinality as given ({COLUMNS}, position)
    order by position
    returning id
"""
_RECORD = text(RECORDED)
_AS_TENANT = text("select set_config('app.tenant_id', :tenant_id, true)")  # row security binds an owner who is no superuser
# Ids are in the order of time, so the primary key serves the newest entries first.
_NEWEST = f"""
    select {COLUMNS} from audit_log
    where tenant_id = :tenant_id and kind <> 'API_KEY' and (cast(:older_than as uuid) is null or id < :older_than) {{of_payment}}
    order by id desc limit :limit
"""
_NEWEST_OF_ALL = text(_NEWEST.format(of_payment=""))
_NEWEST_OF_PAYMENT = text(_NEWEST.format(of_payment="and payment_id = :payment_id"))


async def record(tx: Transaction, tenant_id: UUID, entries: Sequence[AuditEntry]) -> None:
    """Append entries, in the transaction that does what they tell of. From here to its end the tenant's chain is locked.

    So nothing comes after it but `append_events`: whoever takes both locks takes them in this order, and holds them for a moment.
    """
    await tx.execute(_RECORD, recorded(tenant_id, entries))


async def record_for(tx: Transaction, tenant_id: UUID, entries: Sequence[AuditEntry]) -> None:
    """The same in a transaction of no tenant, or of several one after the other. Needs the owner's login."""
    await tx.execute(_AS_TENANT, {"tenant_id": str(tenant_id)})
    await record(tx, tenant_id, entries)


def recorded(tenant_id: UUID, entries: Sequence[AuditEntry]) -> dict[str, object]:
    """The parameters of RECORDED."""
    return {
        "tenant_id": tenant_id,
        "audit_id": [entry.id for entry in entries],
        "at": [entry.at for entry in entries],
        "kind": [entry.kind.value for entry in entries],
        "actor": [entry.actor for entry in entries],
        "api_key_id": [entry.api_key_id for entry in entries],
        "address": [entry.address for entry in entries],
        "request_id": [entry.request_id for entry in entries],
        "action": [entry.action for entry in entries],
        "audit_payment_id": [entry.payment_id for entry in entries],
        "audit_subject": [entry.subject for entry in entries],
        "attempt_id": [entry.attempt_id for entry in entries],
        "audit_key": [entry.idempotency_key for entry in entries],
        "note": [entry.note for entry in entries],
        "before": [_document(entry.before) for entry in entries],
        "after": [_document(entry.after) for entry in entries],
    }


async def newest_entries(
    tx: Transaction, tenant_id: UUID, *, payment_id: UUID | None = None, older_than: UUID | None = None, limit: int
) -> list[AuditEntry]:
    """What operators and the reconciliation did, the newest first; of one payment, or of all.

    `older_than` is the last entry of the page before.
    """
    assert 0 < limit <= MAX_ENTRIES
    parameters = {"tenant_id": tenant_id, "older_than": older_than, "limit": limit}
    if payment_id is None:
        rows = await tx.execute(_NEWEST_OF_ALL, parameters)
    else:
        rows = await tx.execute(_NEWEST_OF_PAYMENT, parameters | {"payment_id": payment_id})
    return [entry_of(row) for row in rows]


def _document(payment: Payment | None) -> str | None:
    return None if payment is None else orjson.dumps(to_document(payment)).decode()


def entry_of(row: Row[Any]) -> AuditEntry:
    """A row's entry."""
    return AuditEntry(
        id=row.id,
        at=row.at,
        kind=ActorKind(row.kind),
        actor=row.actor,
        api_key_id=row.api_key_id,
        address=row.address,
        request_id=row.request_id,
        action=row.action,
        payment_id=row.payment_id,
        subject=row.subject,
        attempt_id=row.attempt_id,
        idempotency_key=row.idempotency_key,
        note=row.note,
        before=None if row.before is None else from_document(row.before),
        after=None if row.after is None else from_document(row.after),
    )
