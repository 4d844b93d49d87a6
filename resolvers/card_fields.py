"""The operations on stored cards, as parts of the roots."""

from typing import Annotated

import strawberry

from domain.ids import IdKind, decode_id_of
from domain.scope import Scope
from resolvers import cards
from resolvers.asking import asks
from resolvers.context import Info
from resolvers.given import given
from resolvers.pages import window
from schema import card_inputs, inputs
from schema.card import (
    ActivateCardResult,
    AddCardResult,
    Card,
    CardConnection,
    CloseCardResult,
    FreezeCardResult,
    SetCardLimitsResult,
    UnfreezeCardResult,
)


@strawberry.type
class CardQueries:
    @asks(Scope.CARDS_READ, "One card. Null for what does not exist or is not yours.")
    async def card(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="A card's id, `card_…`.")],  # noqa: A002
    ) -> Card | None:
        card_id = decode_id_of(IdKind.CARD, id)
        return None if card_id is None else await cards.card(info, card_id)

    @asks(Scope.CARDS_READ, "Cards, newest first, in pages that stay stable while new ones arrive; closed ones too.")
    async def cards(
        self,
        info: Info,
        first: inputs.First = strawberry.UNSET,
        after: inputs.After = strawberry.UNSET,
        last: inputs.Last = strawberry.UNSET,
        before: inputs.Before = strawberry.UNSET,
        filter: Annotated[  # noqa: A002
            card_inputs.CardFilter | None, strawberry.argument(description="Which cards; all without it.")
        ] = strawberry.UNSET,
    ) -> CardConnection:
        return await cards.cards(info, window(first=first, after=after, last=last, before=before), given(filter))


@strawberry.type
class CardMutations:
    @asks(
        Scope.CARDS_WRITE,
        "Keep a card for a user, so that they pay with it without typing its number. It is ACTIVE at once. The same number twice is "
        "one card.",
    )
    async def add_card(
        self,
        info: Info,
        input: Annotated[card_inputs.AddCardInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> AddCardResult | None:
        return await cards.add_card(info, input)

    @asks(Scope.CARDS_WRITE, "Let an issued card be paid with. An added one is ACTIVE already.")
    async def activate_card(
        self,
        info: Info,
        input: Annotated[card_inputs.ActivateCardInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> ActivateCardResult | None:
        return await cards.activate_card(info, input)

    @asks(Scope.CARDS_WRITE, "Let nothing be paid with a card, until it is unfrozen. What is under way goes on.")
    async def freeze_card(
        self,
        info: Info,
        input: Annotated[card_inputs.FreezeCardInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> FreezeCardResult | None:
        return await cards.freeze_card(info, input)

    @asks(Scope.CARDS_WRITE, "Let a frozen card be paid with again.")
    async def unfreeze_card(
        self,
        info: Info,
        input: Annotated[card_inputs.UnfreezeCardInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> UnfreezeCardResult | None:
        return await cards.unfreeze_card(info, input)

    @asks(Scope.CARDS_WRITE, "Let nothing be paid with a card ever again, and erase its number. What is under way goes on.")
    async def close_card(
        self,
        info: Info,
        input: Annotated[card_inputs.CloseCardInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> CloseCardResult | None:
        return await cards.close_card(info, input)

    @asks(Scope.CARDS_WRITE, "Say what may be spent with a card at most. Payments that are under way are not touched by it.")
    async def set_card_limits(
        self,
        info: Info,
        input: Annotated[card_inputs.SetCardLimitsInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> SetCardLimitsResult | None:
        return await cards.set_card_limits(info, input)
