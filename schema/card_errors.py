"""Refusals that are about a stored card."""

from datetime import datetime
from typing import assert_never

import strawberry

from domain import answer
from domain.answer import LimitName
from domain.ids import IdKind, encode_id
from domain.money import Money as DomainMoney
from domain.stored_card import CardState
from schema import user_enums  # noqa: F401  # gives the enums their descriptions
from schema.enums import ErrorCode
from schema.money import Money, money_of
from schema.user_error import UserError


@strawberry.type(description="The card's state stands against it, or its user's.")
class CardNotUsableError(UserError):
    card_id: strawberry.ID = strawberry.field(description="The card.")
    card_state: CardState = strawberry.field(description="Its state.")


@strawberry.type(description="The payment would pass a limit of the card. The bank was not asked.")
class CardLimitExceededError(UserError):
    card_id: strawberry.ID = strawberry.field(description="The card.")
    limit: LimitName = strawberry.field(description="Which limit.")
    allowed: Money = strawberry.field(description="How much it allows in all.")
    left: Money = strawberry.field(description="How much of that is left.")
    resets_at: datetime | None = strawberry.field(
        description="When all of it is there again, at midnight UTC; null for the limit of a single payment."
    )


def card_error_of(refusal: answer.CardNotUsable | answer.CardLimitExceeded) -> CardNotUsableError | CardLimitExceededError:
    """A refusal as the schema shows it."""
    match refusal:
        case answer.CardNotUsable(path, card_id, state, message):
            return CardNotUsableError(
                code=ErrorCode.CARD_NOT_USABLE,
                message=message,
                path=list(path),
                card_id=strawberry.ID(encode_id(IdKind.CARD, card_id)),
                card_state=state,
            )
        case answer.CardLimitExceeded():
            return _limit_exceeded(refusal)
        case _:
            assert_never(refusal)


def _limit_exceeded(refusal: answer.CardLimitExceeded) -> CardLimitExceededError:
    allowed, left = money_of(DomainMoney(refusal.limit_minor)), money_of(DomainMoney(refusal.left_minor))
    until = f" It is there again in full at {refusal.resets_at:%Y-%m-%d %H:%M} UTC." if refusal.resets_at else ""
    return CardLimitExceededError(
        code=ErrorCode.LIMIT_EXCEEDED,
        message=f"The card's limit {refusal.limit.value} is {allowed.formatted}, of which {left.formatted} is left.{until}",
        path=["input", "amount"],
        card_id=strawberry.ID(encode_id(IdKind.CARD, refusal.card_id)),
        limit=refusal.limit,
        allowed=allowed,
        left=left,
        resets_at=refusal.resets_at,
    )
