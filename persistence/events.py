"""The log of events: append-only, one gapless sequence for each tenant, in the order of the commits."""

from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from domain.audit import AuditEntry
from domain.event import Event
from domain.receipt import to_document
from persistence.audit import RECORDED, record, recorded
from persistence.database import Transaction

# The tenant's counter is locked from here to the commit, which makes the sequence gapless and in commit order. So this is the
# last statement of a transaction: nobody waits for the lock longer than a commit takes. With entries of the audit log in front of it,
# their chain's lock comes first: counting them makes the counter wait for them.
_APPEND = """
    {first} counter as (
        insert into event_sequences as counters (tenant_id, last) select :tenant_id, cardinality(cast(:id as uuid[])) {after}
        on conflict (tenant_id) do update set last = counters.last + excluded.last
        returning last - cardinality(cast(:id as uuid[])) as taken
    )
    insert into events (tenant_id, sequence, id, type, occurred_at, payment_id, previous_state, idempotency_key, payment)
    select :tenant_id, counter.taken + given.position, given.id, given.type, given.occurred_at, given.payment_id,
           given.previous_state, given.idempotency_key, given.payment
    from counter, unnest(
        cast(:id as uuid[]), cast(:type as text[]), cast(:occurred_at as timestamptz[]), cast(:payment_id as uuid[]),
        cast(:previous_state as text[]), cast(:idempotency_key as text[]), cast(:payment as jsonb[])
    ) with ordinality as given (id, type, occurred_at, payment_id, previous_state, idempotency_key, payment, position)
"""
_APPEND_EVENTS = text(_APPEND.format(first="with", after="where true"))
_APPEND_BOTH = text(
    _APPEND.format(first=f"with recorded as ({RECORDED}),", after="from (select count(*) from recorded) as done where true")
)


async def append_events(tx: Transaction, tenant_id: UUID, events: Sequence[Event], entries: Sequence[AuditEntry] = ()) -> None:
    """Give events the tenant's next sequence numbers, in the order given, and append entries to the audit log before.

    The last statement of its transaction.
    """
    parameters = {
        "tenant_id": tenant_id,
        "id": [event.id for event in events],
        "type": [event.type.value for event in events],
        "occurred_at": [event.occurred_at for event in events],
        "payment_id": [event.payment.id for event in events],
        "previous_state": [event.previous_state.value if event.previous_state else None for event in events],
        "idempotency_key": [event.idempotency_key for event in events],
        "payment": [orjson.dumps(to_document(event.payment)).decode() for event in events],
    }
    if entries and events:
        await tx.execute(_APPEND_BOTH, parameters | recorded(tenant_id, entries))
    elif entries:
        await record(tx, tenant_id, entries)
    elif events:
        await tx.execute(_APPEND_EVENTS, parameters)
