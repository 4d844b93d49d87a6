"""What our records and the bank's books say of the same payment, and what to do where they differ. Asking is `gateway/`'s.

Neither kind of look has an effect at the bank:

a hold   is active, expired or used, at any age
a key    is kept with the bank's reference, or is not: refused, lost or forgotten (contract §5, §7.1), which proves nothing
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from domain.payment import (
    Authorized,
    BankReferences,
    Expired,
    Payment,
    PaymentState,
    ReviewReason,
    Verb,
    dismiss,
    review,
    step,
)

MAX_REPAIRS_OF_RUN = 100  # more in one run of one partner, and one of the two books is wrong as a whole: no case for a program


class HoldStanding(StrEnum):
    """Where a hold stands at the bank, whatever its GET says (contract §2)."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    """Its time is over, and nobody has used it: the bank keeps the money blocked until somebody voids it (contract §6)."""
    USED = "USED"
    """Captured or voided; the bank does not say which."""


class Claim(StrEnum):
    """What our records say became of an operation."""

    DONE = "DONE"
    REFUSED = "REFUSED"


class Look(StrEnum):
    """What to ask the bank about a payment at rest."""

    HOLD = "HOLD"
    KEY = "KEY"


class DiscrepancyKind(StrEnum):
    """In which way the two differ."""

    HOLD_EXPIRED = "HOLD_EXPIRED"
    """We count on a hold that has run out."""
    HOLD_USED_ELSEWHERE = "HOLD_USED_ELSEWHERE"
    """Somebody captured or voided a hold that we never asked the bank to."""
    HOLD_NOT_USED = "HOLD_NOT_USED"
    """We recorded a capture or a void, and the bank still has the hold open."""
    HOLD_NOT_RELEASED = "HOLD_NOT_RELEASED"
    """An expired payment's hold was never voided: the customer's money stays blocked."""
    HOLD_FOUND = "HOLD_FOUND"
    """An authorization that could not be asked for again safely turns out to have succeeded."""
    ORPHAN_HOLD = "ORPHAN_HOLD"
    """The bank holds money for a payment that we recorded as declined."""
    SECOND_HOLD = "SECOND_HOLD"
    """Under our key the bank has another hold than the one we recorded."""
    REFERENCE_FOUND = "REFERENCE_FOUND"
    """A reference that was lost together with an answer."""
    OTHER_CAPTURE = "OTHER_CAPTURE"
    """Under our key the bank has another capture than the one we recorded; the next two alike."""
    OTHER_VOID = "OTHER_VOID"
    OTHER_REFUND = "OTHER_REFUND"
    REFUSED_BUT_DONE = "REFUSED_BUT_DONE"
    """We recorded that the bank refused an operation, and it has done it."""


class Remedy(StrEnum):
    """What was done about a discrepancy."""

    REPAIRED = "REPAIRED"
    FLAGGED = "FLAGGED"


K = DiscrepancyKind  # short, because the tables below are read as tables
REPAIRABLE = frozenset({K.HOLD_EXPIRED, K.HOLD_NOT_RELEASED, K.HOLD_FOUND, K.REFERENCE_FOUND})  # the bank's word settles these
FLAGS: Mapping[DiscrepancyKind, ReviewReason] = {  # and of all others, why an operator has to look
    K.HOLD_USED_ELSEWHERE: ReviewReason.BANK_DISAGREES,
    K.HOLD_NOT_USED: ReviewReason.BANK_DISAGREES,
    K.ORPHAN_HOLD: ReviewReason.POSSIBLE_ORPHAN_HOLD,
    K.SECOND_HOLD: ReviewReason.POSSIBLE_ORPHAN_HOLD,
    K.OTHER_CAPTURE: ReviewReason.BANK_DISAGREES,
    K.OTHER_VOID: ReviewReason.BANK_DISAGREES,
    K.OTHER_REFUND: ReviewReason.BANK_DISAGREES,
    K.REFUSED_BUT_DONE: ReviewReason.BANK_DISAGREES,
}
# Under which reason a payment waits for a reference that was lost.
REFERENCE_UNKNOWN: Mapping[Verb, ReviewReason] = {
    Verb.CAPTURE: ReviewReason.CAPTURE_REFERENCE_UNKNOWN,
    Verb.VOID: ReviewReason.VOID_REFERENCE_UNKNOWN,
    Verb.REFUND: ReviewReason.REFUND_REFERENCE_UNKNOWN,
}
_OTHER: Mapping[Verb, DiscrepancyKind] = {
    Verb.AUTHORIZE: K.SECOND_HOLD,
    Verb.CAPTURE: K.OTHER_CAPTURE,
    Verb.VOID: K.OTHER_VOID,
    Verb.REFUND: K.OTHER_REFUND,
}
_NOUN: Mapping[Verb, str] = {Verb.AUTHORIZE: "hold", Verb.CAPTURE: "capture", Verb.VOID: "void", Verb.REFUND: "refund"}
# A payment that has left AUTHORIZED has used up its hold. Whether the bank thinks so too is open where its answer was lost, or
# where it has contradicted us before.
_HOLD_IN_DOUBT = frozenset(
    {ReviewReason.CAPTURE_REFERENCE_UNKNOWN, ReviewReason.VOID_REFERENCE_UNKNOWN, ReviewReason.BANK_DISAGREES}
)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing on which we and the bank differ, in words for people. `reference`: the bank's, where it has one of its own."""

    kind: DiscrepancyKind
    ours: str
    the_banks: str
    reference: str | None = None
    possible_orphan: bool = False  # HOLD_FOUND only: other tries may have left holds of their own


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done about a discrepancy, and the payment after it."""

    remedy: Remedy
    after: Payment


def look_at_rest(payment: Payment) -> Look | None:
    """What to ask the bank about a payment that no operation is changing, or None when its answer could tell nothing new."""
    match payment.state:
        case PaymentState.PENDING:
            return Look.KEY if ReviewReason.BANK_KEY_EXPIRED in payment.review_reasons else None
        case PaymentState.AUTHORIZED:
            return Look.HOLD
        case PaymentState.CAPTURED | PaymentState.VOIDED | PaymentState.REFUNDED:
            return Look.HOLD if payment.review_reasons & _HOLD_IN_DOUBT else None
        case PaymentState.EXPIRED:
            return Look.HOLD if payment.review_reasons & _HOLD_IN_DOUBT or not _is_released(payment) else None
        case PaymentState.DECLINED:
            return None
        case _:
            assert_never(payment.state)


def claim_of(verb: Verb, then: Payment) -> Claim:
    """What our records say became of an operation that left the payment as it was `then`."""
    match verb:
        case Verb.AUTHORIZE:
            done = then.state is PaymentState.AUTHORIZED
        case Verb.CAPTURE:
            done = then.state is PaymentState.CAPTURED
        case Verb.VOID:
            done = then.state is PaymentState.VOIDED or (then.state is PaymentState.EXPIRED and _is_released(then))
        case Verb.REFUND:
            done = then.state is PaymentState.REFUNDED
        case _:
            assert_never(verb)
    return Claim.DONE if done else Claim.REFUSED


def compare_hold(payment: Payment, standing: HoldStanding) -> Discrepancy | None:
    """A payment with a hold, and where the hold stands at the bank. None: they agree."""
    kind = _kind_of_hold(payment, standing)
    if kind is None:
        return None
    return Discrepancy(kind, f"{payment.state.value}, hold {payment.bank.authorization}", _HOLD_IN_WORDS[standing])


_HOLD_IN_WORDS: Mapping[HoldStanding, str] = {
    HoldStanding.ACTIVE: "the hold is active",
    HoldStanding.EXPIRED: "the hold has run out, unused",
    HoldStanding.USED: "the hold was captured or voided",
}


def _kind_of_hold(payment: Payment, standing: HoldStanding) -> DiscrepancyKind | None:
    is_used = standing is HoldStanding.USED
    match payment.state:
        case PaymentState.AUTHORIZED:
            if standing is HoldStanding.ACTIVE:
                return None
            return K.HOLD_USED_ELSEWHERE if is_used else K.HOLD_EXPIRED
        case PaymentState.EXPIRED if not _is_released(payment):
            return K.HOLD_USED_ELSEWHERE if is_used else K.HOLD_NOT_RELEASED
        case PaymentState.CAPTURED | PaymentState.VOIDED | PaymentState.REFUNDED | PaymentState.EXPIRED:
            return None if is_used else K.HOLD_NOT_USED
        case PaymentState.PENDING | PaymentState.DECLINED:
            raise AssertionError(f"a payment that is {payment.state.value} has no hold to ask for")
        case _:
            assert_never(payment.state)


def compare_key(
    payment: Payment, verb: Verb, claim: Claim, kept: str | None, standing: HoldStanding | None = None
) -> Discrepancy | None:
    """A closed operation, and the reference that the bank keeps under its key. None: nothing that contradicts us.

    `standing`: where the hold stands, if that was asked because the key of a capture or a void is not kept.
    """
    if kept is None:
        used_up = claim is Claim.DONE and verb in (Verb.CAPTURE, Verb.VOID)
        return compare_hold(payment, standing) if used_up and standing is not None else None
    ours, noun = reference_of(payment.bank, verb), _NOUN[verb]
    the_banks = f"{noun} {kept}"
    match claim:
        case Claim.DONE if ours is None:
            return Discrepancy(K.REFERENCE_FOUND, f"{payment.state.value}, {noun} unknown", the_banks, kept)
        case Claim.DONE:
            return None if ours == kept else Discrepancy(_OTHER[verb], f"{payment.state.value}, {noun} {ours}", the_banks, kept)
        case Claim.REFUSED:
            kind = K.ORPHAN_HOLD if verb is Verb.AUTHORIZE else K.REFUSED_BUT_DONE
            return Discrepancy(kind, f"{payment.state.value}, the bank refused the {noun}", the_banks, kept)
        case _:
            assert_never(claim)


def compare_unasked(payment: Payment, kept: str | None, unanswered: int) -> Discrepancy | None:
    """An authorization that can't be asked for again, after `unanswered` tries, and the hold that the bank keeps under its key."""
    if kept is None:
        return None
    ours = f"{payment.state.value}, {unanswered} {'try' if unanswered == 1 else 'tries'} unanswered"
    return Discrepancy(K.HOLD_FOUND, ours, f"hold {kept}", kept, possible_orphan=unanswered > 1)


def treat(
    payment: Payment, verb: Verb | None, found: Discrepancy, at: datetime, *, repairs_left: int, repair_limit_minor: int
) -> Treatment:
    """What to do about it. `verb`: the operation whose key was looked up, if one was.

    Beyond `repairs_left` nothing is repaired, only reported. A payment of more than `repair_limit_minor` cents is repaired where
    leaving it would be wrong, and flagged, so that somebody looks.
    """
    if found.kind not in REPAIRABLE:
        return Treatment(Remedy.FLAGGED, review(payment, FLAGS[found.kind]))
    if repairs_left <= 0:
        return Treatment(Remedy.FLAGGED, payment)
    after = _repaired(payment, verb, found, at)
    if payment.amount.minor_units > repair_limit_minor:
        after = review(after, ReviewReason.RECONCILED)
    return Treatment(Remedy.REPAIRED, after)


def _repaired(payment: Payment, verb: Verb | None, found: Discrepancy, at: datetime) -> Payment:
    match found.kind:
        case K.HOLD_EXPIRED:
            return step(payment, Expired(), at)
        case K.HOLD_NOT_RELEASED:
            return payment  # what is missing is an attempt
        case K.HOLD_FOUND:
            assert found.reference is not None, "it was found"
            settled = step(payment, Authorized(found.reference, found.possible_orphan), at)
            return dismiss(settled, ReviewReason.BANK_KEY_EXPIRED)
        case K.REFERENCE_FOUND:
            assert verb is not None and found.reference is not None, "a reference is of an operation, and was found"
            return with_reference(payment, verb, found.reference)
        case _:
            raise AssertionError(f"{found.kind} is not for a program to repair")


def with_reference(payment: Payment, verb: Verb, reference: str) -> Payment:
    """The payment with a reference that was lost, and without the flag that waited for it."""
    bank = replace(payment.bank, **{verb.value.lower(): reference})
    return dismiss(replace(payment, bank=bank), REFERENCE_UNKNOWN[verb])


def reference_of(bank: BankReferences, verb: Verb) -> str | None:
    """The reference that we have of an operation."""
    match verb:
        case Verb.AUTHORIZE:
            return bank.authorization
        case Verb.CAPTURE:
            return bank.capture
        case Verb.VOID:
            return bank.void
        case Verb.REFUND:
            return bank.refund
        case _:
            assert_never(verb)


def _is_released(payment: Payment) -> bool:
    """Whether we recorded the void of an expired payment's hold."""
    return payment.bank.void is not None or ReviewReason.VOID_REFERENCE_UNKNOWN in payment.review_reasons
