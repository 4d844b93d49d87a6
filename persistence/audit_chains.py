"""The audit log as a chain: read link by link, with the end that is remembered apart from it."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.audit import Logged
from domain.audit_chain import NO_HEAD, Head, Link
from persistence.audit import COLUMNS, entry_of
from persistence.database import Transaction

PAGE = 5000  # links of a page: some MB, and a tenth of a second to check

_LINKS = text("""
    select sequence, previous_hash, hash, id, at, kind, actor, api_key_id, address, request_id, action, payment_id, subject,
           attempt_id, idempotency_key, note, before::text as before, after::text as after
    from audit_log where tenant_id = :tenant_id and sequence > :after order by sequence limit :limit
""")
_HEAD = text("select sequence, hash from audit_heads where tenant_id = :tenant_id")
_LOGGED = f"""
    select {COLUMNS}, sequence, hash from audit_log
    where tenant_id = :tenant_id and (cast(:before as bigint) is null or sequence < :before) {{which}}
    order by sequence desc limit :limit
"""
_OF = {
    (False, False): text(_LOGGED.format(which="")),
    (True, False): text(_LOGGED.format(which="and payment_id = :payment_id")),
    (False, True): text(_LOGGED.format(which="and subject = :subject")),
}
_LOGGED_OF_IDS = text(
    f"select {COLUMNS}, sequence, hash from audit_log where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))"
)


async def page_of_links(tx: Transaction, tenant_id: UUID, after: int, limit: int) -> list[Link]:
    """The entries behind a number, in the order of the chain, whatever anybody has made of them."""
    rows = await tx.execute(_LINKS, {"tenant_id": tenant_id, "after": after, "limit": limit})
    return [Link(**row._mapping) for row in rows]


async def head_of_chain(tx: Transaction, tenant_id: UUID) -> Head:
    """Where the chain ends."""
    row = (await tx.execute(_HEAD, {"tenant_id": tenant_id})).one_or_none()
    return NO_HEAD if row is None else Head(row.sequence, row.hash)


async def page_of_log(
    tx: Transaction,
    tenant_id: UUID,
    *,
    payment_id: UUID | None = None,
    subject: str | None = None,
    before: int | None,
    limit: int,
) -> list[Logged]:
    """Entries of every kind, the newest first; of one payment, of one other subject, or of all. `before`: behind this number."""
    assert payment_id is None or subject is None, "a payment is a subject"
    statement = _OF[payment_id is not None, subject is not None]
    given: dict[str, object] = {"tenant_id": tenant_id, "before": before, "limit": limit}
    if payment_id is not None:
        given["payment_id"] = payment_id
    if subject is not None:
        given["subject"] = subject
    return [_logged(row) for row in await tx.execute(statement, given)]


async def get_logged(tx: Transaction, tenant_id: UUID, entry_id: UUID) -> Logged | None:
    """One entry by its id."""
    row = (await tx.execute(_LOGGED_OF_IDS, {"tenant_id": tenant_id, "ids": [entry_id]})).one_or_none()
    return None if row is None else _logged(row)


def _logged(row: Row[Any]) -> Logged:
    return Logged(entry_of(row), row.sequence, row.hash)
