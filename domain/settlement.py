"""What an operator may say of a payment that needs review, and what that makes of it. The state machine stays `domain.payment`'s.

Acknowledge      looked into, and nothing has to change: a flag is taken down
LearnReference   the bank's reference of something done, which was lost with an answer
ConfirmDone      the bank did what a stuck attempt asks for, or what it had disagreed about
RuleOut          the bank did not do it, and will not
AskAgain         it can be asked again now
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from domain.attempt import Attempt
from domain.discrepancy import REFERENCE_UNKNOWN, reference_of, with_reference
from domain.payment import (
    STATE_FOR,
    Authorized,
    Captured,
    Decline,
    DeclineCode,
    Declined,
    Disagreed,
    Outcome,
    Payment,
    PaymentState,
    Refunded,
    ReviewReason,
    Verb,
    Voided,
    dismiss,
    step,
)

TOLD_NOT_DONE = "not done, as our operators found out"  # in place of the bank's code
NOT_AUTHORIZED = Decline(DeclineCode.REFUSED, "The bank did not answer; our operators found out that it holds no money.")
PREFIXES: Mapping[Verb, str] = {Verb.AUTHORIZE: "auth", Verb.CAPTURE: "cap", Verb.VOID: "void", Verb.REFUND: "ref"}  # contract §2
STUCK = frozenset({ReviewReason.BANK_KEY_EXPIRED, ReviewReason.BANK_UNINTELLIGIBLE})  # an open attempt can't end by itself
_REFERENCE = re.compile(r"[a-z]+_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as the bank writes it (contract §2)
_ASKS: Mapping[Verb, str] = {  # with the article, for sentences
    Verb.AUTHORIZE: "an authorization",
    Verb.CAPTURE: "a capture",
    Verb.VOID: "a void",
    Verb.REFUND: "a refund",
}


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The bank confirmed that nothing is amiss, or has put it right."""

    reason: ReviewReason


@dataclass(frozen=True, slots=True)
class LearnReference:
    """The bank told its reference of a capture, a void or a refund that is known to be done."""

    verb: Verb
    reference: str


@dataclass(frozen=True, slots=True)
class ConfirmDone:
    """The bank told that it did what the open attempt asks for, or what somebody else asked it for; and its reference."""

    verb: Verb
    reference: str


@dataclass(frozen=True, slots=True)
class RuleOut:
    """The bank told that it has not done what the open attempt asks for."""

    verb: Verb


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The bank can be asked again before the attempt's rest is over."""


Settlement = Acknowledge | LearnReference | ConfirmDone | RuleOut | AskAgain


@dataclass(frozen=True, slots=True)
class Settled:
    """The payment after it; `outcome` is what the open attempt came to, or where none is open, what nobody of ours asked for."""

    after: Payment
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class NotSettled:
    """Why not, and what to do instead."""

    message: str


def is_reference(verb: Verb, text: str) -> bool:
    """Whether this could be the bank's reference of what it did: prefix and UUID, as it writes them."""
    return text.startswith(f"{PREFIXES[verb]}_") and _REFERENCE.fullmatch(text) is not None


def action_of(settlement: Settlement) -> str:
    """What the audit log calls it."""
    match settlement:
        case Acknowledge():
            return "payment.flag_acknowledged"
        case LearnReference():
            return "payment.reference_learned"
        case ConfirmDone():
            return "payment.outcome_confirmed"
        case RuleOut():
            return "payment.outcome_ruled_out"
        case AskAgain():
            return "payment.asked_again"
        case _:
            assert_never(settlement)


def is_about_the_attempt(settlement: Settlement) -> bool:
    """Whether it is about the open attempt, so that nobody may be asking the bank for it at that moment."""
    return isinstance(settlement, ConfirmDone | RuleOut | AskAgain)


def settle(payment: Payment, attempt: Attempt | None, settlement: Settlement, at: datetime) -> Settled | NotSettled:
    """The payment, whose open attempt is `attempt`, after an operator's word at `at`; or why that word does not fit."""
    match settlement:
        case Acknowledge(reason):
            message = _no_acknowledgement(payment, attempt, reason)
            return NotSettled(message) if message else Settled(dismiss(payment, reason))
        case LearnReference(verb, reference):
            message = _nothing_to_learn(payment, verb)
            return NotSettled(message) if message else Settled(with_reference(payment, verb, reference))
        case ConfirmDone(verb) if attempt is None and _may_be_elsewhere(payment, verb):
            outcome = _outcome(settlement, unanswered=0)
            return Settled(step(dismiss(payment, ReviewReason.BANK_DISAGREES), outcome, at), outcome)
        case ConfirmDone(verb) | RuleOut(verb):
            message = _nothing_stuck(payment, attempt, verb)
            if message or attempt is None:
                return NotSettled(message)
            outcome = _outcome(settlement, attempt.unanswered)
            return Settled(step(dismiss(payment, *STUCK), outcome, at), outcome)
        case AskAgain():
            message = _not_to_be_asked(payment, attempt)
            return NotSettled(message) if message else Settled(payment)
        case _:
            assert_never(settlement)


def fitting(payment: Payment, attempt: Attempt | None, at: datetime) -> list[Settlement]:
    """What an operator may say of this payment as it stands; references are left open."""
    candidates: list[Settlement] = [Acknowledge(reason) for reason in sorted(payment.review_reasons)]
    candidates += [LearnReference(verb, f"{PREFIXES[verb]}_…") for verb in REFERENCE_UNKNOWN]
    candidates += [ConfirmDone(verb, f"{PREFIXES[verb]}_…") for verb in Verb]
    candidates += [RuleOut(verb) for verb in Verb]
    candidates.append(AskAgain())
    return [each for each in candidates if isinstance(settle(payment, attempt, each, at), Settled)]


def _outcome(settlement: ConfirmDone | RuleOut, unanswered: int) -> Outcome:
    match settlement:
        case ConfirmDone(Verb.AUTHORIZE, reference):
            # The hold that the bank told of accounts for one try without an answer; any further one may have left its own.
            return Authorized(reference, possible_orphan=unanswered > 1)
        case ConfirmDone(Verb.CAPTURE, reference):
            return Captured(reference)
        case ConfirmDone(Verb.VOID, reference):
            return Voided(reference)
        case ConfirmDone(Verb.REFUND, reference):
            return Refunded(reference)
        case RuleOut(Verb.AUTHORIZE):
            return Declined(NOT_AUTHORIZED)
        case RuleOut():
            # The hold or the capture is untouched, but the bank has not done what our records allow: that stays flagged.
            return Disagreed(TOLD_NOT_DONE)
        case _:
            raise AssertionError("unreachable: there are four verbs")


def _no_acknowledgement(payment: Payment, attempt: Attempt | None, reason: ReviewReason) -> str:
    if reason not in payment.review_reasons:
        flags = ", ".join(sorted(payment.review_reasons)) or "no flag at all"
        return f"It is not flagged {reason.value}; it has {flags}."
    match reason:
        case ReviewReason.POSSIBLE_ORPHAN_HOLD if payment.state is PaymentState.PENDING:
            return (
                "Its authorization is still open, so its holds can't be counted yet. Wait for the outcome, or settle that first."
            )
        case ReviewReason.CAPTURE_REFERENCE_UNKNOWN if payment.bank.capture is None:
            return "Without the reference it can't be refunded through the API, so it stays flagged until the bank has told it."
        case ReviewReason.BANK_DISAGREES if attempt is not None:
            return f"{_under_way(attempt)}, and this flag decides how the bank's answer is read. Wait for the outcome."
        case ReviewReason.BANK_KEY_EXPIRED | ReviewReason.BANK_UNINTELLIGIBLE if attempt is not None:
            return f"{_under_way(attempt)}. Say what the bank did, or have it asked again; the flag goes with that."
    return ""


def _nothing_to_learn(payment: Payment, verb: Verb) -> str:
    match verb:
        case Verb.CAPTURE:
            is_done = PaymentState.CAPTURED in payment.reached
        case Verb.VOID:
            # Of an expired hold the release may not have happened yet; the flag says that it has.
            flagged = REFERENCE_UNKNOWN[verb] in payment.review_reasons
            is_done = payment.state is PaymentState.VOIDED or (payment.state is PaymentState.EXPIRED and flagged)
        case Verb.REFUND:
            is_done = PaymentState.REFUNDED in payment.reached
        case Verb.AUTHORIZE:
            return "A hold is never recorded without its reference."
        case _:
            assert_never(verb)
    known = reference_of(payment.bank, verb)
    if known is not None:
        return f"Its {verb.value.lower()} has the reference {known} already, and a reference never changes."
    if not is_done:
        return f"It is {payment.state.value}, and no {verb.value.lower()} of it is on record that could have a reference."
    return ""


def _may_be_elsewhere(payment: Payment, verb: Verb) -> bool:
    """Whether this can have been done to the hold or the capture by somebody else, which is what the bank disagreed about."""
    to_release = verb is Verb.VOID and payment.state is PaymentState.EXPIRED and payment.bank.void is None
    was_possible = payment.state is STATE_FOR[verb] and verb is not Verb.AUTHORIZE
    return ReviewReason.BANK_DISAGREES in payment.review_reasons and (was_possible or to_release)


def _nothing_stuck(payment: Payment, attempt: Attempt | None, verb: Verb) -> str:
    if attempt is None:
        return f"It is {payment.state.value} and nothing is under way for it, so there is no outcome to settle."
    if attempt.verb is not verb:
        return f"{_under_way(attempt)}, not {_ASKS[verb]}."
    if not payment.review_reasons & STUCK:
        return f"{_under_way(attempt)}, and the bank is being asked as usual. Wait for the outcome."
    return ""


def _not_to_be_asked(payment: Payment, attempt: Attempt | None) -> str:
    if attempt is None:
        return f"It is {payment.state.value} and nothing is under way for it, so there is nothing to ask."
    if ReviewReason.BANK_KEY_EXPIRED in payment.review_reasons:
        return (
            "The bank has forgotten the key of the authorization, so asking again could hold the money twice. Find out at the bank "
            "whether it holds the money, and say so."
        )
    return ""


def _under_way(attempt: Attempt) -> str:
    return f"{_ASKS[attempt.verb].capitalize()} is under way since {attempt.opened_at:%Y-%m-%d %H:%M} UTC"
