"""From the bank's answer to a fact. The bank's quirks of contract §7 end here; above this file there are only outcomes."""

from collections.abc import Mapping
from typing import assert_never

from bank.answer import Done, Refused
from domain.payment import (
    Authorized,
    Captured,
    Decline,
    DeclineCode,
    Declined,
    Disagreed,
    Expired,
    Outcome,
    Payment,
    PaymentState,
    Refunded,
    ReviewReason,
    Verb,
    Voided,
)
from domain.settlement import TOLD_NOT_DONE

DECLINE_CODES: Mapping[str, DeclineCode] = {
    "invalid_card": DeclineCode.INVALID_CARD,
    "invalid_cvv": DeclineCode.INVALID_CVV,
    "card_expired": DeclineCode.CARD_EXPIRED,
    "insufficient_funds": DeclineCode.INSUFFICIENT_FUNDS,
    "invalid_amount": DeclineCode.REFUSED,  # we check amounts ourselves; an amount that the bank alone dislikes is its refusal
}


def interpret(verb: Verb, payment: Payment, answer: Done | Refused, unanswered: int) -> Outcome:
    """What the bank did, given that `unanswered` earlier tries of this attempt may have had their effect without our knowing."""
    match verb:
        case Verb.AUTHORIZE:
            return _authorization(answer, unanswered)
        case Verb.CAPTURE:
            return _capture(payment, answer, unanswered)
        case Verb.VOID:
            return _void(payment, answer, unanswered)
        case Verb.REFUND:
            return _refund(answer, unanswered)
        case _:
            assert_never(verb)


def _authorization(answer: Done | Refused, unanswered: int) -> Outcome:
    match answer:
        case Done(reference, replayed):
            # A replay accounts for one unanswered try: its hold is this one. Any further one may have left a hold of its own.
            return Authorized(reference, possible_orphan=unanswered > (1 if replayed else 0))
        case Refused(code, message):
            return Declined(Decline(DECLINE_CODES[code], message), possible_orphan=unanswered > 0)
        case _:
            assert_never(answer)


def _capture(payment: Payment, answer: Done | Refused, unanswered: int) -> Outcome:
    match answer:
        case Done(reference):
            return Captured(reference)
        case Refused("authorization_expired"):
            return Expired()
        case Refused("authorization_already_used") if unanswered and not _in_dispute(payment):
            return Captured(None)  # contract §7.1: our own earlier success, its reference unobtainable
        case Refused(code):
            return Disagreed(code)
        case _:
            assert_never(answer)


def _void(payment: Payment, answer: Done | Refused, unanswered: int) -> Outcome:
    match answer:
        case Done(reference):
            return Voided(reference)
        case Refused("authorization_already_used") if unanswered and not _in_dispute(payment):
            return Voided(None)  # contract §7.1
        case Refused(code):
            return Disagreed(code)
        case _:
            assert_never(answer)


def _refund(answer: Done | Refused, unanswered: int) -> Outcome:
    match answer:
        case Done(reference):
            return Refunded(reference)
        case Refused("already_refunded"):
            # The money is back either way; whether it was us is in doubt only if every try of ours was answered.
            return Refunded(None, disputed=not unanswered)
        case Refused(code):
            return Disagreed(code)
        case _:
            assert_never(answer)


def _in_dispute(payment: Payment) -> bool:
    """Whether the bank has refused something of this payment before: then an "already" need not be ours."""
    return ReviewReason.BANK_DISAGREES in payment.review_reasons


def refusal_sentence(verb: Verb, payment: Payment, outcome: Outcome) -> str | None:
    """What to tell a client whose operation the bank refused, or None when it was done or declined."""
    match outcome:
        case Expired():
            return "The hold ran out at the bank before the capture; nothing was charged. Authorize the order anew."
        case Disagreed(code) if code == TOLD_NOT_DONE:
            return (
                f"The bank did not do the {verb.value.lower()}, as our operators found out there. Nothing was changed; to ask for it "
                "anew, use a new idempotency key."
            )
        case Disagreed(code) if payment.state is not PaymentState.EXPIRED:
            return (
                f"The bank refused the {verb.value.lower()} ({code}), which its records and ours don't explain. Nothing was "
                "changed; the payment is flagged for review by our operators."
            )
        case _:
            return None
