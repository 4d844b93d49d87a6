"""The chain of an audit log, checked link by link.

The hash of an entry is SHA-256 over its fields in a fixed order, the hash of the entry before it among them. Each field is written as
its length in bytes, a colon, itself and a comma; null is `-,`. Postgres writes the chain; this was written from the same description
and shares no code with it, so that a mistake on either side shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

BEGINNING = bytes(32)  # what the first entry has in the place of a hash before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An entry as its row has it, documents as Postgres writes them."""

    sequence: int
    previous_hash: bytes
    hash: bytes
    id: UUID
    at: datetime
    kind: str
    actor: str
    api_key_id: UUID | None
    address: str | None
    request_id: str | None
    action: str
    payment_id: UUID | None
    subject: str | None
    attempt_id: UUID | None
    idempotency_key: str | None
    note: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends, as the database remembers it apart from the entries."""

    sequence: int
    hash: bytes


NO_HEAD = Head(0, BEGINNING)


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a chain does not hold."""

    sequence: int
    why: str


def hash_of(tenant_id: UUID, link: Link) -> bytes:
    """What an entry's hash has to be."""
    at = link.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fields = (
        tenant_id, link.sequence, link.previous_hash.hex(), link.id, at, link.kind, link.actor, link.api_key_id, link.address,
        link.request_id, link.action, link.payment_id, link.subject, link.attempt_id, link.idempotency_key, link.note, link.before,
        link.after,
    )  # fmt: skip
    return sha256(b"".join(map(_written, fields))).digest()


def _written(field: object) -> bytes:
    if field is None:
        return b"-,"
    text = str(field).encode()
    return b"%d:%b," % (len(text), text)


def first_break(tenant_id: UUID, end: Head, page: Sequence[Link]) -> tuple[Head, Break | None]:
    """Go on from `end` through a page, in the order of the numbers. The new end, or the first link that does not hold."""
    for link in page:
        if link.sequence != end.sequence + 1:
            return end, Break(end.sequence + 1, f"this entry is missing; the next that there is has number {link.sequence}")
        if link.previous_hash != end.hash:
            return end, Break(
                link.sequence, "it does not follow the entry before it: that one was replaced, or this one was inserted"
            )
        if link.hash != hash_of(tenant_id, link):
            return end, Break(link.sequence, "its hash is not that of what it says: it was changed")
        end = Head(link.sequence, link.hash)
    return end, None


def break_at_the_head(end: Head, head: Head) -> Break | None:
    """Whether the chain ends where the database remembers its end."""
    if end.sequence < head.sequence:
        return Break(end.sequence + 1, f"the last entries are missing: there were {head.sequence}")
    if end != head:
        return Break(
            end.sequence, "it is not the end that the database remembers: entries were added, or the last one was replaced"
        )
    return None
