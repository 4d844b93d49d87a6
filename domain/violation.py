"""The words of the checker: the invariants, each way to break one, and what was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from uuid import UUID

from domain.ids import IdKind, encode_id
from domain.ledger import LedgerIndex

OPEN_BOUND_S = 120.0  # two minutes after the bank is back nothing is open any more: the worker's longest rest is one


class Invariant(Enum):
    """What must hold at any moment, whatever has failed. `things` says what is counted when it is checked."""

    I1 = ("Money is held once, taken once, paid back once; a doubt is flagged.", "payments")
    I2 = ("What was acknowledged is there, and has not gone back.", "ids")
    I3 = ("Events follow the state machine, and lead to the payment's state.", "events")
    I4 = ("Nothing is open for too long, and whatever is open can end.", "attempts")
    I5 = ("The bank did what the state says, under the references we know.", "payments")
    I6 = ("Each change has one event and one attempt, and all tell the same.", "changes")
    I7 = ("A partner's events are numbered 1, 2, 3 … up to its counter.", "numbers")
    I9 = ("No attempt keeps a card beyond its end.", "attempts")

    def __init__(self, sentence: str, things: str) -> None:
        self.sentence = sentence
        self.things = things


class Breach(Enum):
    """Each way to break an invariant."""

    MISSING_HOLD = (Invariant.I1, "the bank has no such hold")
    FOREIGN_HOLD = (Invariant.I1, "the hold was not made by an attempt of this payment")
    OTHER_HOLD = (Invariant.I1, "the hold is of another amount or on another card")
    SECOND_HOLD = (Invariant.I1, "the bank holds money that the payment does not know, and no flag warns of it")
    SECOND_HOLD_USED = (Invariant.I1, "money was taken from a hold that the payment does not know")
    CAPTURED_TWICE = (Invariant.I1, "one hold was captured more than once")
    REFUNDED_TWICE = (Invariant.I1, "one capture was refunded more than once")
    OTHER_AMOUNT = (Invariant.I1, "another amount was taken or paid back than was held")
    MISPLACED_EFFECT = (Invariant.I1, "under an attempt's key the bank did something else than was asked")
    UNKNOWN_KEY = (Invariant.I1, "the bank acted under a key of this gateway's kind that no attempt has")
    UNREADABLE_ENTRY = (Invariant.I1, "an entry of the bank's ledger can't be understood")

    LOST_PAYMENT = (Invariant.I2, "an acknowledged payment is not there")
    GONE_BACK = (Invariant.I2, "an acknowledged state was never reached")

    FORBIDDEN_STEP = (Invariant.I3, "the state machine has no such step")
    MISLABELLED_EVENT = (Invariant.I3, "an event's type is not that of its state")
    BROKEN_CHAIN = (Invariant.I3, "the events don't lead to the payment's state one after the other")
    OTHER_TIME = (Invariant.I3, "an event and its payment tell different times")
    TIME_RUNS_BACKWARDS = (Invariant.I3, "a later event happened earlier")

    OPEN_TOO_LONG = (Invariant.I4, "an attempt is open beyond the bound")
    NOBODY_WORKS_ON_IT = (Invariant.I4, "a payment is PENDING and no attempt is open that could end that")
    UNFINISHABLE = (Invariant.I4, "an attempt is open that can't end: its payment's state or its lost card is against it")
    SEVERAL_OPEN = (Invariant.I4, "several attempts of one payment are open")

    STATES_DIFFER = (Invariant.I5, "the bank did something else than the payment's state says")
    OTHER_REFERENCE = (Invariant.I5, "the bank did it under another reference or key than ours")

    EVENT_MISSING = (Invariant.I6, "a state change has no event")
    EVENT_TWICE = (Invariant.I6, "a state change has more than one event")
    EVENT_OF_NOTHING = (Invariant.I6, "an event tells of a state that the payment has not reached")
    UNEXPLAINED_STATE = (Invariant.I6, "no closed attempt came to a state that the payment has reached")
    EXPLAINED_TWICE = (Invariant.I6, "more than one attempt came to the same state")
    IMPOSSIBLE_OUTCOME = (Invariant.I6, "an attempt came to a state that its verb does not lead to")
    UNFLAGGED_REFUSAL = (Invariant.I6, "the bank refused what our books allow, and no flag says so")
    LOST_OUTCOME = (Invariant.I6, "an attempt came to a state that the payment has not reached")
    OTHER_TERMS = (Invariant.I6, "a document of the payment tells other terms than the payment")
    OTHER_OUTCOME = (Invariant.I6, "a document of the payment tells another reference of the bank's than the payment")
    MISSING_REFERENCE = (Invariant.I6, "the bank's reference is missing, and no flag says so")
    SURPLUS_REFERENCE = (Invariant.I6, "the payment has a reference of something that it has not come to")

    GAP = (Invariant.I7, "numbers are missing in the sequence of events")
    WRONG_COUNTER = (Invariant.I7, "the counter is not at the last event")

    KEPT_CARD = (Invariant.I9, "a closed attempt still keeps a card")

    def __init__(self, invariant: Invariant, sentence: str) -> None:
        self.invariant = invariant
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach. `ours` is what our books say, `bank` what the bank's ledger says, where it was asked."""

    breach: Breach
    tenant_id: UUID | None
    payment_id: UUID | None
    ours: str
    bank: str | None = None

    @property
    def payment(self) -> str | None:
        """The payment's public id."""
        return None if self.payment_id is None else encode_id(IdKind.PAYMENT, self.payment_id)

    @property
    def partner(self) -> str | None:
        """The partner's public id."""
        return None if self.tenant_id is None else encode_id(IdKind.PARTNER, self.tenant_id)


@dataclass(frozen=True, slots=True)
class Checked:
    """How many things were looked at for one invariant, and what was found."""

    count: int
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a judgement rests on beside our books.

    Without a `ledger` only our own books are judged. `acknowledged` has the states that were acknowledged of each payment.
    """

    now: datetime
    open_bound_s: float = OPEN_BOUND_S
    ledger: LedgerIndex | None = None
    acknowledged: Mapping[UUID, frozenset[str]] = field(default_factory=dict)
