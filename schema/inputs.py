"""Inputs of mutations and filters. Values are checked by `domain.request`, not here."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain.key_request import DEFAULT_OVERLAP_S
from domain.payment import PaymentState
from domain.request import WaitFor
from domain.scope import Scope
from schema.idempotency_key import IDEMPOTENCY_KEY as _KEY
from schema.scalars import CurrencyCode, MinorUnits


@strawberry.input(description="An amount to charge.")
class MoneyInput:
    minor_units: MinorUnits = strawberry.field(description="In the currency's minor unit, at least 1: 1999 is $19.99.")
    currency: CurrencyCode = strawberry.field(description="USD.")


@strawberry.input(description="A card, given in full. It is passed to the bank and not kept.")
class CardDetailsInput:
    number: str = strawberry.field(description="13 to 19 digits; spaces and dashes are ignored.")
    cvv: str = strawberry.field(description="Three or four digits. Never stored once the bank has answered.")
    expiry_month: int = strawberry.field(description="1 to 12.")
    expiry_year: int = strawberry.field(description="All four digits.")


@strawberry.input(description="A card that is kept for a user.")
class StoredCardInput:
    card_id: strawberry.ID = strawberry.field(description="An ACTIVE card of the user whose `externalId` is the `customerId`.")
    cvv: str = strawberry.field(description="Three or four digits. It is not kept with the card: its holder types it each time.")


@strawberry.input(one_of=True, description="What to pay with: exactly one of these.")
class PaymentSourceInput:
    card: CardDetailsInput | None = strawberry.field(description="A card given in full.", default=strawberry.UNSET)
    stored_card: StoredCardInput | None = strawberry.field(description="A card that is kept.", default=strawberry.UNSET)


@strawberry.input(description="A wish to hold money on a card for an order.")
class AuthorizePaymentInput:
    idempotency_key: str = strawberry.field(description=_KEY)
    order_id: str = strawberry.field(description="Your order, 1 to 255 printable characters. It has at most one live payment.")
    customer_id: str = strawberry.field(description="Your customer, 1 to 255 printable characters.")
    amount: MoneyInput = strawberry.field(description="How much to hold.")
    source: PaymentSourceInput = strawberry.field(description="What to pay with.")
    wait: WaitFor | None = strawberry.field(
        description="What to wait for. No part of the request's identity: a repetition may wait for something else.",
        default=WaitFor.OUTCOME,
    )


@strawberry.input(description="A wish to take the held money, all of it.")
class CapturePaymentInput:
    idempotency_key: str = strawberry.field(description=_KEY)
    payment_id: strawberry.ID = strawberry.field(description="An AUTHORIZED payment.")


@strawberry.input(description="A wish to give a hold up.")
class VoidPaymentInput:
    idempotency_key: str = strawberry.field(description=_KEY)
    payment_id: strawberry.ID = strawberry.field(description="An AUTHORIZED payment.")


@strawberry.input(description="A wish to pay captured money back, all of it.")
class RefundPaymentInput:
    idempotency_key: str = strawberry.field(description=_KEY)
    payment_id: strawberry.ID = strawberry.field(description="A CAPTURED payment.")


@strawberry.input(description="A wish for an API key.")
class CreateApiKeyInput:
    idempotency_key: str = strawberry.field(description=_KEY)
    name: str = strawberry.field(description="What the key is for, 1 to 255 printable characters.")
    scopes: list[Scope] = strawberry.field(
        description="What it may do: at least one, and none that the key of this request lacks."
    )
    expires_at: datetime | None = strawberry.field(
        description="From when on it is refused; null or left out: it does not expire.", default=strawberry.UNSET
    )
    allowed_networks: list[str] | None = strawberry.field(
        description="From where it is good, in CIDR notation, at most 50: `203.0.113.0/24`. Empty or left out: from anywhere.",
        default=strawberry.UNSET,
    )


@strawberry.input(description="A wish for an API key's successor.")
class RotateApiKeyInput:
    idempotency_key: str = strawberry.field(description=_KEY)
    api_key_id: strawberry.ID = strawberry.field(description="A key that is good, and that has no successor yet.")
    overlap_s: int | None = strawberry.field(
        description="For how many seconds both keys work, 0 to 604800, a week. The old key never outlives its own expiry.",
        default=DEFAULT_OVERLAP_S,
    )


@strawberry.input(description="A wish to end an API key.")
class RevokeApiKeyInput:
    idempotency_key: str = strawberry.field(description=_KEY)
    api_key_id: strawberry.ID = strawberry.field(description="The key; the one of this request, too.")


@strawberry.input(description="Which payments. What is left out or null is not asked for; everything given has to hold.")
class PaymentFilter:
    order_id: str | None = strawberry.field(description="Of this order of yours.", default=strawberry.UNSET)
    customer_id: str | None = strawberry.field(description="Of this customer of yours.", default=strawberry.UNSET)
    card_id: strawberry.ID | None = strawberry.field(description="Made with this stored card.", default=strawberry.UNSET)
    user_id: strawberry.ID | None = strawberry.field(
        description="Of this user: of the customer that is their `externalId`.", default=strawberry.UNSET
    )
    states: list[PaymentState] | None = strawberry.field(description="In one of these states.", default=strawberry.UNSET)
    created_after: datetime | None = strawberry.field(description="Accepted at this moment or later.", default=strawberry.UNSET)
    created_before: datetime | None = strawberry.field(description="Accepted before this moment.", default=strawberry.UNSET)
    min_amount: MinorUnits | None = strawberry.field(
        description="Of at least this amount, in minor units.", default=strawberry.UNSET
    )
    max_amount: MinorUnits | None = strawberry.field(
        description="Of at most this amount, in minor units.", default=strawberry.UNSET
    )
    needs_review: bool | None = strawberry.field(
        description="Whether our operators have to look at them; `reviewReasons` says why.", default=strawberry.UNSET
    )


First = Annotated[int | None, strawberry.argument(description="At most so many from the start, 0 to 100. Default 20.")]
After = Annotated[str | None, strawberry.argument(description="Only what stands behind this cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="At most so many from the end, 0 to 100. Not together with `first`.")
]
Before = Annotated[str | None, strawberry.argument(description="Only what stands before this cursor.")]
