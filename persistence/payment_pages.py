"""Pages of payments, newest first: keyset cursors, so that a page costs the same however deep it lies and whatever is inserted."""

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal_column, select, tuple_

from domain.payment import Payment, PaymentState, Standing
from persistence.database import Transaction
from persistence.payments import COLUMNS, standing_of
from persistence.tables import attempts, payments, users

MAX_PAGE = 100  # rows of a page: what one screen shows, and what one answer may cost
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = [
    *(payments.c[name] for name in COLUMNS.split(", ")),
    attempts.c.verb.label("pending_verb"),
    attempts.c.opened_at.label("pending_since"),
    attempts.c.tries.label("pending_tries"),
]
_NO_REASONS: ColumnElement[list[str]] = literal_column("'{}'")  # spelled as in the index `payments_to_review`, or it is not used
_WITH_OPEN_ATTEMPT = payments.outerjoin(
    attempts,
    and_(
        attempts.c.tenant_id == payments.c.tenant_id,
        attempts.c.payment_id == payments.c.id,
        attempts.c.closed_at.is_(None),
    ),
)


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Which payments; None leaves a question open. Amounts in minor units, both ends included; times: [after, before)."""

    order_id: str | None = None
    customer_id: str | None = None
    states: Sequence[PaymentState] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    min_amount: int | None = None
    max_amount: int | None = None
    needs_review: bool | None = None
    card_id: UUID | None = None
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: right behind (or before) this payment, whether it still matches the filter or not."""

    created_at: datetime
    id: UUID

    def encode(self) -> str:
        """Opaque text for clients."""
        micros = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(struct.pack(">q", micros) + self.id.bytes).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor | None":
        """The cursor that `encode` wrote, or None for anything else."""
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            (micros,) = struct.unpack(">q", raw[:8])
            cursor = cls(_EPOCH + timedelta(microseconds=micros), UUID(bytes=raw[8:]))
        except (UnicodeEncodeError, binascii.Error, struct.error, ValueError, OverflowError):
            return None
        return cursor if cursor.encode() == text else None


@dataclass(frozen=True, slots=True)
class Page:
    """Payments as they stood at one moment, newest first, and whether there are more on either side."""

    standings: list[Standing]
    has_next: bool
    has_previous: bool


def cursor_of(payment: Payment) -> Cursor:
    """Where a payment stands in the list."""
    return Cursor(payment.created_at, payment.id)


async def page_of_payments(
    tx: Transaction,
    tenant_id: UUID,
    where: PaymentFilter,
    *,
    limit: int,
    backward: bool = False,
    after: Cursor | None = None,
    before: Cursor | None = None,
) -> Page:
    """The first `limit` payments between the cursors, or the last ones when `backward`."""
    assert 0 <= limit <= MAX_PAGE
    place = tuple_(payments.c.created_at, payments.c.id)
    conditions = _conditions(tenant_id, where)
    if after is not None:
        conditions.append(place < (after.created_at, after.id))
    if before is not None:
        conditions.append(place > (before.created_at, before.id))
    order = (payments.c.created_at, payments.c.id)
    query = (
        select(*_COLUMNS)
        .select_from(_WITH_OPEN_ATTEMPT)
        .where(and_(*conditions))
        .order_by(*(order if backward else [column.desc() for column in order]))
        .limit(limit + 1)  # one more tells whether there is more
    )
    found = [standing_of(row) for row in await tx.execute(query)]
    more, found = len(found) > limit, found[:limit]
    if backward:
        return Page(found[::-1], has_next=before is not None, has_previous=more)
    return Page(found, has_next=more, has_previous=after is not None)


async def count_payments(tx: Transaction, tenant_id: UUID, where: PaymentFilter) -> int:
    """How many payments match: a scan of all of them, so only for who asks."""
    query = select(func.count()).select_from(payments).where(and_(*_conditions(tenant_id, where)))
    return int((await tx.execute(query)).scalar_one())


def _conditions(tenant_id: UUID, where: PaymentFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [payments.c.tenant_id == tenant_id]
    if where.order_id is not None:
        conditions.append(payments.c.order_id == where.order_id)
    if where.customer_id is not None:
        conditions.append(payments.c.customer_id == where.customer_id)
    if where.card_id is not None:
        conditions.append(payments.c.card_id == where.card_id)
    if where.user_id is not None:  # whoever the partner knows as this customer: payments of before the user was made, too
        customer = select(users.c.external_id).where(users.c.tenant_id == tenant_id, users.c.id == where.user_id)
        conditions.append(payments.c.customer_id == customer.scalar_subquery())
    if where.states is not None:
        conditions.append(payments.c.state.in_([state.value for state in where.states]))
    if where.created_after is not None:
        conditions.append(payments.c.created_at >= where.created_after)
    if where.created_before is not None:
        conditions.append(payments.c.created_at < where.created_before)
    if where.min_amount is not None:
        conditions.append(payments.c.amount_minor >= where.min_amount)
    if where.max_amount is not None:
        conditions.append(payments.c.amount_minor <= where.max_amount)
    if where.needs_review is not None:
        reasons = payments.c.review_reasons
        conditions.append(reasons != _NO_REASONS if where.needs_review else reasons == _NO_REASONS)
    return conditions
