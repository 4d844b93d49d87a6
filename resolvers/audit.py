"""The audit log."""

import base64
import binascii
import struct
from uuid import UUID

from domain.ids import IdKind, decode_id_of
from persistence.audit_chains import get_logged, page_of_log
from resolvers.context import Info
from resolvers.given import given
from resolvers.pages import page_size, place
from schema.audit import AuditEntryConnection, AuditEntryEdge, AuditFilter, AuditLogEntry, entry_of
from schema.connection import PageInfo


async def audit_log(info: Info, *, first: int | None, after: str | None, where: AuditFilter | None) -> AuditEntryConnection:
    """A page of the log, newest first."""
    context = info.context
    limit, behind = page_size("first", first), place("after", after, _decode)
    subject = given(where.subject) if where else None
    payment_id = decode_id_of(IdKind.PAYMENT, subject) if subject is not None else None
    async with context.database.tenant(context.tenant_id) as tx:
        found = await page_of_log(
            tx,
            context.tenant_id,
            payment_id=payment_id,
            subject=subject if payment_id is None else None,
            before=behind,
            limit=limit + 1,  # one more tells whether there is more
        )
    edges = [AuditEntryEdge(cursor=_encode(each.sequence), node=entry_of(each)) for each in found[:limit]]
    return AuditEntryConnection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=len(found) > limit,
            has_previous_page=behind is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


async def audit_entry(info: Info, entry_id: UUID) -> AuditLogEntry | None:
    """One entry by its id."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        logged = await get_logged(tx, context.tenant_id, entry_id)
    return None if logged is None else entry_of(logged)


def _encode(sequence: int) -> str:
    return base64.urlsafe_b64encode(struct.pack(">q", sequence)).decode()


def _decode(text: str) -> int | None:
    """The number that `_encode` wrote, or None for anything else."""
    try:
        (sequence,) = struct.unpack(">q", base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, struct.error, ValueError):
        return None
    return int(sequence) if _encode(sequence) == text else None
