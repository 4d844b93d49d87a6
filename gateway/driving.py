"""Drives one leased attempt: asks the bank until the answer is a fact, or gives the lease back for recovery to go on later.

No transaction is open while the bank is asked. Before every try the lease outlasts the call, so that no two calls with one key
are ever in flight (contract §7.7); between two tries it is renewed, together with a durable note of how the last one ended.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar, assert_never
from uuid import UUID

from bank.answer import BankAnswer, Done, Refused, Unclarity, Unclear
from bank.breaker import is_failure
from bank.client import AuthorizeCall, BankCall, CaptureCall, RefundCall, VoidCall
from bank.transport import TOTAL_TIMEOUT_S
from domain.attempt import Attempt, Resolution
from domain.backoff import backoff_s
from domain.failpoint import Failpoint
from domain.payment import Payment, ReviewReason, Verb, review
from gateway.attempts import Finding, finish, lease_end, may_close
from gateway.interpretation import interpret
from gateway.parts import Parts
from gateway.vault.key_service import KeysAway
from persistence.attempts import GIVEN_BACK, Renewal, renew_leases
from persistence.database import DatabaseAway
from persistence.payments import lock_payments, save_payments

CALL_S = TOTAL_TIMEOUT_S + 1.0  # what a lease must still hold when a call begins: the call, and clocks that differ
TRIES_AT_ONCE = 6  # with 5 % independent failures 1.6·10⁻⁸ of all attempts need more; the rest is recovery's
TRIES_AT_ONCE_UNREACHED = 3  # no connection three times in a row: the bank is away, and the client is better told so
ROUND_S = 30.0  # a bank that answers nothing takes 14 s for a try; who drives this holds a slot that another could use
RETRY_BASE_S, RETRY_CAP_S = 0.2, 2.0  # an error of the bank's is over in an instant; a client is waiting
REST_BASE_S, REST_CAP_S = 1.0, 30.0  # between rounds; two minutes after the bank is back nothing may be open any more
IN_DOUBT_AFTER, REST_IN_DOUBT_S = 3, 45.0  # tries of an authorization without an answer: the next one may leave another hold
DATABASE_PAUSE_S = 0.5  # between two tries to write down what the bank said
BANK_KEY_S = 23 * 3600.0  # the bank keeps a key for about 24 hours (contract §5); after that it is a new operation
REST_OF_EXPIRED_S = 3600.0  # an attempt that only an operator can settle is looked at this often
TRIES_BEFORE_REVIEW = 12  # unintelligible for so long is no passing trouble

log = logging.getLogger(__name__)
T = TypeVar("T")


async def drive(parts: Parts, tenant_id: UUID, attempt: Attempt, payment: Payment) -> Resolution | None:
    """Ask, and finish. None when the attempt stays open: the bank is away, or somebody else holds the lease by now."""
    assert may_close(attempt.verb, payment), "an open attempt's payment waits in the state that the verb starts from"
    if _is_unsafe_to_ask(attempt, parts.world.now()):
        await _rest(parts, tenant_id, attempt, REST_OF_EXPIRED_S, unanswered=0, flag=ReviewReason.BANK_KEY_EXPIRED)
        return None
    try:
        call = await call_of(parts, tenant_id, attempt, payment)
    except KeysAway as error:  # before anything was asked: no doubt about the bank comes of it
        log.warning("%s rests, its card can't be opened just now: %s", attempt.bank_key, error)
        await _rest(parts, tenant_id, attempt, REST_CAP_S * parts.world.random(), unanswered=0, flag=None)
        return None
    deadline, unreached = parts.world.now() + timedelta(seconds=ROUND_S), 0
    parts.retries.deposit(parts.world.now())
    for round_try in range(1, TRIES_AT_ONCE + 1):
        asked = await _ask(parts, tenant_id, attempt, call)
        if asked is None:
            return None
        attempt, answer = asked
        await parts.world.reach(Failpoint.BANK_ANSWER_READ)
        if isinstance(answer, Refused) and answer.is_doubtful and round_try == 1:
            answer = Unclear(Unclarity.BANK_ERROR, "no such card, says a bank whose database may fail", may_have_acted=False)
        match answer:
            case Done() | Refused():
                outcome = interpret(attempt.verb, payment, answer, attempt.unanswered)
                finding = Finding(attempt, outcome)
                finished = await _while_leased(parts, attempt, partial(finish, parts, tenant_id, [finding]))
                if attempt.id not in finished:
                    log.warning("lease lost: %s was finished by another process", attempt.bank_key)
                return finished.get(attempt.id)
            case Unclear(why):
                log.info("%s %s, try %d: %s %s", attempt.verb.value, attempt.bank_key, attempt.tries, why, answer.detail)
                unreached = unreached + 1 if why is Unclarity.NOT_SENT else 0
                enough = round_try == TRIES_AT_ONCE or unreached == TRIES_AT_ONCE_UNREACHED or _is_in_doubt(attempt, answer)
                if enough or parts.world.now() >= deadline or not parts.retries.withdraw(parts.world.now()):
                    await _give_back(parts, tenant_id, attempt, answer)
                    return None
                again = await _prepare_again(parts, tenant_id, attempt, answer, round_try)
                if again is None:
                    return None
                attempt = again
                await parts.world.reach(Failpoint.RETRY_NOTED)
            case _:
                assert_never(answer)
    raise AssertionError("unreachable: the last try returns")


async def _ask(parts: Parts, tenant_id: UUID, attempt: Attempt, call: BankCall) -> tuple[Attempt, BankAnswer] | None:
    """Ask once. None when the bank was not asked: the breaker is open, there was no slot in time, or the lease is lost."""
    spare_s = (attempt.lease_until - parts.world.now()).total_seconds() - CALL_S
    async with parts.bank_slots.slot(tenant_id, max(spare_s, 0.0)) as has_slot:
        if has_slot:
            prolonged = await _outlast(parts, tenant_id, attempt)
            if prolonged is None:
                return None
            attempt = prolonged
            if parts.breaker.admits(parts.world.now()):
                await parts.world.reach(Failpoint.BANK_CALL_DUE)
                answer = await parts.bank.send(call, attempt.bank_key)
                parts.breaker.record(parts.world.now(), ok=not is_failure(answer))
                return attempt, answer
    rest_s = parts.breaker.reopens_in_s(parts.world.now()) + REST_BASE_S * parts.world.random()
    await _rest(parts, tenant_id, attempt, rest_s, unanswered=0, flag=None)
    return None


async def _outlast(parts: Parts, tenant_id: UUID, attempt: Attempt) -> Attempt | None:
    """The attempt with a lease that outlasts one call, renewed if waiting for a free slot has used it up. None: lost."""
    if attempt.lease_until - parts.world.now() >= timedelta(seconds=CALL_S):
        return attempt
    return await _renew(parts, tenant_id, attempt, tries=0, unanswered=0)


async def _prepare_again(parts: Parts, tenant_id: UUID, attempt: Attempt, answer: Unclear, round_try: int) -> Attempt | None:
    """Note how the try ended, wait, and hold the lease for the next one. None: lost."""
    wait_s = max(
        backoff_s(round_try, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, random=parts.world.random()),
        min(answer.retry_after_s or 0.0, RETRY_CAP_S),
    )
    await parts.world.sleep(wait_s)
    return await _renew(parts, tenant_id, attempt, tries=1, unanswered=int(answer.may_have_acted))


async def _renew(parts: Parts, tenant_id: UUID, attempt: Attempt, *, tries: int, unanswered: int) -> Attempt | None:

    async def renew() -> datetime | None:
        until = lease_end(parts.world.now())
        renewal = Renewal(attempt.id, attempt.lease_token, attempt.lease_token, until, tries, unanswered)
        async with parts.database.tenant(tenant_id, promised=True) as tx:
            return until if await renew_leases(tx, tenant_id, [renewal]) else None

    until = await _while_leased(parts, attempt, renew)
    if until is None:
        log.warning("lease lost: %s was taken over while waiting", attempt.bank_key)
        return None
    return replace(attempt, lease_until=until, tries=attempt.tries + tries, unanswered=attempt.unanswered + unanswered)


def _is_unsafe_to_ask(attempt: Attempt, now: datetime) -> bool:
    """Whether the bank may hold the money already and would not know the key any more. All else it refuses to do twice."""
    forgotten = now - attempt.opened_at >= timedelta(seconds=BANK_KEY_S)
    return attempt.verb is Verb.AUTHORIZE and attempt.unanswered > 0 and forgotten


def _is_in_doubt(attempt: Attempt, answer: Unclear) -> bool:
    """Whether an authorization was sent so often without an answer that haste may cost the customer hold after hold.

    An answer that says that nothing was done is no reason to wait: the bank is there, and with its usual failures a payment that
    rested after each would now and then be open for minutes.
    """
    return attempt.verb is Verb.AUTHORIZE and answer.may_have_acted and attempt.unanswered + 1 >= IN_DOUBT_AFTER


async def _give_back(parts: Parts, tenant_id: UUID, attempt: Attempt, answer: Unclear) -> None:
    """Leave the attempt open for recovery, due after a rest, and flag its payment once the bank has been odd for long."""
    rest_s = max(
        backoff_s(max(attempt.tries, 1), base_s=REST_BASE_S, cap_s=REST_CAP_S, random=parts.world.random()),
        min(answer.retry_after_s or 0.0, REST_CAP_S),
    )
    if _is_in_doubt(attempt, answer):
        rest_s = max(rest_s, REST_IN_DOUBT_S * (1 + parts.world.random() / 3))
    odd = answer.why is Unclarity.UNINTELLIGIBLE and attempt.tries >= TRIES_BEFORE_REVIEW
    flag = ReviewReason.BANK_UNINTELLIGIBLE if odd else None
    await _rest(parts, tenant_id, attempt, rest_s, unanswered=int(answer.may_have_acted), flag=flag)


async def _rest(
    parts: Parts, tenant_id: UUID, attempt: Attempt, rest_s: float, *, unanswered: int, flag: ReviewReason | None
) -> None:
    due = parts.world.now() + timedelta(seconds=rest_s)
    renewal = Renewal(attempt.id, attempt.lease_token, GIVEN_BACK, due, tries=0, unanswered=unanswered)

    async def give_back() -> None:
        async with parts.database.tenant(tenant_id, promised=True) as tx:
            held = await renew_leases(tx, tenant_id, [renewal])
            if held and flag is not None:
                payments = await lock_payments(tx, tenant_id, [attempt.payment_id])
                await save_payments(tx, tenant_id, [review(payment, flag) for payment in payments.values()])

    await _while_leased(parts, attempt, give_back)


async def _while_leased(parts: Parts, attempt: Attempt, work: Callable[[], Awaitable[T]]) -> T:
    """Repeat what the database could not do just now, for as long as the lease holds.

    What the bank has said must not be refused like a new arrival when the database can't keep up: new ones have to wait first.
    """
    while True:
        try:
            return await work()
        except DatabaseAway:
            if parts.world.now() + timedelta(seconds=DATABASE_PAUSE_S) >= attempt.lease_until:
                raise
            await parts.world.sleep(DATABASE_PAUSE_S)


async def call_of(parts: Parts, tenant_id: UUID, attempt: Attempt, payment: Payment) -> BankCall:
    """What to ask the bank for an attempt. Raises KeysAway, before anything was asked."""
    amount_minor = payment.amount.minor_units
    match attempt.verb:
        case Verb.AUTHORIZE:
            assert attempt.sealed_card is not None, "an open authorization holds its card"
            return AuthorizeCall(await parts.vault.open_card(attempt.sealed_card, tenant_id, attempt.id), amount_minor)
        case Verb.CAPTURE:
            assert payment.bank.authorization is not None, "only an authorized payment is captured"
            return CaptureCall(payment.bank.authorization, amount_minor)
        case Verb.VOID:
            assert payment.bank.authorization is not None, "only an authorized payment is voided"
            return VoidCall(payment.bank.authorization)
        case Verb.REFUND:
            assert payment.bank.capture is not None, "a capture without a reference is refused before"
            return RefundCall(payment.bank.capture, amount_minor)
        case _:
            assert_never(attempt.verb)
