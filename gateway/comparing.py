"""One payment, or one operation, compared with the bank's books. Nothing is written here, neither at the bank nor in our tables."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from bank.answer import Kept, NotKept
from domain.attempt import Attempt
from domain.discrepancy import (
    Claim,
    Discrepancy,
    Look,
    claim_of,
    compare_hold,
    compare_key,
    compare_unasked,
    look_at_rest,
)
from domain.ids import IdKind, encode_id
from domain.payment import Payment, Verb
from gateway.looks import Looks, Unanswered
from persistence.attempts import GIVEN_BACK
from persistence.reconciliations import ClosedOperation


@dataclass(frozen=True, slots=True)
class Compared:
    """What came out: `found`, agreement (None), or nothing clear. The payment is as it was when the bank was asked."""

    payment: Payment
    found: Discrepancy | None
    is_answered: bool = True
    verb: Verb | None = None  # of the operation whose key was looked up
    closed_at: datetime | None = None  # when that was closed
    resting: Attempt | None = None  # the authorization that `found` would settle


@dataclass(frozen=True, slots=True)
class AtRest:
    """A payment at rest and what to look at; with the attempt that rests as well, where that is what may be settled."""

    payment: Payment
    look: Look
    resting: Attempt | None


def at_rest(payment: Payment, open_attempt: Attempt | None) -> AtRest | None:
    """What to compare of a payment, if anything: one that an operation is changing is left to that."""
    look = look_at_rest(payment)
    match look:
        case Look.HOLD if open_attempt is None:
            return AtRest(payment, look, None)
        case Look.KEY if open_attempt is not None and open_attempt.lease_token == GIVEN_BACK:
            return AtRest(payment, look, open_attempt)
        case _:
            return None


async def compare_at_rest(looks: Looks, item: AtRest) -> Compared | Unanswered:
    """UNASKED when the bank was not asked; a question that it did not answer clearly is a comparison without an answer."""
    return await _twice(lambda: _compare_at_rest(looks, item))


async def compare_recent(looks: Looks, operation: ClosedOperation, payment: Payment) -> Compared | Unanswered:
    """The same for an operation that was closed: `payment` is as it stands today."""
    return await _twice(lambda: _compare_recent(looks, operation, payment))


async def _twice(compare: Callable[[], Awaitable[Compared | Unanswered]]) -> Compared | Unanswered:
    """What contradicts us is asked again: a bank that gives another id now and then must not make us write it down."""
    first = await compare()
    if isinstance(first, Unanswered) or first.found is None:
        return first
    second = await compare()
    if isinstance(second, Unanswered) or second == first:
        return second
    return replace(first, found=None, is_answered=False)


async def _compare_at_rest(looks: Looks, item: AtRest) -> Compared | Unanswered:
    payment, attempt = item.payment, item.resting
    nothing_clear = Compared(payment, None, is_answered=False)
    if attempt is None:
        standing = await looks.hold(payment)
        if isinstance(standing, Unanswered):
            return _nothing(standing, nothing_clear)
        return Compared(payment, compare_hold(payment, standing))
    kept = await looks.key(payment, Verb.AUTHORIZE, attempt.bank_key)
    if isinstance(kept, Unanswered):
        return _nothing(kept, nothing_clear)
    found = compare_unasked(payment, _reference(kept), attempt.unanswered)
    return Compared(payment, found, verb=Verb.AUTHORIZE, resting=attempt)


async def _compare_recent(looks: Looks, operation: ClosedOperation, payment: Payment) -> Compared | Unanswered:
    verb, claim = operation.verb, claim_of(operation.verb, operation.then)
    nothing_clear = Compared(payment, None, is_answered=False, verb=verb, closed_at=operation.closed_at)
    kept = await looks.key(payment, verb, encode_id(IdKind.ATTEMPT, operation.id))
    if isinstance(kept, Unanswered):
        return _nothing(kept, nothing_clear)
    standing = None if isinstance(kept, Kept) else kept.hold
    if isinstance(kept, NotKept) and verb is Verb.VOID and claim is Claim.DONE:
        told = await looks.hold(payment)  # a key that is gone proves nothing, but the hold still tells
        if isinstance(told, Unanswered):
            return _nothing(told, nothing_clear)
        standing = told
    found = compare_key(payment, verb, claim, _reference(kept), standing)
    return Compared(payment, found, verb=verb, closed_at=operation.closed_at)


def _reference(kept: Kept | NotKept) -> str | None:
    return kept.reference if isinstance(kept, Kept) else None


def _nothing(why: Unanswered, nothing_clear: Compared) -> Compared | Unanswered:
    return why if why is Unanswered.UNASKED else nothing_clear
