"""A payment and its state machine. `TRANSITIONS` is the one statement of it; the database's CHECK is compared with it by a test.

PENDING ──► AUTHORIZED ──► CAPTURED ──► REFUNDED
   │            ├────────► VOIDED
   ▼            └────────► EXPIRED
DECLINED
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.card import CardSummary
from domain.ids import IdKind, encode_id
from domain.money import Money


class PaymentState(StrEnum):
    """Where a payment stands."""

    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"


class Verb(StrEnum):
    """What can be asked of the bank. The same four words in every room."""

    AUTHORIZE = "AUTHORIZE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"


S = PaymentState  # short, because the tables below are read as tables
TRANSITIONS: Mapping[PaymentState, frozenset[PaymentState]] = {
    S.PENDING: frozenset({S.AUTHORIZED, S.DECLINED}),
    S.AUTHORIZED: frozenset({S.CAPTURED, S.VOIDED, S.EXPIRED}),
    S.CAPTURED: frozenset({S.REFUNDED}),
    S.VOIDED: frozenset(),
    S.REFUNDED: frozenset(),
    S.DECLINED: frozenset(),
    S.EXPIRED: frozenset(),
}
STATE_FOR: Mapping[Verb, PaymentState] = {  # the state in which a verb may be asked for
    Verb.AUTHORIZE: S.PENDING,
    Verb.CAPTURE: S.AUTHORIZED,
    Verb.VOID: S.AUTHORIZED,
    Verb.REFUND: S.CAPTURED,
}
LIVE_STATES = frozenset({S.PENDING, S.AUTHORIZED, S.CAPTURED})  # an order has at most one payment in these


class DeclineCode(StrEnum):
    """Why the bank said no to an authorization (bank contract §3)."""

    INVALID_CARD = "INVALID_CARD"
    INVALID_CVV = "INVALID_CVV"
    CARD_EXPIRED = "CARD_EXPIRED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    REFUSED = "REFUSED"


class ReviewReason(StrEnum):
    """What an operator has to look at (bank contract §7)."""

    POSSIBLE_ORPHAN_HOLD = "POSSIBLE_ORPHAN_HOLD"
    """A try to authorize ended without an answer: a second hold at the bank can't be ruled out."""
    CAPTURE_REFERENCE_UNKNOWN = "CAPTURE_REFERENCE_UNKNOWN"
    """The bank captured but its answer was lost: without the reference the payment can't be refunded here."""
    VOID_REFERENCE_UNKNOWN = "VOID_REFERENCE_UNKNOWN"
    """The bank voided but its answer was lost. The money is free; only the reference is missing."""
    REFUND_REFERENCE_UNKNOWN = "REFUND_REFERENCE_UNKNOWN"
    """The bank refunded but its answer was lost. The money is back; only the reference is missing."""
    BANK_DISAGREES = "BANK_DISAGREES"
    """The bank refused what our records allow: somebody else used the hold, or one of the two is wrong."""
    BANK_KEY_EXPIRED = "BANK_KEY_EXPIRED"
    """The bank has forgotten the key of an authorization that it may have done: asking again could hold the money twice."""
    BANK_UNINTELLIGIBLE = "BANK_UNINTELLIGIBLE"
    """The bank keeps answering something that its contract doesn't know; the payment waits for it to be understood."""
    RECONCILED = "RECONCILED"
    """The reconciliation has put this payment right, and its amount is one that somebody should know of."""


@dataclass(frozen=True, slots=True)
class Decline:
    """The bank's no, in its words."""

    code: DeclineCode
    message: str


@dataclass(frozen=True, slots=True)
class BankReferences:
    """The bank's own ids of what it did for a payment."""

    authorization: str | None = None
    capture: str | None = None
    void: str | None = None
    refund: str | None = None


@dataclass(frozen=True, slots=True)
class PendingOperation:
    """What the bank has been asked and has not answered yet."""

    verb: Verb
    since: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """The receipt. `reached` has the time of each state it has been in, PENDING first."""

    id: UUID
    order_id: str
    customer_id: str
    amount: Money
    card: CardSummary
    card_id: UUID | None = None  # of the stored card that it was paid with; None: the card was given in full
    state: PaymentState
    reached: Mapping[PaymentState, datetime]
    bank: BankReferences = BankReferences()
    decline: Decline | None = None
    review_reasons: frozenset[ReviewReason] = frozenset()

    @property
    def created_at(self) -> datetime:
        return self.reached[S.PENDING]

    @property
    def reference(self) -> str:
        """What people say on the phone: the last ten characters of the id in two groups, for instance `7K2QM-X41RD`."""
        tail = encode_id(IdKind.PAYMENT, self.id)[-10:].upper()
        return f"{tail[:5]}-{tail[5:]}"

    @property
    def history(self) -> list[tuple[PaymentState, datetime]]:
        """Each state it has been in and since when, oldest first."""
        return sorted(self.reached.items(), key=lambda entry: (entry[1], list(PaymentState).index(entry[0])))


@dataclass(frozen=True, slots=True)
class Standing:
    """A payment as it stands at one moment, together with what the bank is being asked for it at that very moment."""

    payment: Payment
    pending: PendingOperation | None = None


# What an attempt came to. Each is a fact about the bank, established beyond doubt.
@dataclass(frozen=True, slots=True)
class Authorized:
    reference: str
    possible_orphan: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    decline: Decline
    possible_orphan: bool = False


@dataclass(frozen=True, slots=True)
class Captured:
    reference: str | None


@dataclass(frozen=True, slots=True)
class Voided:
    reference: str | None


@dataclass(frozen=True, slots=True)
class Refunded:
    reference: str | None
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Expired:
    """The hold ran out before the capture. The bank keeps the money blocked until somebody voids it (contract §6)."""


@dataclass(frozen=True, slots=True)
class Disagreed:
    """The bank refused what our records allow; nothing changed."""

    code: str


Outcome = Authorized | Declined | Captured | Voided | Refunded | Expired | Disagreed


def step(payment: Payment, outcome: Outcome, at: datetime) -> Payment:
    """The payment after an attempt came to `outcome` at `at`. An outcome that the state machine does not know is our bug."""
    match outcome:
        case Authorized(reference, possible_orphan):
            moved = _move(payment, S.AUTHORIZED, at, authorization=reference)
            return review(moved, ReviewReason.POSSIBLE_ORPHAN_HOLD) if possible_orphan else moved
        case Declined(decline, possible_orphan):
            moved = replace(_move(payment, S.DECLINED, at), decline=decline)
            return review(moved, ReviewReason.POSSIBLE_ORPHAN_HOLD) if possible_orphan else moved
        case Captured(reference):
            moved = _move(payment, S.CAPTURED, at, capture=reference)
            return moved if reference else review(moved, ReviewReason.CAPTURE_REFERENCE_UNKNOWN)
        case Voided(reference):
            # An expired hold is voided to free the customer's money; the payment stays EXPIRED.
            void = replace(payment.bank, void=reference)
            moved = replace(payment, bank=void) if payment.state is S.EXPIRED else _move(payment, S.VOIDED, at, void=reference)
            return moved if reference else review(moved, ReviewReason.VOID_REFERENCE_UNKNOWN)
        case Refunded(reference, disputed):
            moved = _move(payment, S.REFUNDED, at, refund=reference)
            moved = moved if reference else review(moved, ReviewReason.REFUND_REFERENCE_UNKNOWN)
            return review(moved, ReviewReason.BANK_DISAGREES) if disputed else moved
        case Expired():
            return _move(payment, S.EXPIRED, at)
        case Disagreed():
            return review(payment, ReviewReason.BANK_DISAGREES)
        case _:
            assert_never(outcome)


def review(payment: Payment, reason: ReviewReason) -> Payment:
    """The payment, flagged for an operator."""
    return replace(payment, review_reasons=payment.review_reasons | {reason})


def dismiss(payment: Payment, *reasons: ReviewReason) -> Payment:
    """The payment without these flags: what they ask has been found out."""
    return replace(payment, review_reasons=payment.review_reasons.difference(reasons))


def _move(payment: Payment, state: PaymentState, at: datetime, **references: str | None) -> Payment:
    assert state in TRANSITIONS[payment.state], f"{payment.state} does not lead to {state}"
    latest = max(payment.reached.values())  # hosts' clocks differ by milliseconds; a receipt never runs backwards
    return replace(
        payment,
        state=state,
        reached={**payment.reached, state: max(at, latest)},
        bank=replace(payment.bank, **references),
    )
