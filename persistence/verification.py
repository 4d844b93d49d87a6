"""Everything that the checker looks at, in pages, as `domain.records` has it: also rows that no other query would survive.

A page is one moment: `at_one_moment` makes its transaction see a single snapshot, so that a payment, its attempts and its events
fit together while the system runs. Documents are taken apart by the database, which answers null where there is nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.payment import BankReferences
from domain.records import AttemptRecord, EventRecord, History, PaymentRecord, Snapshot, Terms
from domain.settlement import STUCK
from persistence.database import Transaction
from persistence.payments import REACHED_COLUMNS

PAGE = 1000  # payments of a page: some 5 MB with their attempts and events
NUMBERS_PAGE = 10_000  # event numbers of a page: 80 kB
BEGINNING = UUID(int=0)  # no id of ours: they carry their time
MAX_DIGITS = 19  # of an amount in a document; a longer one is not one of ours

_PAYMENT = (
    "id, order_id, customer_id, amount_minor::text, currency, card_brand, card_last_four, state, bank_authorization, bank_capture, "
    f"bank_void, bank_refund, review_reasons, {', '.join(REACHED_COLUMNS.values())}"
)


def _document(column: str) -> str:
    """What is read of a stored payment: the columns of the same names. `column` is the path to it."""
    fields = {
        "order_id": "order_id",
        "customer_id": "customer_id",
        "amount_minor": "amount,minor_units",
        "currency": "amount,currency",
        "card_brand": "card,brand",
        "card_last_four": "card,last_four",
        "state": "state",
        "bank_authorization": "bank,authorization",
        "bank_capture": "bank,capture",
        "bank_void": "bank,void",
        "bank_refund": "bank,refund",
    }
    return ", ".join(f"{column} #>> '{{{path}}}' as {name}" for name, path in fields.items())


_PAGE = text(f"select {_PAYMENT} from payments where tenant_id = :tenant_id and id > :after order by id limit :limit")
_AGAIN = text(f"select {_PAYMENT} from payments where tenant_id = :tenant_id and id = any(cast(:ids as uuid[])) order by id")
_ATTEMPTS = text(f"""
    select id, payment_id, verb, opened_at, tries, unanswered, sealed_card is not null as keeps_card, closed_at,
           resolution is not null as is_resolved, {_document("resolution -> 'payment'")}
    from attempts where tenant_id = :tenant_id and payment_id = any(cast(:ids as uuid[])) order by id
""")
_EVENTS = text(f"""
    select sequence, payment_id, type, occurred_at, previous_state, {_document("payment")}
    from events where tenant_id = :tenant_id and payment_id = any(cast(:ids as uuid[])) order by sequence
""")
# What was a flag before an entry and is none after it. An entry that has no list of flags dropped none.
_SETTLED = text("""
    select payment_id, had.reason
    from audit_log cross join lateral jsonb_array_elements_text(
        case when jsonb_typeof(before -> 'review_reasons') = 'array' then before -> 'review_reasons' else '[]' end
    ) as had (reason)
    where tenant_id = :tenant_id and payment_id = any(cast(:ids as uuid[]))
        and jsonb_typeof(after -> 'review_reasons') = 'array' and not jsonb_exists(after -> 'review_reasons', had.reason)
""")
_NUMBERS = text("select sequence from events where tenant_id = :tenant_id and sequence > :after order by sequence limit :limit")
_COUNTER = text("select last, forgotten, forgotten_until from event_sequences where tenant_id = :tenant_id")
_OPEN = text("""
    select count(*) from attempts join payments on payments.tenant_id = attempts.tenant_id and payments.id = attempts.payment_id
    where attempts.tenant_id = :tenant_id and attempts.closed_at is null
        and not payments.review_reasons && cast(:resting as text[])
""")
_ONE_MOMENT = text("set transaction isolation level repeatable read, read only")


async def at_one_moment(tx: Transaction) -> None:
    """Let this transaction see everything as it is now, and write nothing. Its first statement."""
    await tx.execute(_ONE_MOMENT)


async def page_of_histories(tx: Transaction, tenant_id: UUID, after: UUID, limit: int) -> list[History]:
    """Payments behind `after`, in the order of their ids, with everything that belongs to them."""
    rows = await tx.execute(_PAGE, {"tenant_id": tenant_id, "after": after, "limit": limit})
    return await _histories(tx, tenant_id, rows.all())


async def get_histories(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, History]:
    """The same of these payments."""
    rows = await tx.execute(_AGAIN, {"tenant_id": tenant_id, "ids": list(ids)})
    return {history.payment.id: history for history in await _histories(tx, tenant_id, rows.all())}


async def page_of_event_numbers(tx: Transaction, tenant_id: UUID, after: int, limit: int) -> tuple[list[int], int | None, int]:
    """The numbers of the tenant's events behind `after`, ascending; where the counter stands (None: there is none); and up to which number
    events have gone with their age.
    """
    rows = await tx.execute(_NUMBERS, {"tenant_id": tenant_id, "after": after, "limit": limit})
    numbers = [row.sequence for row in rows]
    counter = (await tx.execute(_COUNTER, {"tenant_id": tenant_id})).one_or_none()
    return numbers, None if counter is None else counter.last, 0 if counter is None else counter.forgotten


async def count_unsettled_attempts(tx: Transaction, tenant_id: UUID) -> int:
    """How many attempts are open that end without an operator."""
    found = await tx.execute(_OPEN, {"tenant_id": tenant_id, "resting": sorted(STUCK)})
    return int(found.scalar_one())


async def _histories(tx: Transaction, tenant_id: UUID, payments: Sequence[Row[Any]]) -> list[History]:
    given = {"tenant_id": tenant_id, "ids": [row.id for row in payments]}
    attempts: dict[UUID, list[AttemptRecord]] = defaultdict(list)
    for row in await tx.execute(_ATTEMPTS, given):
        attempts[row.payment_id].append(_attempt(row))
    events: dict[UUID, list[EventRecord]] = defaultdict(list)
    for row in await tx.execute(_EVENTS, given):
        events[row.payment_id].append(_event(row))
    settled: dict[UUID, set[str]] = defaultdict(set)
    for row in await tx.execute(_SETTLED, given):
        settled[row.payment_id].add(str(row.reason))
    counter = (await tx.execute(_COUNTER, {"tenant_id": tenant_id})).one_or_none()
    forgotten_until = None if counter is None or counter.forgotten_until is None else _time(counter.forgotten_until)
    return [
        History(
            tenant_id=tenant_id,
            payment=_payment(row),
            attempts=tuple(attempts.get(row.id, ())),
            events=tuple(events.get(row.id, ())),
            settled=frozenset(settled.get(row.id, ())),
            forgotten_until=forgotten_until,
        )
        for row in payments
    ]


def _payment(row: Row[Any]) -> PaymentRecord:
    reached = {state: getattr(row, column) for state, column in REACHED_COLUMNS.items()}
    return PaymentRecord(
        id=row.id,
        terms=_terms(row),
        state=row.state,
        reached={str(state): _time(at) for state, at in reached.items() if at is not None},
        bank=_references(row),
        review_reasons=frozenset(map(str, row.review_reasons)),
    )


def _attempt(row: Row[Any]) -> AttemptRecord:
    return AttemptRecord(
        id=row.id,
        verb=row.verb,
        opened_at=_time(row.opened_at),
        tries=row.tries,
        unanswered=row.unanswered,
        closed_at=None if row.closed_at is None else _time(row.closed_at),
        resolution=_snapshot(row) if row.is_resolved else None,
        keeps_card=row.keeps_card,
    )


def _event(row: Row[Any]) -> EventRecord:
    return EventRecord(
        sequence=row.sequence,
        type=row.type,
        occurred_at=_time(row.occurred_at),
        previous_state=row.previous_state,
        payment=_snapshot(row),
    )


def _snapshot(row: Row[Any]) -> Snapshot:
    return Snapshot(row.state, _terms(row), _references(row))


def _terms(row: Row[Any]) -> Terms:
    amount: str | None = row.amount_minor
    is_whole = amount is not None and amount.isascii() and amount.isdigit() and len(amount) <= MAX_DIGITS
    return Terms(
        order_id=row.order_id,
        customer_id=row.customer_id,
        amount_minor=int(amount) if amount is not None and is_whole else None,
        currency=row.currency,
        card_brand=row.card_brand,
        card_last_four=row.card_last_four,
    )


def _references(row: Row[Any]) -> BankReferences:
    return BankReferences(row.bank_authorization, row.bank_capture, row.bank_void, row.bank_refund)


def _time(at: datetime) -> datetime:
    """`infinity` comes without a zone, and would not compare with the others."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)
