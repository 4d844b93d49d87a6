"""Every place where a process may die, what it leaves behind there, and so what must be flagged for operators.

`tests/crash/test_coverage.py` is red when a failpoint of `domain/failpoint.py` has no row here. Crash points of features that do not
exist yet: an event read before it is published. They get rows with them.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from domain.failpoint import Failpoint
from domain.payment import PaymentState, ReviewReason, Verb

F = Failpoint  # short, because the tables below are read as tables


class Left(Enum):
    """What is there when the process is gone. What counts is what those who come after it can know."""

    NOTHING = "nothing was committed: the repetition is the first request"
    UNASKED = "an open attempt; the bank did nothing, which nobody can know"
    DONE = "an open attempt; the bank did it and knows the key: asked again it says so"
    DOUBT = "the same after two or more tries without an answer: one is accounted for, another hold can't be ruled out"
    FORGOTTEN = "an open attempt; the bank did it and lost the key: it will do it again, or say that it was done"
    CLOSED = "the outcome is committed, and only has to be told"


class Outcome(NamedTuple):
    """What a client's wish has come to in the end."""

    state: PaymentState
    flags: frozenset[ReviewReason]  # neither more nor less
    effects: int  # how often the bank did it


_DONE = {
    Verb.AUTHORIZE: PaymentState.AUTHORIZED,
    Verb.CAPTURE: PaymentState.CAPTURED,
    Verb.VOID: PaymentState.VOIDED,
    Verb.REFUND: PaymentState.REFUNDED,
}
_WITHOUT_REFERENCE = {
    Verb.CAPTURE: ReviewReason.CAPTURE_REFERENCE_UNKNOWN,
    Verb.VOID: ReviewReason.VOID_REFERENCE_UNKNOWN,
    Verb.REFUND: ReviewReason.REFUND_REFERENCE_UNKNOWN,
}


def outcome(left: Left, verb: Verb, deaths: int = 1) -> Outcome:
    """What has to come of it (bank contract §7.1): always what was asked for, once. Only an authorization, which the bank does
    again when it forgot, can leave a doubt about money; it is flagged then, and only then.
    """
    flags: set[ReviewReason] = set()
    effects = 1
    if verb is Verb.AUTHORIZE:
        if left in (Left.UNASKED, Left.DOUBT, Left.FORGOTTEN):
            flags = {ReviewReason.POSSIBLE_ORPHAN_HOLD}
        if left is Left.FORGOTTEN:
            effects += deaths
    elif left is Left.FORGOTTEN:
        flags = {_WITHOUT_REFERENCE[verb]}
    return Outcome(_DONE[verb], frozenset(flags), effects)


@dataclass(frozen=True, slots=True)
class Death:
    """A process that dies at `at`. `fault`: what the bank does with the calls until then (docs/bank-mock.md)."""

    at: Failpoint
    left: Left
    fault: str | None = None
    acknowledged: bool = False

    def __str__(self) -> str:
        return "-".join([self.at.value, *([self.fault] if self.fault else []), *(["acknowledged"] if self.acknowledged else [])])


# An API process dies with four requests at the same place, one of each verb.
REQUESTS = (
    Death(F.REQUEST_CLAIMED, Left.NOTHING),
    Death(F.REQUEST_COMMITTED, Left.UNASKED),
    Death(F.BANK_CALL_DUE, Left.UNASKED),
    Death(F.BANK_CALL_DUE, Left.UNASKED, acknowledged=True),
    Death(F.BANK_REQUEST_SENT, Left.UNASKED, "hang_before_effect"),
    Death(F.BANK_REQUEST_SENT, Left.DONE, "hang_after_effect"),
    Death(F.BANK_REQUEST_SENT, Left.FORGOTTEN, "hang_up_window"),
    Death(F.BANK_ANSWER_BEGUN, Left.DONE),
    Death(F.BANK_ANSWER_READ, Left.DONE),
    Death(F.RETRY_NOTED, Left.UNASKED, "500_before_effect"),
    Death(F.RETRY_NOTED, Left.UNASKED, "reset_before_effect"),
    Death(F.RETRY_NOTED, Left.DOUBT, "reset_mid_body"),
    Death(F.OUTCOME_WRITTEN, Left.DONE),
    Death(F.OUTCOME_COMMITTED, Left.CLOSED),
)
# Two workers die one after the other, with the same four attempts at the same place.
RECOVERIES = (
    Death(F.LEASES_TAKEN_OVER, Left.UNASKED),
    Death(F.BANK_CALL_DUE, Left.UNASKED),
    Death(F.BANK_REQUEST_SENT, Left.UNASKED, "hang_before_effect"),
    Death(F.BANK_REQUEST_SENT, Left.DOUBT, "hang_after_effect"),
    Death(F.BANK_REQUEST_SENT, Left.FORGOTTEN, "hang_up_window"),
    Death(F.BANK_ANSWER_BEGUN, Left.DOUBT),
    Death(F.BANK_ANSWER_READ, Left.DOUBT),
    Death(F.RETRY_NOTED, Left.UNASKED, "500_before_effect"),
    Death(F.OUTCOME_WRITTEN, Left.DOUBT),
)
# A worker ends itself in the middle of a batch of eight attempts of two partners, at this passing.
BATCHES = (
    (F.LEASES_TAKEN_OVER, 2),
    (F.BANK_CALL_DUE, 5),
    (F.BANK_REQUEST_SENT, 5),
    (F.BANK_ANSWER_BEGUN, 5),
    (F.BANK_ANSWER_READ, 5),
    (F.OUTCOME_WRITTEN, 5),
    (F.OUTCOME_COMMITTED, 5),
)
# A worker ends itself in its round over two partners, in the transaction of the first or of the second.
ROUNDS = tuple((failpoint, passing) for failpoint in (F.HOLDS_EXPIRED, F.KEYS_REAPED) for passing in (1, 2))
# A reconciliation ends itself in its first page, over payments at rest, or in its second, over recent operations.
RECONCILIATIONS = tuple(
    (failpoint, passing) for failpoint in (F.RECONCILIATION_PAGE_COMPARED, F.RECONCILIATION_PAGE_COMMITTED) for passing in (1, 2)
)
# A worker ends itself over deliveries of webhooks: leased, sent, or written down and not committed.
WEBHOOKS = ((F.WEBHOOKS_LEASED, 1), (F.WEBHOOK_SENT, 1), (F.WEBHOOKS_RECORDED, 1))
# An operator's command ends itself in its transaction.
SETTLEMENTS = (F.SETTLEMENT_WRITTEN,)
# An API process ends itself while it has a card issued.
ISSUES = (F.CARD_ISSUE_COMMITTED, F.CARD_ISSUED, F.CARD_ISSUE_WRITTEN)
# An operator's rotation ends itself in the page of its numbers or in that of its open attempts; over the first or the second partner.
ROTATIONS = tuple((failpoint, passing) for failpoint in (F.SEALS_REPLACED, F.DATA_KEYS_REWRAPPED) for passing in (1, 2))
# Postgres dies instead of us, with the four transactions open: the process that serves one of them, and so all of them.
SERVERS = (
    Death(F.REQUEST_CLAIMED, Left.NOTHING),
    Death(F.OUTCOME_WRITTEN, Left.CLOSED),
)
# The line to Postgres breaks at the COMMIT: before it arrives, or when it is done and only its answer is missing.
COMMITS = (
    (Death(F.REQUEST_CLAIMED, Left.NOTHING), "lost"),
    (Death(F.REQUEST_CLAIMED, Left.UNASKED), "done"),
    (Death(F.OUTCOME_WRITTEN, Left.CLOSED), "lost"),
    (Death(F.OUTCOME_WRITTEN, Left.CLOSED), "done"),
)


def exercised() -> set[Failpoint]:
    """The failpoints that have a row, and so a process that dies there."""
    at_passings = {failpoint for failpoint, _ in BATCHES + ROUNDS + RECONCILIATIONS + WEBHOOKS + ROTATIONS}
    return {death.at for death in REQUESTS + RECOVERIES} | at_passings | {*SETTLEMENTS, *ISSUES}
