"""The log of events: append-only, one gapless sequence for each tenant, in the order of the commits."""

from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from domain.event import Event
from domain.receipt import to_document
from persistence.database import Transaction

# The tenant's counter is locked from here to the commit, which makes the sequence gapless and in commit order. So this is the
# last statement of a transaction: nobody waits for the lock longer than a commit takes.
_APPEND = text("""
    with counter as (
        insert into event_sequences as counters (tenant_id, last) values (:tenant_id, cardinality(cast(:id as uuid[])))
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
""")


async def append_events(tx: Transaction, tenant_id: UUID, events: Sequence[Event]) -> None:
    """Give events the tenant's next sequence numbers, in the order given. The last statement of its transaction."""
    await tx.execute(
        _APPEND,
        {
            "tenant_id": tenant_id,
            "id": [event.id for event in events],
            "type": [event.type.value for event in events],
            "occurred_at": [event.occurred_at for event in events],
            "payment_id": [event.payment.id for event in events],
            "previous_state": [event.previous_state.value if event.previous_state else None for event in events],
            "idempotency_key": [event.idempotency_key for event in events],
            "payment": [orjson.dumps(to_document(event.payment)).decode() for event in events],
        },
    )
