"""The log of events: append-only, one gapless sequence for each tenant, in the order of the commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from domain.audit import AuditEntry
from domain.event import Event, EventType, LoggedEvent, Subject
from domain.ids import IdKind
from domain.receipt import from_document, to_document
from persistence.audit import RECORDED, record, recorded
from persistence.database import APPENDED, Transaction
from persistence.webhook_deliveries import QUEUE

# The tenant's counter is locked from here to the commit, which makes the sequence gapless and in commit order. So this is the
# last statement of a transaction: nobody waits for the lock longer than a commit takes. With entries of the audit log in front of it,
# their chain's lock comes first: counting them makes the counter wait for them. What is to be delivered is written by the same
# statement, so no event can be without its deliveries, nor a delivery without its event.
_APPEND = f"""
    {{first}} given as (
        select * from unnest(
            cast(:id as uuid[]), cast(:type as text[]), cast(:occurred_at as timestamptz[]), cast(:payment_id as uuid[]),
            cast(:previous_state as text[]), cast(:idempotency_key as text[]), cast(:payment as jsonb[]),
            cast(:subject_kind as text[]), cast(:subject_id as uuid[]), cast(:subject_document as jsonb[])
        ) with ordinality as given (id, type, occurred_at, payment_id, previous_state, idempotency_key, payment,
                                    subject_kind, subject_id, subject, position)
    ), queued as ({QUEUE}), counter as (
        insert into event_sequences as counters (tenant_id, last) select :tenant_id, cardinality(cast(:id as uuid[])) {{after}}
        on conflict (tenant_id) do update set last = counters.last + excluded.last
        returning last - cardinality(cast(:id as uuid[])) as taken
    )
    insert into events (tenant_id, sequence, id, type, occurred_at, payment_id, previous_state, idempotency_key, payment,
                        subject_kind, subject_id, subject)
    select :tenant_id, counter.taken + given.position, given.id, given.type, given.occurred_at, given.payment_id,
           given.previous_state, given.idempotency_key, given.payment, given.subject_kind, given.subject_id, given.subject
    from counter, given
"""
_APPEND_EVENTS = text(_APPEND.format(first="with", after="where true"))
_APPEND_BOTH = text(
    _APPEND.format(first=f"with recorded as ({RECORDED}),", after="from (select count(*) from recorded) as done where true")
)

_COLUMNS = "sequence, id, type, occurred_at, previous_state, idempotency_key, payment, subject_kind, subject_id, subject"
_PAGE = text(f"""
    select {_COLUMNS} from events where tenant_id = :tenant_id and sequence > :after
        and (cast(:types as text[]) is null or type = any(cast(:types as text[])))
    order by sequence limit :limit
""")
_GET = text(f"select {_COLUMNS} from events where tenant_id = :tenant_id and id = :id")
_GET_MANY = text(f"select {_COLUMNS} from events where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))")
_LAST = text("select last from event_sequences where tenant_id = :tenant_id")
_FORGOTTEN = text("select forgotten, forgotten_id from event_sequences where tenant_id = :tenant_id")
_OLDEST = text("select id from events where tenant_id = :tenant_id order by sequence limit 1")
_NEWEST = text("select sequence, id from events where tenant_id = :tenant_id order by sequence desc limit 1")
_FORGET = text("select forget_events(:before, :limit)")
MAX_PAGE = 500  # events of a page: a kilobyte each


async def append_events(tx: Transaction, tenant_id: UUID, events: Sequence[Event], entries: Sequence[AuditEntry] = ()) -> None:
    """Give events the tenant's next sequence numbers, in the order given, and append entries to the audit log before.

    The last statement of its transaction. Whoever follows the tenant's events is told when it has committed.
    """
    if events:
        tx.info[APPENDED] = tenant_id
    parameters = {
        "tenant_id": tenant_id,
        "id": [event.id for event in events],
        "type": [event.type.value for event in events],
        "occurred_at": [event.occurred_at for event in events],
        "payment_id": [event.payment.id if event.payment else None for event in events],
        "previous_state": [event.previous_state for event in events],
        "idempotency_key": [event.idempotency_key for event in events],
        "payment": [orjson.dumps(to_document(event.payment)).decode() if event.payment else None for event in events],
        "subject_kind": [event.subject.kind.value if event.subject else None for event in events],
        "subject_id": [event.subject.id if event.subject else None for event in events],
        "subject_document": [orjson.dumps(event.subject.document).decode() if event.subject else None for event in events],
    }
    if entries and events:
        await tx.execute(_APPEND_BOTH, parameters | recorded(tenant_id, entries))
    elif entries:
        await record(tx, tenant_id, entries)
    elif events:
        await tx.execute(_APPEND_EVENTS, parameters)


async def page_of_events(
    tx: Transaction, tenant_id: UUID, *, after: int, limit: int, types: Sequence[EventType] | None = None
) -> list[LoggedEvent]:
    """The tenant's events behind this sequence number, oldest first; of some types or of all."""
    assert 0 <= limit <= MAX_PAGE
    wanted = None if types is None else [each.value for each in types]
    rows = await tx.execute(_PAGE, {"tenant_id": tenant_id, "after": after, "types": wanted, "limit": limit})
    return [logged_of(row, row.id) for row in rows]


async def get_event(tx: Transaction, tenant_id: UUID, event_id: UUID) -> LoggedEvent | None:
    """One event by its id, or None where the tenant has no such event."""
    row = (await tx.execute(_GET, {"tenant_id": tenant_id, "id": event_id})).one_or_none()
    return None if row is None else logged_of(row, row.id)


async def get_events(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, LoggedEvent]:
    """The tenant's events among `ids`."""
    return {row.id: logged_of(row, row.id) for row in await tx.execute(_GET_MANY, {"tenant_id": tenant_id, "ids": list(ids)})}


async def last_sequence(tx: Transaction, tenant_id: UUID) -> int:
    """The number of the tenant's newest event; 0 when there is none yet."""
    return int((await tx.execute(_LAST, {"tenant_id": tenant_id})).scalar_one_or_none() or 0)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is not kept any more: up to which number, and the newest id of those; nothing: 0 and None."""

    sequence: int = 0
    newest_id: UUID | None = None

    def may_have_had(self, event_id: UUID) -> bool:
        """Whether an event with this id may have been among them. Ids carry their time."""
        return self.newest_id is not None and event_id <= self.newest_id


async def forgotten_events(tx: Transaction, tenant_id: UUID) -> Forgotten:
    """How much of the tenant's log has gone. Read after a page of events, it tells whether the page may lack some."""
    row = (await tx.execute(_FORGOTTEN, {"tenant_id": tenant_id})).one_or_none()
    return Forgotten() if row is None else Forgotten(row.forgotten, row.forgotten_id)


async def oldest_event_id(tx: Transaction, tenant_id: UUID) -> UUID | None:
    """With which event the tenant's log begins now."""
    return (await tx.execute(_OLDEST, {"tenant_id": tenant_id})).scalar_one_or_none()


async def newest_event(tx: Transaction, tenant_id: UUID) -> tuple[int, UUID | None]:
    """Number and id of the tenant's newest event; 0 and None when there is none yet."""
    row = (await tx.execute(_NEWEST, {"tenant_id": tenant_id})).one_or_none()
    return (0, None) if row is None else (row.sequence, row.id)


async def forget_events(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete the oldest events of the transaction's tenant, up to the first that is not older; the newest one stays. How many.

    Needs the worker's login. What is younger than thirty days stays whatever `before` says.
    """
    return int((await tx.execute(_FORGET, {"before": before, "limit": limit})).scalar_one())


def logged_of(row: Row[Any], event_id: UUID) -> LoggedEvent:
    """A row's event."""
    about = Subject(IdKind(row.subject_kind), row.subject_id, row.subject) if row.subject else from_document(row.payment)
    event = Event(event_id, EventType(row.type), row.occurred_at, about, row.previous_state, row.idempotency_key)
    return LoggedEvent(row.sequence, event)
