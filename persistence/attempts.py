"""Attempts: opened, leased, retried and closed, many at a time. An attempt is also the record of its idempotency key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from domain.attempt import Attempt, Resolution
from domain.partner import Mode
from domain.payment import LIVE_STATES, Payment, Verb
from domain.receipt import from_document, to_document
from persistence.database import Transaction
from persistence.partners import IN_MODE

_COLUMNS = (
    "id, payment_id, verb, idempotency_key, fingerprint, opened_at, lease_until, lease_token, tries, unanswered, "
    "sealed_card, resolution"
)
_GIVEN_ATTEMPTS = """unnest(
        cast(:id as uuid[]), cast(:payment_id as uuid[]), cast(:verb as text[]), cast(:idempotency_key as text[]),
        cast(:fingerprint as bytea[]), cast(:opened_at as timestamptz[]), cast(:lease_until as timestamptz[]),
        cast(:lease_token as uuid[]), cast(:tries as integer[]), cast(:unanswered as integer[]), cast(:sealed_card as bytea[])
    ) with ordinality as given (id, payment_id, verb, idempotency_key, fingerprint, opened_at, lease_until, lease_token, tries,
                                unanswered, sealed_card, position)"""
_INSERT_ATTEMPTS = f"""
    insert into attempts (tenant_id, id, payment_id, verb, idempotency_key, fingerprint, opened_at, lease_until, lease_token,
                          tries, unanswered, sealed_card)
    select :tenant_id, id, payment_id, verb, idempotency_key, fingerprint, opened_at, lease_until, lease_token, tries,
           unanswered, sealed_card
    from {_GIVEN_ATTEMPTS}
    where not exists (
        select from remembered_answers
        where tenant_id = :tenant_id and remembered_answers.idempotency_key = given.idempotency_key
    )"""
_LIVE = ", ".join(f"'{state.value}'" for state in sorted(LIVE_STATES))

_OPEN_OPERATIONS = text(f"{_INSERT_ATTEMPTS} order by idempotency_key, position on conflict do nothing returning id")

# Payments first, in the order of their orders, then attempts, in the order of their keys: every transaction takes the two unique
# indexes in this sequence, so none waits for another in a circle.
_OPEN_AUTHORIZATIONS = text(f"""
    with new_payments as (
        insert into payments (tenant_id, id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, card_id,
                              state, created_at)
        select :tenant_id, id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, card_id, 'PENDING',
               created_at
        from unnest(
            cast(:payments_id as uuid[]), cast(:order_id as text[]), cast(:customer_id as text[]),
            cast(:amount_minor as bigint[]), cast(:currency as text[]), cast(:card_brand as text[]),
            cast(:card_last_four as text[]), cast(:card_id as uuid[]), cast(:created_at as timestamptz[])
        ) with ordinality as given (id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, card_id,
                                    created_at, position)
        order by order_id, position
        on conflict (tenant_id, order_id) where state in ({_LIVE}) do nothing
        returning id
    ), new_attempts as (
        {_INSERT_ATTEMPTS} and payment_id in (select id from new_payments)
        order by idempotency_key, position
        on conflict do nothing
        returning id, payment_id
    )
    select new_payments.id as payment_id, new_attempts.id as attempt_id
    from new_payments left join new_attempts on new_attempts.payment_id = new_payments.id
""")
_DELETE_PAYMENTS = text("delete from payments where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))")
_BY_KEYS = text(f"select {_COLUMNS} from attempts where tenant_id = :tenant_id and idempotency_key = any(cast(:keys as text[]))")
_OPEN_OF_PAYMENTS = text(
    f"select {_COLUMNS} from attempts where tenant_id = :tenant_id and payment_id = any(cast(:ids as uuid[])) "
    "and closed_at is null"
)
_GET = text(f"select {_COLUMNS} from attempts where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))")
_RENEW = text("""
    update attempts set
        tries = attempts.tries + given.tries, unanswered = attempts.unanswered + given.unanswered,
        lease_until = given.lease_until, lease_token = given.next_token
    from unnest(
        cast(:id as uuid[]), cast(:lease_token as uuid[]), cast(:tries as integer[]), cast(:unanswered as integer[]),
        cast(:lease_until as timestamptz[]), cast(:next_token as uuid[])
    ) as given (id, lease_token, tries, unanswered, lease_until, next_token)
    where attempts.tenant_id = :tenant_id and attempts.id = given.id and attempts.lease_token = given.lease_token
        and attempts.closed_at is null
    returning attempts.id
""")
_CLOSE = text("""
    update attempts set closed_at = :closed_at, resolution = given.resolution, sealed_card = null
    from unnest(cast(:id as uuid[]), cast(:lease_token as uuid[]), cast(:resolution as jsonb[])) as given (id, lease_token, resolution)
    where attempts.tenant_id = :tenant_id and attempts.id = given.id and attempts.lease_token = given.lease_token
        and attempts.closed_at is null
    returning attempts.id
""")
_DUE_TENANTS = text(
    f"select distinct tenant_id from (select tenant_id from attempts where closed_at is null and lease_until <= :now "
    f"and {IN_MODE.format('tenant_id')} order by lease_until limit :scan) as due"
)
# Materialized: a plain subquery may be run again for each row that is joined, and finds other rows each time: more than the limit.
# A lease that ran out means that its holder died in the middle of a try, or gave it back: `lease_until` then is when to go on.
_LEASE_DUE = text(f"""
    with due as materialized (
        select id, lease_token from attempts
        where tenant_id = :tenant_id and closed_at is null and lease_until <= :now
        order by lease_until limit :limit
        for update skip locked
    )
    update attempts set
        lease_until = :lease_until, lease_token = :lease_token, tries = attempts.tries + 1,
        unanswered = attempts.unanswered + case when due.lease_token = :given_back then 0 else 1 end
    from due
    where attempts.tenant_id = :tenant_id and attempts.id = due.id
    returning {", ".join("attempts." + column for column in _COLUMNS.split(", "))}
""")
_COUNT_OPEN = text(
    "select count(*) from (select from attempts where tenant_id = :tenant_id and closed_at is null limit :limit) as open"
)
# The attempt stays, with its bank key and its outcome: it explains how its payment came to its state.
_FORGET_KEYS = text("""
    with old as materialized (
        select id from attempts
        where tenant_id = :tenant_id and closed_at < :before and idempotency_key is not null
        order by closed_at limit :limit
        for update skip locked
    )
    update attempts set idempotency_key = null from old
    where attempts.tenant_id = :tenant_id and attempts.id = old.id
""")

MAX_DUE_SCAN = 1000  # rows looked at for tenants with work; the rest comes with the next tick
GIVEN_BACK = UUID(int=0)  # the lease token of an attempt that nobody works on until it is due


@dataclass(frozen=True, slots=True)
class Closing:
    """How an attempt ended, by the holder of its lease."""

    attempt_id: UUID
    lease_token: UUID
    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Renewal:
    """What its holder does with a lease between two tries: prolong it for the next one, or give it back until `lease_until`."""

    attempt_id: UUID
    lease_token: UUID
    next_token: UUID  # the same to keep it, GIVEN_BACK to give it back
    lease_until: datetime
    tries: int  # tries begun with this: 1 or 0
    unanswered: int  # whether the last try may have reached the bank and brought no answer: 1 or 0


def _attempt(row: Row[Any]) -> Attempt:
    resolution = None
    if row.resolution is not None:
        resolution = Resolution(from_document(row.resolution["payment"]), row.resolution["refusal"])
    return Attempt(
        id=row.id,
        payment_id=row.payment_id,
        verb=Verb(row.verb),
        idempotency_key=row.idempotency_key,
        fingerprint=row.fingerprint,
        opened_at=row.opened_at,
        lease_until=row.lease_until,
        lease_token=row.lease_token,
        tries=row.tries,
        unanswered=row.unanswered,
        sealed_card=row.sealed_card,
        resolution=resolution,
    )


def _given(tenant_id: UUID, attempts: Sequence[Attempt]) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "id": [each.id for each in attempts],
        "payment_id": [each.payment_id for each in attempts],
        "verb": [each.verb.value for each in attempts],
        "idempotency_key": [each.idempotency_key for each in attempts],
        "fingerprint": [each.fingerprint for each in attempts],
        "opened_at": [each.opened_at for each in attempts],
        "lease_until": [each.lease_until for each in attempts],
        "lease_token": [each.lease_token for each in attempts],
        "tries": [each.tries for each in attempts],
        "unanswered": [each.unanswered for each in attempts],
        "sealed_card": [each.sealed_card for each in attempts],
    }


async def open_authorizations(tx: Transaction, tenant_id: UUID, opened: Sequence[tuple[Payment, Attempt]]) -> set[UUID]:
    """Insert payments and the attempts to authorize them. Returns the ids of the attempts that were opened.

    The others left nothing behind: their order has a live payment, or their idempotency key is taken; `attempts_by_keys` tells.
    """
    payments = [payment for payment, _ in opened]
    parameters = _given(tenant_id, [attempt for _, attempt in opened]) | {
        "payments_id": [payment.id for payment in payments],
        "order_id": [payment.order_id for payment in payments],
        "customer_id": [payment.customer_id for payment in payments],
        "amount_minor": [payment.amount.minor_units for payment in payments],
        "currency": [payment.amount.currency for payment in payments],
        "card_brand": [payment.card.brand.value for payment in payments],
        "card_last_four": [payment.card.last_four for payment in payments],
        "card_id": [payment.card_id for payment in payments],
        "created_at": [payment.created_at for payment in payments],
    }
    rows = (await tx.execute(_OPEN_AUTHORIZATIONS, parameters)).all()
    in_vain = [row.payment_id for row in rows if row.attempt_id is None]
    if in_vain:  # the key was taken: their payments were never anything but a row of this transaction
        await tx.execute(_DELETE_PAYMENTS, {"tenant_id": tenant_id, "ids": in_vain})
    return {row.attempt_id for row in rows if row.attempt_id is not None}


async def open_operations(tx: Transaction, tenant_id: UUID, attempts: Sequence[Attempt]) -> set[UUID]:
    """Insert attempts on payments that this transaction has locked. Returns the ids of those opened.

    The others left nothing behind: their key is taken, or their payment has another attempt open.
    """
    return {row.id for row in await tx.execute(_OPEN_OPERATIONS, _given(tenant_id, attempts))}


async def attempts_by_keys(tx: Transaction, tenant_id: UUID, keys: Sequence[str]) -> dict[str, Attempt]:
    """The attempts that hold these idempotency keys."""
    rows = await tx.execute(_BY_KEYS, {"tenant_id": tenant_id, "keys": list(keys)})
    return {row.idempotency_key: _attempt(row) for row in rows}


async def open_attempts_of(tx: Transaction, tenant_id: UUID, payment_ids: Sequence[UUID]) -> dict[UUID, Attempt]:
    """The open attempt of each of these payments that has one."""
    rows = await tx.execute(_OPEN_OF_PAYMENTS, {"tenant_id": tenant_id, "ids": list(payment_ids)})
    return {row.payment_id: _attempt(row) for row in rows}


async def count_open_attempts(tx: Transaction, tenant_id: UUID, *, limit: int) -> int:
    """How many attempts are open, counted up to `limit`."""
    count: int = (await tx.execute(_COUNT_OPEN, {"tenant_id": tenant_id, "limit": limit})).scalar_one()
    return count


async def get_attempts(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Attempt]:
    """The attempts with these ids."""
    return {row.id: _attempt(row) for row in await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(ids)})}


async def renew_leases(tx: Transaction, tenant_id: UUID, renewals: Sequence[Renewal]) -> set[UUID]:
    """Prolong leases or give them back. Returns the ids of those still held; the others were taken over or closed."""
    parameters = {
        "tenant_id": tenant_id,
        "id": [each.attempt_id for each in renewals],
        "lease_token": [each.lease_token for each in renewals],
        "lease_until": [each.lease_until for each in renewals],
        "next_token": [each.next_token for each in renewals],
        "tries": [each.tries for each in renewals],
        "unanswered": [each.unanswered for each in renewals],
    }
    return {row.id for row in await tx.execute(_RENEW, parameters)}


async def close_attempts(tx: Transaction, tenant_id: UUID, closings: Sequence[Closing], closed_at: datetime) -> set[UUID]:
    """Close attempts and erase their cards. Returns the ids of those closed; for the others somebody else holds the lease."""
    parameters = {
        "tenant_id": tenant_id,
        "closed_at": closed_at,
        "id": [each.attempt_id for each in closings],
        "lease_token": [each.lease_token for each in closings],
        "resolution": [
            orjson.dumps({"payment": to_document(each.resolution.payment), "refusal": each.resolution.refusal}).decode()
            for each in closings
        ],
    }
    return {row.id for row in await tx.execute(_CLOSE, parameters)}


async def tenants_with_due_attempts(tx: Transaction, now: datetime, mode: Mode) -> list[UUID]:
    """Who has an open attempt whose lease ran out, in one mode. Needs the worker's login and no tenant."""
    return [row.tenant_id for row in await tx.execute(_DUE_TENANTS, {"now": now, "scan": MAX_DUE_SCAN, "mode": mode})]


async def lease_due_attempts(
    tx: Transaction, tenant_id: UUID, *, now: datetime, lease_until: datetime, lease_token: UUID, limit: int
) -> list[Attempt]:
    """Take over attempts whose lease ran out, the longest waiting first, skipping those that another worker is taking."""
    parameters = {
        "tenant_id": tenant_id,
        "now": now,
        "lease_until": lease_until,
        "lease_token": lease_token,
        "given_back": GIVEN_BACK,
        "limit": limit,
    }
    return [_attempt(row) for row in await tx.execute(_LEASE_DUE, parameters)]


async def forget_keys(tx: Transaction, tenant_id: UUID, *, before: datetime, limit: int) -> int:
    """Forget the idempotency keys of attempts that were closed before then. Returns how many, at most `limit`."""
    return (await tx.execute(_FORGET_KEYS, {"tenant_id": tenant_id, "before": before, "limit": limit})).rowcount
