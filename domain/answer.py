"""What an operation can answer. Refusals are values, not exceptions: each has a type in the
schema, and means that nothing was done.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from domain.payment import STATE_FOR, Payment, PaymentState, PendingOperation, Verb
from domain.scope import Scope
from domain.stored_card import CardState
from domain.user import UserState


@dataclass(frozen=True, slots=True)
class Performed:
    """The payment after the operation; `pending` is set while the bank's answer is still awaited."""

    payment: Payment
    replayed: bool
    pending: PendingOperation | None = None


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One thing wrong with the input: where (`("input", "amount", "minorUnits")`) and what to do about it."""

    path: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class InvalidInput:
    """The input breaks a rule; every problem found is listed."""

    problems: tuple[InputProblem, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """No such thing for this partner, which includes things of other partners."""

    path: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class InvalidTransition:
    """The state machine, an operation under way, or the bank stands against it."""

    payment_id: UUID
    state: PaymentState
    message: str


@dataclass(frozen=True, slots=True)
class IdempotencyMismatch:
    """The key was used before, for something else."""

    key: str


@dataclass(frozen=True, slots=True)
class IdempotencyInProgress:
    """The first request with this key is still running, and too many wait for it already."""

    key: str


@dataclass(frozen=True, slots=True)
class OrderAlreadyPaid:
    """The order has a live payment: pending, authorized or captured."""

    order_id: str
    payment_id: UUID
    state: PaymentState


@dataclass(frozen=True, slots=True)
class InsufficientScope:
    """The thing can do more than the key that asks: `lacking` is what that one has not."""

    path: tuple[str, ...]
    lacking: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class KeyNotUsable:
    """The API key has ended, or has a successor."""

    key_id: UUID
    message: str


@dataclass(frozen=True, slots=True)
class LimitReached:
    """There are as many as there may be; `what` they are, and what to do about it."""

    limit: int
    what: str


@dataclass(frozen=True, slots=True)
class CardNotUsable:
    """The stored card's state stands against it, or its user's."""

    path: tuple[str, ...]
    card_id: UUID
    state: CardState
    message: str


@dataclass(frozen=True, slots=True)
class ExternalIdTaken:
    """There is a user with this external id: one that was made by another request."""

    user_id: UUID
    state: UserState


@dataclass(frozen=True, slots=True)
class UserNotUsable:
    """The user's state stands against it."""

    path: tuple[str, ...]
    user_id: UUID
    state: UserState
    message: str


class LimitName(StrEnum):
    """A limit of a card."""

    PER_TRANSACTION = "PER_TRANSACTION"
    PER_DAY = "PER_DAY"
    PER_MONTH = "PER_MONTH"


@dataclass(frozen=True, slots=True)
class CardLimitExceeded:
    """The payment would pass a limit of the stored card. In minor units; `resets_at` is None where no time helps."""

    card_id: UUID
    limit: LimitName
    limit_minor: int
    left_minor: int
    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class EndpointDisabled:
    """A webhook endpoint that gets nothing can't be sent anything."""

    endpoint_id: UUID


@dataclass(frozen=True, slots=True)
class IssuingUnavailable:
    """The bank does not issue cards. Nothing was done, and the key is free."""


@dataclass(frozen=True, slots=True)
class BankUnavailable:
    """The bank did not answer what it was only asked to tell. Nothing was done, and the key is free."""


@dataclass(frozen=True, slots=True)
class CardAlreadyRevealed:
    """The card's number was shown before, and is shown once."""

    card_id: UUID
    revealed_at: datetime


Refusal = (
    InvalidInput
    | NotFound
    | InvalidTransition
    | IdempotencyMismatch
    | IdempotencyInProgress
    | OrderAlreadyPaid
    | InsufficientScope
    | KeyNotUsable
    | LimitReached
    | CardNotUsable
    | CardLimitExceeded
    | ExternalIdTaken
    | UserNotUsable
    | EndpointDisabled
    | IssuingUnavailable
    | BankUnavailable
    | CardAlreadyRevealed
)
Answer = Performed | Refusal

_PAST = {
    Verb.AUTHORIZE: "authorized",
    Verb.CAPTURE: "captured",
    Verb.VOID: "voided",
    Verb.REFUND: "refunded",
}


def refusal_of(verb: Verb, payment: Payment, pending: PendingOperation | None) -> InvalidTransition | None:
    """Why `verb` can't be asked of the bank now, or None when it can."""
    if payment.state is not STATE_FOR[verb]:
        message = _advice(verb, payment.state)
    elif pending is not None:
        message = (
            f"A {pending.verb.value.lower()} of this payment is under way since {pending.since:%H:%M:%S} UTC. "
            "Wait for its outcome, then decide."
        )
    elif verb is Verb.REFUND and payment.bank.capture is None:
        message = (
            "The bank's reference of the capture is unknown, because its answer was lost: this payment can't be refunded "
            "through the API. It is flagged for review; our operators will settle it."
        )
    else:
        return None
    return InvalidTransition(payment.id, payment.state, message)


def _advice(verb: Verb, state: PaymentState) -> str:
    rule = f"Only a payment that is {STATE_FOR[verb].value} can be {_PAST[verb]}; this one is {state.value}."
    match state:
        case PaymentState.PENDING:
            return f"{rule} Its authorization is still awaiting the bank."
        case PaymentState.CAPTURED if verb is Verb.VOID:
            return f"{rule} Refund it instead."
        case PaymentState.AUTHORIZED if verb is Verb.REFUND:
            return f"{rule} Void it instead."
        case PaymentState.EXPIRED:
            return f"{rule} The hold ran out; authorize the order anew."
        case (
            PaymentState.AUTHORIZED | PaymentState.CAPTURED | PaymentState.VOIDED | PaymentState.REFUNDED | PaymentState.DECLINED
        ):
            return rule
        case _:
            assert_never(state)
