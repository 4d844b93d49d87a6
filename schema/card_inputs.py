"""Inputs of what is asked about stored cards. Values are checked by `domain.card_request`, not here."""

import strawberry

from domain.stored_card import CardReason, CardState
from schema.idempotency_key import IDEMPOTENCY_KEY
from schema.inputs import MoneyInput


@strawberry.input(description="A wish to keep a card for a user. The CVV is no part of it: it is never stored.")
class AddCardInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    user_id: strawberry.ID = strawberry.field(description="The user; one that is ACTIVE.")
    number: str = strawberry.field(description="13 to 19 digits; spaces and dashes are ignored. Sealed, and never shown again.")
    expiry_month: int = strawberry.field(description="1 to 12.")
    expiry_year: int = strawberry.field(description="All four digits.")


@strawberry.input(description="A wish to let a card be paid with.")
class ActivateCardInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    card_id: strawberry.ID = strawberry.field(description="An INACTIVE card.")


@strawberry.input(description="A wish to let nothing be paid with a card for a while.")
class FreezeCardInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    card_id: strawberry.ID = strawberry.field(description="An ACTIVE card.")
    reason: CardReason | None = strawberry.field(
        description="Why; any but EXPIRED. Null or left out: the customer wished it.", default=strawberry.UNSET
    )


@strawberry.input(description="A wish to let a frozen card be paid with again.")
class UnfreezeCardInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    card_id: strawberry.ID = strawberry.field(description="A FROZEN card.")


@strawberry.input(description="A wish to let nothing be paid with a card ever again.")
class CloseCardInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    card_id: strawberry.ID = strawberry.field(description="A card that is not CLOSED.")
    reason: CardReason = strawberry.field(
        description="Why; any but EXPIRED. A number that was closed as LOST, STOLEN or FRAUD can't be added again for its user."
    )


@strawberry.input(
    description="A wish to change what may be spent with a card at most. What is left out stays as it is; null takes a limit off."
)
class SetCardLimitsInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    card_id: strawberry.ID = strawberry.field(description="A card that is not CLOSED.")
    per_transaction: MoneyInput | None = strawberry.field(description="With one payment.", default=strawberry.UNSET)
    per_day: MoneyInput | None = strawberry.field(
        description="With all payments that are accepted on a day (UTC). Not below what is spent today.", default=strawberry.UNSET
    )
    per_month: MoneyInput | None = strawberry.field(
        description="With all payments that are accepted in a month (UTC). Not below what is spent in this one.",
        default=strawberry.UNSET,
    )


@strawberry.input(description="Which cards. What is left out or null is not asked for; everything given has to hold.")
class CardFilter:
    user_id: strawberry.ID | None = strawberry.field(description="Of this user.", default=strawberry.UNSET)
    states: list[CardState] | None = strawberry.field(description="In one of these states.", default=strawberry.UNSET)
