"""Refusals that are about issued cards."""

from datetime import datetime
from typing import assert_never

import strawberry

from domain import answer
from domain.ids import IdKind, encode_id
from schema.enums import ErrorCode
from schema.user_error import UserError

UNAVAILABLE = "The bank behind this service does not issue cards. Nothing was done. Add cards that your users have by `addCard`."
NO_ANSWER = "The bank did not answer. Nothing was done; repeat this in a moment, with the same key."


@strawberry.type(description="The bank does not issue cards. Nothing was done.")
class IssuingUnavailableError(UserError):
    pass


@strawberry.type(description="The bank did not answer. Nothing was done; repeat it with the same key.")
class BankUnavailableError(UserError):
    pass


@strawberry.type(description="The card's number was shown before, and is shown once.")
class CardAlreadyRevealedError(UserError):
    card_id: strawberry.ID = strawberry.field(description="The card.")
    revealed_at: datetime = strawberry.field(description="When it was shown; the audit log says to whom.")


IssuingErrorType = IssuingUnavailableError | BankUnavailableError | CardAlreadyRevealedError


def issuing_error_of(
    refusal: answer.IssuingUnavailable | answer.BankUnavailable | answer.CardAlreadyRevealed,
) -> IssuingErrorType:
    """A refusal as the schema shows it."""
    match refusal:
        case answer.IssuingUnavailable():
            return IssuingUnavailableError(code=ErrorCode.ISSUING_UNAVAILABLE, message=UNAVAILABLE, path=None)
        case answer.BankUnavailable():
            return BankUnavailableError(code=ErrorCode.BANK_UNAVAILABLE, message=NO_ANSWER, path=None)
        case answer.CardAlreadyRevealed(card_id, revealed_at):
            return CardAlreadyRevealedError(
                code=ErrorCode.CARD_ALREADY_REVEALED,
                message="The number of this card was shown before, and is shown once. Close the card and issue another one.",
                path=["input", "cardId"],
                card_id=strawberry.ID(encode_id(IdKind.CARD, card_id)),
                revealed_at=revealed_at,
            )
        case _:
            assert_never(refusal)
