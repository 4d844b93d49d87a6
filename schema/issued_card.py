"""Issued cards: the wishes, and what they answer."""

from typing import Annotated

import strawberry

from schema.card import Card
from schema.card_errors import CardNotUsableError
from schema.end_user_errors import UserNotUsableError
from schema.errors import (
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    InvalidInputError,
    LimitReachedError,
    NotFoundError,
)
from schema.idempotency_key import IDEMPOTENCY_KEY
from schema.issuing_errors import BankUnavailableError, CardAlreadyRevealedError, IssuingUnavailableError

_REPLAYED = "Whether this answers a request that was made before with the same key."


@strawberry.input(description="A wish to have the bank make a virtual card for a user.")
class IssueCardInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    user_id: strawberry.ID = strawberry.field(description="The user; one that is ACTIVE.")


@strawberry.input(description="A wish to see an issued card's number.")
class RevealCardInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    card_id: strawberry.ID = strawberry.field(description="An issued card that is not CLOSED.")


@strawberry.type(description="The card that was issued.")
class IssueCardPayload:
    card: Card = strawberry.field(description="As it is now: INACTIVE until `activateCard`.")
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="The card's number, once. Show it to its user, and keep it nowhere.")
class RevealCardPayload:
    card: Card = strawberry.field(description="The card, with its expiry.")
    number: str | None = strawberry.field(description="All of its digits; null in a repetition.")
    cvv: str | None = strawberry.field(description="Its CVV; null in a repetition. It is not stored here.")
    replayed: bool = strawberry.field(description=_REPLAYED)


IssueCardResult = Annotated[
    IssueCardPayload
    | InvalidInputError
    | NotFoundError
    | UserNotUsableError
    | LimitReachedError
    | IssuingUnavailableError
    | IdempotencyMismatchError
    | IdempotencyInProgressError,
    strawberry.union("IssueCardResult", description="The card, or why none was issued."),
]
RevealCardResult = Annotated[
    RevealCardPayload
    | InvalidInputError
    | NotFoundError
    | CardNotUsableError
    | CardAlreadyRevealedError
    | BankUnavailableError
    | IssuingUnavailableError
    | IdempotencyMismatchError,
    strawberry.union("RevealCardResult", description="The card's number, or why it is not shown."),
]
