"""Stored cards of end users, and what changing them answers."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import strawberry

from domain.card import CardBrand
from domain.ids import IdKind, encode_id
from domain.money import MAX_MINOR_UNITS
from domain.money import Money as DomainMoney
from domain.stored_card import Card as DomainCard
from domain.stored_card import CardKind, CardReason, CardState
from schema import inputs
from schema.below import Info
from schema.card_errors import CardNotUsableError
from schema.connection import PageInfo, PaymentConnection
from schema.end_user_errors import UserNotUsableError
from schema.errors import IdempotencyMismatchError, InvalidInputError, LimitReachedError, NotFoundError
from schema.money import Money, money_of
from schema.node import Node
from schema.user import User

_NEEDS_PAYMENTS = "Needs the scope `payments:read`; null, with an error, for a key without it."


@strawberry.type(description="A step of a card's life.")
class CardTransition:
    before: CardState | None = strawberry.field(description="Where it stood; null when it is new.")
    after: CardState = strawberry.field(description="Where it went.")
    reason: CardReason | None = strawberry.field(description="Why; null unless it was frozen or closed.")
    actor: str = strawberry.field(description="The name of the API key that asked for it, or `expiry`.")
    at: datetime = strawberry.field(description="When.")


@strawberry.type(description="What may be spent with a card at most. Null: as much as the bank allows.")
class CardLimits:
    per_transaction: Money | None = strawberry.field(description="With one payment.")
    per_day: Money | None = strawberry.field(description="With all payments of a day (UTC).")
    per_month: Money | None = strawberry.field(description="With all payments of a month (UTC).")


@strawberry.type(
    description="What is spent with a card: the amounts of its payments, from when they are accepted until they are declined, voided, "
    "expired or refunded."
)
class CardSpend:
    today: Money = strawberry.field(description="Of the payments that were accepted today (UTC).")
    month: Money = strawberry.field(description="Of those that were accepted in this month (UTC), today's included.")


@strawberry.type(description="A card that is kept for a user. Its number is sealed, and nowhere in this API.")
class Card(Node):
    card: strawberry.Private[DomainCard]

    user_id: strawberry.ID = strawberry.field(description="Whose it is.")
    kind: CardKind = strawberry.field(description="Where it comes from.")
    brand: CardBrand = strawberry.field(description="The network.")
    last_four: str = strawberry.field(description="The last four digits.")
    expiry_month: int = strawberry.field(description="1 to 12. It is good to the end of that month (UTC).")
    expiry_year: int = strawberry.field(description="All four digits.")
    state: CardState = strawberry.field(description="Where it stands.")
    reason: CardReason | None = strawberry.field(description="Why it is FROZEN or CLOSED; null otherwise.")
    created_at: datetime = strawberry.field(description="When it was added or issued.")
    state_since: datetime = strawberry.field(description="Since when it stands there.")

    @strawberry.field(
        description="Whose it is, as they are now. Needs the scope `users:read`; null, with an error, for a key without it."
    )
    async def user(self, info: Info) -> User | None:
        return await info.context.below.user_of_card(self.card)

    @strawberry.field(description="The last 100 steps of its life, oldest first, as they are known now.")
    async def history(self, info: Info) -> list[CardTransition]:
        return [
            CardTransition(before=each.before, after=each.after, reason=each.reason, actor=each.actor, at=each.at)
            for each in await info.context.below.history_of_card(self.card)
        ]

    @strawberry.field(description="What may be spent with it at most.")
    def limits(self) -> CardLimits:
        limits = self.card.limits
        return CardLimits(
            per_transaction=_money(limits.per_transaction), per_day=_money(limits.per_day), per_month=_money(limits.per_month)
        )

    @strawberry.field(description=f"What is spent with it. {_NEEDS_PAYMENTS}")
    async def spend(self, info: Info) -> CardSpend | None:
        spent = await info.context.below.spent_with_card(self.card)
        return CardSpend(today=_sum(spent.today), month=_sum(spent.this_month))

    @strawberry.field(description=f"The payments that were made with it, newest first. {_NEEDS_PAYMENTS}")
    async def payments(
        self, info: Info, first: inputs.First = strawberry.UNSET, after: inputs.After = strawberry.UNSET
    ) -> PaymentConnection | None:
        return await info.context.below.payments_of_card(self.card, first, after)


@strawberry.type(description="A card and its place in the list.")
class CardEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after` or `before`.")
    node: Card = strawberry.field(description="The card.")


@strawberry.type(description="A page of cards, newest first; closed ones too.")
class CardConnection:
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    edges: list[CardEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[Card]:
        return [edge.node for edge in self.edges]

    @strawberry.field(description="How many cards match in all. Counted only when asked for, and slow on millions.")
    async def total_count(self) -> int:
        return await self.count()


_REPLAYED = "Whether this answers a request that was made before with the same key."


@strawberry.type(description="The card that is kept.")
class AddCardPayload:
    card: Card = strawberry.field(description="As it was when it was added.")
    already_there: bool = strawberry.field(
        description="Whether the user had it already: the same number twice is one card. With another expiry it was renewed."
    )
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="The card after the change.")
class CardPayload:
    card: Card = strawberry.field(description="As it was right after the change.")
    replayed: bool = strawberry.field(description=_REPLAYED)


AddCardResult = Annotated[
    AddCardPayload
    | InvalidInputError
    | NotFoundError
    | UserNotUsableError
    | CardNotUsableError
    | LimitReachedError
    | IdempotencyMismatchError,
    strawberry.union("AddCardResult", description="The card, or why none was added."),
]
_Moved = CardPayload | InvalidInputError | NotFoundError | CardNotUsableError | IdempotencyMismatchError
ActivateCardResult = Annotated[
    _Moved, strawberry.union("ActivateCardResult", description="The card, or why it was not activated.")
]
FreezeCardResult = Annotated[_Moved, strawberry.union("FreezeCardResult", description="The card, or why it was not frozen.")]
UnfreezeCardResult = Annotated[
    _Moved, strawberry.union("UnfreezeCardResult", description="The card, or why it was not unfrozen.")
]
CloseCardResult = Annotated[_Moved, strawberry.union("CloseCardResult", description="The card, or why it was not closed.")]


SetCardLimitsResult = Annotated[
    _Moved, strawberry.union("SetCardLimitsResult", description="The card, or why nothing was changed.")
]


def card_of(card: DomainCard) -> Card:
    """A domain card as the schema shows it."""
    return Card(
        card=card,
        id=strawberry.ID(encode_id(IdKind.CARD, card.id)),
        user_id=strawberry.ID(encode_id(IdKind.USER, card.user_id)),
        kind=card.kind,
        brand=card.summary.brand,
        last_four=card.summary.last_four,
        expiry_month=card.expiry_month,
        expiry_year=card.expiry_year,
        state=card.state,
        reason=card.reason,
        created_at=card.created_at,
        state_since=card.state_since,
    )


def _sum(minor_units: int) -> Money:
    return money_of(DomainMoney(min(minor_units, MAX_MINOR_UNITS)))


def _money(minor_units: int | None) -> Money | None:
    return None if minor_units is None else money_of(DomainMoney(minor_units))
