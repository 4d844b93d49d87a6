"""Payments: saved and read, many at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.card import CardBrand, CardSummary
from domain.money import Money
from domain.payment import (
    BankReferences,
    Decline,
    DeclineCode,
    Payment,
    PaymentState,
    PendingOperation,
    ReviewReason,
    Standing,
    Verb,
)
from persistence.database import Transaction

MAX_HELD_SCAN = 1000  # old holds looked at for tenants with some; the rest comes with the next look
MAX_PAYMENTS_OF_ORDER = 1000  # tries to pay one order; the live or the newest one decides, and it is among them

# Each state a payment can be in, and the column that says since when.
REACHED_COLUMNS: Mapping[PaymentState, str] = {
    PaymentState.PENDING: "created_at",
    PaymentState.AUTHORIZED: "authorized_at",
    PaymentState.CAPTURED: "captured_at",
    PaymentState.VOIDED: "voided_at",
    PaymentState.REFUNDED: "refunded_at",
    PaymentState.DECLINED: "declined_at",
    PaymentState.EXPIRED: "expired_at",
}
COLUMNS = (
    "id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, card_id, state, "
    + ", ".join(REACHED_COLUMNS.values())
    + ", bank_authorization, bank_capture, bank_void, bank_refund, decline_code, decline_message, review_reasons"
)

# A payment and what is under way come out of one statement, hence of one moment. Read one after the other, a void that ends in
# between would look like a hold at rest, and the goods would leave.
STANDING_COLUMNS = ", ".join(f"payments.{column}" for column in COLUMNS.split(", ")) + (
    ", attempts.verb as pending_verb, attempts.opened_at as pending_since, attempts.tries as pending_tries"
)
_STANDING = f"""
    select {STANDING_COLUMNS} from payments left join attempts
        on attempts.tenant_id = payments.tenant_id and attempts.payment_id = payments.id and attempts.closed_at is null
    where payments.tenant_id = :tenant_id"""
_STANDING_OF_IDS = text(f"{_STANDING} and payments.id = any(cast(:ids as uuid[]))")
_STANDING_OF_ORDERS = text(
    f"{_STANDING} and payments.order_id = any(cast(:order_ids as text[])) "
    "order by payments.created_at desc, payments.id desc limit :limit"
)
_GET = text(f"select {COLUMNS} from payments where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))")
# In the order of their ids, so that two transactions that lock several never wait for each other in a circle.
_LOCK = text(_GET.text + " order by id for update")
_TENANTS_WITH_OLD_HOLDS = text(
    "select distinct tenant_id from (select tenant_id from payments where state = 'AUTHORIZED' and created_at <= :until "
    "order by created_at limit :scan) as held"
)
# Who is busy with one of them has its lock, or an attempt open; both come back with the next look.
_LOCK_OLD_HOLDS = text(f"""
    select {COLUMNS} from payments
    where tenant_id = :tenant_id and state = 'AUTHORIZED' and created_at <= :until and not exists (
        select from attempts
        where attempts.tenant_id = payments.tenant_id and attempts.payment_id = payments.id and attempts.closed_at is null)
    order by created_at limit :limit for update skip locked
""")
_SAVE = text("""
    update payments set
        state = given.state, authorized_at = given.authorized_at, captured_at = given.captured_at,
        voided_at = given.voided_at, refunded_at = given.refunded_at, declined_at = given.declined_at,
        expired_at = given.expired_at, bank_authorization = given.bank_authorization, bank_capture = given.bank_capture,
        bank_void = given.bank_void, bank_refund = given.bank_refund, decline_code = given.decline_code,
        decline_message = given.decline_message, review_reasons = string_to_array(given.review_reasons, ',')
    from unnest(
        cast(:id as uuid[]), cast(:state as text[]), cast(:authorized_at as timestamptz[]), cast(:captured_at as timestamptz[]),
        cast(:voided_at as timestamptz[]), cast(:refunded_at as timestamptz[]), cast(:declined_at as timestamptz[]),
        cast(:expired_at as timestamptz[]), cast(:bank_authorization as text[]), cast(:bank_capture as text[]),
        cast(:bank_void as text[]), cast(:bank_refund as text[]), cast(:decline_code as text[]),
        cast(:decline_message as text[]), cast(:review_reasons as text[])
    ) as given (id, state, authorized_at, captured_at, voided_at, refunded_at, declined_at, expired_at, bank_authorization,
                bank_capture, bank_void, bank_refund, decline_code, decline_message, review_reasons)
    where payments.tenant_id = :tenant_id and payments.id = given.id
""")


def payment_of(row: Row[Any]) -> Payment:
    """A row of `COLUMNS` as a payment."""
    reached: dict[PaymentState, datetime] = {}
    for state, column in REACHED_COLUMNS.items():
        at = getattr(row, column)
        if at is not None:
            reached[state] = at
    return Payment(
        id=row.id,
        order_id=row.order_id,
        customer_id=row.customer_id,
        amount=Money(row.amount_minor, row.currency),
        card=CardSummary(CardBrand(row.card_brand), row.card_last_four),
        card_id=row.card_id,
        state=PaymentState(row.state),
        reached=reached,
        bank=BankReferences(row.bank_authorization, row.bank_capture, row.bank_void, row.bank_refund),
        decline=Decline(DeclineCode(row.decline_code), row.decline_message) if row.decline_code else None,
        review_reasons=frozenset(ReviewReason(reason) for reason in row.review_reasons),
    )


def standing_of(row: Row[Any]) -> Standing:
    """A row of `STANDING_COLUMNS` as a payment with what is under way."""
    pending = PendingOperation(Verb(row.pending_verb), row.pending_since, row.pending_tries) if row.pending_verb else None
    return Standing(payment_of(row), pending)


async def get_payments(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Payment]:
    """The tenant's payments among `ids`."""
    rows = await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(ids)})
    return {row.id: payment_of(row) for row in rows}


async def lock_payments(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Payment]:
    """The same, locked against every other change until the transaction ends."""
    rows = await tx.execute(_LOCK, {"tenant_id": tenant_id, "ids": list(ids)})
    return {row.id: payment_of(row) for row in rows}


async def tenants_with_old_holds(tx: Transaction, until: datetime) -> list[UUID]:
    """Who has an AUTHORIZED payment that was created at `until` or before. Needs the worker's login and no tenant."""
    return [row.tenant_id for row in await tx.execute(_TENANTS_WITH_OLD_HOLDS, {"until": until, "scan": MAX_HELD_SCAN})]


async def lock_old_holds(tx: Transaction, tenant_id: UUID, until: datetime, limit: int) -> list[Payment]:
    """AUTHORIZED payments created at `until` or before, oldest first, locked.

    An attempt may have been opened between the look and the lock: ask `open_attempts_of` before relying on there being none.
    """
    rows = await tx.execute(_LOCK_OLD_HOLDS, {"tenant_id": tenant_id, "until": until, "limit": limit})
    return [payment_of(row) for row in rows]


async def get_standings(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """How the tenant's payments among `ids` stand at this moment."""
    rows = await tx.execute(_STANDING_OF_IDS, {"tenant_id": tenant_id, "ids": list(ids)})
    return {row.id: standing_of(row) for row in rows}


async def get_standings_of_orders(tx: Transaction, tenant_id: UUID, order_ids: Sequence[str]) -> list[Standing]:
    """How all payments of these orders stand at this moment, newest first, up to MAX_PAYMENTS_OF_ORDER."""
    parameters = {"tenant_id": tenant_id, "order_ids": list(order_ids), "limit": MAX_PAYMENTS_OF_ORDER}
    return [standing_of(row) for row in await tx.execute(_STANDING_OF_ORDERS, parameters)]


async def save_payments(tx: Transaction, tenant_id: UUID, payments: Sequence[Payment]) -> None:
    """Write what a step can change. The rows are locked by the caller's transaction."""
    columns = {
        column: [payment.reached.get(state) for payment in payments]
        for state, column in REACHED_COLUMNS.items()
        if state is not PaymentState.PENDING
    }
    declines = [payment.decline for payment in payments]
    await tx.execute(
        _SAVE,
        {
            "tenant_id": tenant_id,
            "id": [payment.id for payment in payments],
            "state": [payment.state.value for payment in payments],
            **columns,
            "bank_authorization": [payment.bank.authorization for payment in payments],
            "bank_capture": [payment.bank.capture for payment in payments],
            "bank_void": [payment.bank.void for payment in payments],
            "bank_refund": [payment.bank.refund for payment in payments],
            "decline_code": [decline.code.value if decline else None for decline in declines],
            "decline_message": [decline.message if decline else None for decline in declines],
            # An array of arrays can't be unnested row by row, hence the comma; reasons are names of ours without one.
            "review_reasons": [",".join(sorted(reason.value for reason in each.review_reasons)) for each in payments],
        },
    )
