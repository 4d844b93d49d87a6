"""Begin and finish: the two transactions around a bank call, for many requests of one tenant at a time.

Both take lists because concurrent requests will be coalesced into one transaction; a single request is a list of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.answer import IdempotencyMismatch, NotFound, OrderAlreadyPaid, Refusal, refusal_of
from domain.attempt import Attempt, Resolution
from domain.audit import REQUESTED, UNKNOWN_ORIGIN, AuditEntry, Origin, entry_of_request
from domain.card import CardDetails
from domain.event import Event, event_of
from domain.failpoint import Failpoint
from domain.fingerprint import fingerprint_of_authorize, fingerprint_of_operation
from domain.payment import (
    LIVE_STATES,
    STATE_FOR,
    Authorized,
    Outcome,
    Payment,
    PaymentState,
    ReviewReason,
    Verb,
    review,
    step,
)
from domain.request import AuthorizeRequest, ChosenCard, OperateRequest
from gateway.changes import Change, record_changes
from gateway.interpretation import refusal_sentence
from gateway.parts import Parts
from gateway.sealing import seal_card
from gateway.stored_cards import cards_in_full, refuse_cards
from gateway.vault.data_key import DataKey
from persistence import attempts as attempt_rows
from persistence.database import DatabaseAway, Transaction
from persistence.events import append_events
from persistence.payments import get_standings_of_orders, lock_payments
from persistence.remembered_answers import remembered_keys

LEASE_S = 20.0  # longer than one call can take (bank.transport.TOTAL_TIMEOUT_S = 14) with room for clocks that differ
MAX_ROUNDS = 3  # an order that changes hands between two statements is looked at again, this often


@dataclass(frozen=True, slots=True)
class Begun:
    """Opened here and now, and leased to us: ask the bank."""

    attempt: Attempt
    payment: Payment


@dataclass(frozen=True, slots=True)
class Known:
    """The same request came before: its attempt has the answer, or will have."""

    attempt: Attempt


Beginning = Begun | Known | Refusal


@dataclass(frozen=True, slots=True)
class Finding:
    """What an attempt came to."""

    attempt: Attempt
    outcome: Outcome


def lease_end(now: datetime) -> datetime:
    """How long a lease taken now lasts."""
    return now + timedelta(seconds=LEASE_S)


async def begin_authorizations(
    parts: Parts, tenant_id: UUID, requests: Sequence[AuthorizeRequest], origins: Sequence[Origin] = ()
) -> list[Beginning]:
    """Transaction 1 of authorizations: make each durable as a PENDING payment with an open attempt, or say why not.

    `origins`: of each request, for the audit log's entry of what is begun. Without them they are unknown.
    """
    beginnings: dict[int, Beginning] = {}
    key = await parts.vault.current_key(tenant_id)
    whole = await cards_in_full(parts, tenant_id, requests)
    opened = {
        index: _new_authorization(parts, key, request, card)
        for index, (request, card) in enumerate(zip(requests, whole, strict=True))
        if card is not None
    }
    async with parts.database.tenant(tenant_id) as tx:
        refusals = await refuse_cards(tx, tenant_id, requests, whole, parts.world.now())
        if refusals:  # unless they were made before: then the card's state of today is nothing to them
            asked = {index: _asked(parts, requests[index]) for index in refusals}
            beginnings |= refusals | await _met_before(tx, tenant_id, asked)
        for _ in range(MAX_ROUNDS):
            left = [index for index in range(len(requests)) if index not in beginnings]
            if not left:
                break
            done = await attempt_rows.open_authorizations(tx, tenant_id, [opened[index] for index in left])
            for index in left:
                payment, attempt = opened[index]
                if attempt.id in done:
                    beginnings[index] = Begun(attempt, payment)
            refused = [index for index in left if index not in beginnings]
            if refused:
                beginnings |= await _explain(parts, tx, tenant_id, {index: requests[index] for index in refused})
        if len(beginnings) < len(requests):
            raise DatabaseAway("an order kept changing hands")
        begun = {index: each for index, each in beginnings.items() if isinstance(each, Begun)}
        if begun:
            entries = [_requested(parts, each, index, origins) for index, each in begun.items()]
            await append_events(tx, tenant_id, [_created(parts, each) for each in begun.values()], entries)
            await parts.world.reach(Failpoint.REQUEST_CLAIMED)
    return [beginnings[index] for index in range(len(requests))]


async def _explain(parts: Parts, tx: Transaction, tenant_id: UUID, refused: dict[int, AuthorizeRequest]) -> dict[int, Beginning]:
    """Why these could not be opened. One whose obstacle has just gone is left out, to be tried again."""
    found = await _met_before(tx, tenant_id, {index: _asked(parts, request) for index, request in refused.items()})
    orders = {request.order_id for index, request in refused.items() if index not in found}
    if orders:
        known = [each.payment for each in await get_standings_of_orders(tx, tenant_id, sorted(orders))]
        live = {payment.order_id: payment for payment in known if payment.state in LIVE_STATES}
        for index, request in refused.items():
            if index not in found and request.order_id in live:
                payment = live[request.order_id]
                found[index] = OrderAlreadyPaid(request.order_id, payment.id, payment.state)
    return found


async def _met_before(tx: Transaction, tenant_id: UUID, asked: dict[int, tuple[str, bytes]]) -> dict[int, Beginning]:
    """What became of those requests, given by idempotency key and fingerprint, whose key was used before."""
    by_key = await attempt_rows.attempts_by_keys(tx, tenant_id, [key for key, _ in asked.values()])
    unknown = [key for key, _ in asked.values() if key not in by_key]
    elsewhere = await remembered_keys(tx, tenant_id, unknown) if unknown else set()
    found: dict[int, Beginning] = {}
    for index, (key, fingerprint) in asked.items():
        if key in by_key:
            found[index] = _known(by_key[key], fingerprint, key)
        elif key in elsewhere:
            found[index] = IdempotencyMismatch(key)
    return found


def _asked(parts: Parts, request: AuthorizeRequest) -> tuple[str, bytes]:
    return request.idempotency_key, fingerprint_of_authorize(request, parts.fingerprint_secret)


async def begin_operations(
    parts: Parts, tenant_id: UUID, requests: Sequence[tuple[Verb, OperateRequest]], origins: Sequence[Origin] = ()
) -> list[Beginning]:
    """Transaction 1 of captures, voids and refunds: the state machine is asked before the bank is, with the payment locked."""
    beginnings: dict[int, Beginning] = {}
    wanted: dict[int, tuple[Payment, Attempt]] = {}
    ids = sorted({request.payment_id for _, request in requests if request.payment_id is not None})
    async with parts.database.tenant(tenant_id) as tx:
        payments = await lock_payments(tx, tenant_id, ids)
        by_key = await attempt_rows.attempts_by_keys(tx, tenant_id, [request.idempotency_key for _, request in requests])
        under_way = await attempt_rows.open_attempts_of(tx, tenant_id, list(payments))
        for index, (verb, request) in enumerate(requests):
            payment = payments.get(request.payment_id) if request.payment_id is not None else None
            if payment is None:
                beginnings[index] = NotFound(("input", "paymentId"), "payment")
                continue
            attempt = _new_operation(parts, verb, payment, request.idempotency_key)
            current = under_way.get(payment.id)
            if request.idempotency_key in by_key:
                beginnings[index] = _known(by_key[request.idempotency_key], attempt.fingerprint, request.idempotency_key)
            elif (refusal := refusal_of(verb, payment, current.pending if current else None)) is not None:
                beginnings[index] = refusal
            else:
                wanted[index] = payment, attempt
        if wanted:
            beginnings |= await _open_operations(tx, tenant_id, wanted)
            begun = {index: each for index in wanted if isinstance(each := beginnings[index], Begun)}
            await append_events(tx, tenant_id, [], [_requested(parts, each, index, origins) for index, each in begun.items()])
            await parts.world.reach(Failpoint.REQUEST_CLAIMED)
    return [beginnings[index] for index in range(len(requests))]


async def _open_operations(tx: Transaction, tenant_id: UUID, wanted: dict[int, tuple[Payment, Attempt]]) -> dict[int, Beginning]:
    """Insert attempts. What can't be inserted met its like: the same key, or the same payment, in the same moment."""
    opened = await attempt_rows.open_operations(tx, tenant_id, [attempt for _, attempt in wanted.values()])
    beginnings: dict[int, Beginning] = {
        index: Begun(attempt, payment) for index, (payment, attempt) in wanted.items() if attempt.id in opened
    }
    left = {index: pair for index, pair in wanted.items() if index not in beginnings}
    if left:
        keys = [key for _, attempt in left.values() if (key := attempt.idempotency_key)]
        by_key = await attempt_rows.attempts_by_keys(tx, tenant_id, keys)
        elsewhere = await remembered_keys(tx, tenant_id, keys)
        under_way = await attempt_rows.open_attempts_of(tx, tenant_id, [payment.id for payment, _ in left.values()])
        for index, (payment, attempt) in left.items():
            key = attempt.idempotency_key or ""
            if key in by_key:
                beginnings[index] = _known(by_key[key], attempt.fingerprint, key)
            elif key in elsewhere:
                beginnings[index] = IdempotencyMismatch(key)
            else:
                refusal = refusal_of(attempt.verb, payment, under_way[payment.id].pending)
                assert refusal is not None, "an attempt is not inserted only for its key or for another open one"
                beginnings[index] = refusal
    return beginnings


async def finish(parts: Parts, tenant_id: UUID, findings: Sequence[Finding]) -> dict[UUID, Resolution]:
    """Transaction 2: close attempts with what they came to, move their payments, log the events. Returns what was closed.

    An attempt that is missing from the result is somebody else's by now: the lease was lost, and with it the right to close.
    """
    now = parts.world.now()
    async with parts.database.tenant(tenant_id, promised=True) as tx:
        payments = await lock_payments(tx, tenant_id, [finding.attempt.payment_id for finding in findings])
        closings: dict[UUID, attempt_rows.Closing] = {}
        for finding in findings:
            attempt, payment = finding.attempt, payments[finding.attempt.payment_id]
            if may_close(attempt.verb, payment):
                stepped = step(payment, finding.outcome, now)
                resolution = Resolution(stepped, refusal_sentence(attempt.verb, payment, finding.outcome))
                closings[attempt.id] = attempt_rows.Closing(attempt.id, attempt.lease_token, resolution)
        closed = await attempt_rows.close_attempts(tx, tenant_id, list(closings.values()), now) if closings else set()
        moved = [
            Change(payments[attempt.payment_id], closings[attempt.id].resolution.payment, attempt.idempotency_key)
            for attempt in (finding.attempt for finding in findings)
            if attempt.id in closed
        ]
        late = [
            Change(payment, review(payment, ReviewReason.POSSIBLE_ORPHAN_HOLD))
            for finding in findings
            if finding.attempt.id not in closed
            and _leaves_a_hold(payment := payments[finding.attempt.payment_id], finding.outcome)
        ]
        await record_changes(parts, tx, tenant_id, moved + late)
        await parts.world.reach(Failpoint.OUTCOME_WRITTEN)
    await parts.world.reach(Failpoint.OUTCOME_COMMITTED)
    parts.wakeups.announce(list(closed))
    return {attempt_id: closings[attempt_id].resolution for attempt_id in closed}


def may_close(verb: Verb, payment: Payment) -> bool:
    """Whether an attempt on this payment can still be open: nothing but its own closing moves the payment on."""
    releases = verb is Verb.VOID and payment.state is PaymentState.EXPIRED
    return payment.state is STATE_FOR[verb] or releases


def _leaves_a_hold(payment: Payment, outcome: Outcome) -> bool:
    """Whether an answer that came too late tells of a hold that the receipt does not know."""
    return isinstance(outcome, Authorized) and payment.bank.authorization != outcome.reference


def _known(attempt: Attempt, fingerprint: bytes, key: str) -> Beginning:
    return Known(attempt) if attempt.fingerprint == fingerprint else IdempotencyMismatch(key)


def _requested(parts: Parts, begun: Begun, index: int, origins: Sequence[Origin]) -> AuditEntry:
    """One entry for each mutation that did something, in the transaction that begins it; what came of it is in the events."""
    return entry_of_request(
        parts.world.new_uuid(),
        begun.attempt.opened_at,
        origins[index] if origins else UNKNOWN_ORIGIN,
        REQUESTED[begun.attempt.verb],
        payment_id=begun.payment.id,
        attempt_id=begun.attempt.id,
        idempotency_key=begun.attempt.idempotency_key,
    )


def _created(parts: Parts, begun: Begun) -> Event:
    return event_of(parts.world.new_uuid(), None, begun.payment, begun.attempt.idempotency_key)


def _new_authorization(parts: Parts, key: DataKey, request: AuthorizeRequest, card: CardDetails) -> tuple[Payment, Attempt]:
    now = parts.world.now()
    payment = Payment(
        id=parts.world.new_uuid(),
        order_id=request.order_id,
        customer_id=request.customer_id,
        amount=request.amount,
        card=card.summary,
        card_id=request.card.card_id if isinstance(request.card, ChosenCard) else None,
        state=PaymentState.PENDING,
        reached={PaymentState.PENDING: now},
    )
    attempt_id = parts.world.new_uuid()
    attempt = Attempt(
        id=attempt_id,
        payment_id=payment.id,
        verb=Verb.AUTHORIZE,
        idempotency_key=request.idempotency_key,
        fingerprint=fingerprint_of_authorize(request, parts.fingerprint_secret),
        opened_at=now,
        lease_until=lease_end(now),
        lease_token=parts.world.new_uuid(),
        tries=1,
        unanswered=0,
        sealed_card=seal_card(key, attempt_id, card),
    )
    return payment, attempt


def _new_operation(parts: Parts, verb: Verb, payment: Payment, key: str) -> Attempt:
    now = parts.world.now()
    return Attempt(
        id=parts.world.new_uuid(),
        payment_id=payment.id,
        verb=verb,
        idempotency_key=key,
        fingerprint=fingerprint_of_operation(verb, payment.id, parts.fingerprint_secret),
        opened_at=now,
        lease_until=lease_end(now),
        lease_token=parts.world.new_uuid(),
        tries=1,
        unanswered=0,
        sealed_card=None,
    )
