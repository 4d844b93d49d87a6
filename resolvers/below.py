"""What is below users, cards and events: loaded for many of them in one statement, and only for a key that may look at it."""

from typing import TYPE_CHECKING
from uuid import UUID

from domain.scope import Scope
from domain.stored_card import Card as DomainCard
from domain.stored_card import CardTransition
from domain.user import User as DomainUser
from persistence.card_pages import CardsWanted
from persistence.payment_pages import Cursor
from resolvers.forbidden import insist_that
from resolvers.given import given
from resolvers.pages import page_size, place
from schema.card import CardConnection, CardEdge, card_of
from schema.connection import PageInfo
from schema.user import User, user_of

if TYPE_CHECKING:
    from resolvers.context import Context


class BelowForRequest:
    """`schema.below.Below`, as one request may see it."""

    def __init__(self, context: "Context") -> None:
        self._context = context

    @property
    def shows_cards(self) -> bool:
        """Whether the key may look at cards."""
        return Scope.CARDS_READ in self._context.caller.key.scopes

    async def user_of_card(self, card: DomainCard) -> User:
        """Whose it is. Raises Forbidden."""
        insist_that(self._context.caller, Scope.USERS_READ)
        found = await self._context.users.load(card.user_id)
        assert found is not None, "a card has a user, and no user is ever deleted"
        return user_of(found)

    async def user_of_event(self, user_id: UUID) -> User | None:
        """Whom it is about; None for a key that may not look at users."""
        if Scope.USERS_READ not in self._context.caller.key.scopes:
            return None
        found = await self._context.users.load(user_id)
        return user_of(found) if found else None

    async def history_of_card(self, card: DomainCard) -> list[CardTransition]:
        """The last steps of its life."""
        return await self._context.card_histories.load(card.id)

    async def cards_of_user(self, user: DomainUser, first: int | None, after: str | None) -> CardConnection:
        """A page of a user's cards. Raises Forbidden and RefusedArgument."""
        insist_that(self._context.caller, Scope.CARDS_READ)
        limit, behind = page_size("first", given(first)), place("after", given(after), Cursor.decode)
        found = await self._context.cards_below.load(CardsWanted(user.id, limit + 1, behind))  # one more tells of more
        edges = [card_edge(card) for card in found[:limit]]
        page_info = PageInfo(
            has_next_page=len(found) > limit,
            has_previous_page=behind is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        )
        return CardConnection(count=lambda: self._context.card_counts.load(user.id), edges=edges, page_info=page_info)


def card_edge(card: DomainCard) -> CardEdge:
    """A card in a list."""
    return CardEdge(cursor=Cursor(card.created_at, card.id).encode(), node=card_of(card))
