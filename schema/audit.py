"""The audit log, as a partner reads it."""

from datetime import datetime

import strawberry

from domain.audit import ActorKind, AuditEntry, Logged
from domain.ids import IdKind, encode_id
from schema.connection import PageInfo
from schema.node import Node


@strawberry.type(description="Who did something.")
class AuditActor:
    kind: ActorKind = strawberry.field(description="A key of yours, one of our operators, or the reconciliation.")
    api_key_id: strawberry.ID | None = strawberry.field(description="The key. Null for anybody else.")
    name: str = strawberry.field(description="The key's name, as it was then; or the operator's.")


@strawberry.type(name="AuditEntry", description="One thing that was done, by whom and from where. It never changes.")
class AuditLogEntry(Node):
    sequence: int = strawberry.field(description="Its number in your log, counted from 1 without a gap.")
    at: datetime = strawberry.field(description="When.")
    actor: AuditActor = strawberry.field(description="By whom.")
    address: str | None = strawberry.field(description="From which address the request came. Null where there was no request.")
    request_id: str | None = strawberry.field(
        description="The request, which was answered with this as `X-Request-Id`. Null where there was none."
    )
    action: str = strawberry.field(description="What, in the past tense: `payment.capture_requested`. There will be more kinds.")
    subject: strawberry.ID | None = strawberry.field(description="To what: the id of a payment, a key or you.")
    idempotency_key: str | None = strawberry.field(description="The request's idempotency key, where it had one.")
    note: str = strawberry.field(description="Why, or what exactly. Empty where the subject says it all.")
    hash: str = strawberry.field(
        description="SHA-256 over this entry and the hash of the one before it, in hexadecimal digits. Keep one, and you can see "
        "later that nothing before it was touched."
    )


@strawberry.type(description="An entry and its place in the log.")
class AuditEntryEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after`.")
    node: AuditLogEntry = strawberry.field(description="The entry.")


@strawberry.type(description="A page of the audit log, newest first. It is kept for ever.")
class AuditEntryConnection:
    edges: list[AuditEntryEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[AuditLogEntry]:
        return [edge.node for edge in self.edges]


@strawberry.input(description="Which entries. What is left out or null is not asked for.")
class AuditFilter:
    subject: strawberry.ID | None = strawberry.field(
        description="What was done to this: the id of a payment, a key or you.", default=strawberry.UNSET
    )


def entry_of(logged: Logged) -> AuditLogEntry:
    """An entry as the schema shows it."""
    entry = logged.entry
    return AuditLogEntry(
        id=strawberry.ID(encode_id(IdKind.AUDIT_ENTRY, entry.id)),
        sequence=logged.sequence,
        at=entry.at,
        actor=AuditActor(
            kind=entry.kind,
            api_key_id=strawberry.ID(encode_id(IdKind.API_KEY, entry.api_key_id)) if entry.api_key_id else None,
            name=_shown_name(entry),
        ),
        address=entry.address,
        request_id=entry.request_id,
        action=entry.action,
        subject=_subject(entry),
        idempotency_key=entry.idempotency_key,
        note=entry.note,
        hash=logged.hash.hex(),
    )


def _shown_name(entry: AuditEntry) -> str:
    """Without the login of our machine, which stands beside an operator's name."""
    return entry.actor.partition(" (login ")[0] if entry.kind is ActorKind.OPERATOR else entry.actor


def _subject(entry: AuditEntry) -> strawberry.ID | None:
    if entry.payment_id is not None:
        return strawberry.ID(encode_id(IdKind.PAYMENT, entry.payment_id))
    return None if entry.subject is None else strawberry.ID(entry.subject)
