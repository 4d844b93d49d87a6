"""What is below users, cards and events: loaded for many of them in one statement, and only for a key that may look at it."""

from typing import TYPE_CHECKING
from uuid import UUID

from domain.payment import Payment as DomainPayment
from domain.scope import Scope
from domain.spending import Spent
from domain.stored_card import Card as DomainCard
from domain.stored_card import CardTransition
from domain.user import User as DomainUser
from persistence.card_pages import CardsWanted
from persistence.payment_pages import Cursor, cursor_of
from persistence.payments_below import Parent, PaymentsWanted
from resolvers.forbidden import insist_that
from resolvers.given import given
from resolvers.pages import page_size, place
from schema.card import Card, CardConnection, CardEdge, card_of
from schema.connection import PageInfo, PaymentConnection, PaymentEdge
from schema.payment import payment_of
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
        page_info = _page_info([edge.cursor for edge in edges], behind is not None, len(found) > limit)
        return CardConnection(count=lambda: self._context.card_counts.load(user.id), edges=edges, page_info=page_info)

    async def card_of_payment(self, payment: DomainPayment) -> Card | None:
        """The stored card that it was made with, as it is now. Raises Forbidden."""
        insist_that(self._context.caller, Scope.CARDS_READ)
        found = await self._context.cards.load(payment.card_id) if payment.card_id else None
        return card_of(found) if found else None

    async def user_of_payment(self, payment: DomainPayment) -> User | None:
        """The user whom the partner knows as its customer. Raises Forbidden."""
        insist_that(self._context.caller, Scope.USERS_READ)
        found = await self._context.customers.load(payment.customer_id)
        return user_of(found) if found else None

    async def spent_with_card(self, card: DomainCard) -> Spent:
        """What is spent with it by now. Raises Forbidden."""
        insist_that(self._context.caller, Scope.PAYMENTS_READ)
        return await self._context.spent.load(card.id)

    async def payments_of_card(self, card: DomainCard, first: int | None, after: str | None) -> PaymentConnection:
        """A page of the payments with it. Raises Forbidden and RefusedArgument."""
        return await self._payments(Parent.CARD, card.id, first, after)

    async def payments_of_user(self, user: DomainUser, first: int | None, after: str | None) -> PaymentConnection:
        """A page of the payments of that customer. Raises Forbidden and RefusedArgument."""
        return await self._payments(Parent.CUSTOMER, user.external_id, first, after)

    async def _payments(self, parent: Parent, name: UUID | str, first: int | None, after: str | None) -> PaymentConnection:
        context = self._context
        insist_that(context.caller, Scope.PAYMENTS_READ)
        limit, behind = page_size("first", given(first)), place("after", given(after), Cursor.decode)
        found = await context.payments_below[parent].load(PaymentsWanted(name, limit + 1, behind))
        edges = [
            PaymentEdge(cursor=cursor_of(each.payment).encode(), node=payment_of(each.payment, each.pending))
            for each in found[:limit]
        ]
        page_info = _page_info([edge.cursor for edge in edges], behind is not None, len(found) > limit)
        return PaymentConnection(count=lambda: context.payment_counts[parent].load(name), edges=edges, page_info=page_info)


def card_edge(card: DomainCard) -> CardEdge:
    """A card in a list."""
    return CardEdge(cursor=Cursor(card.created_at, card.id).encode(), node=card_of(card))


def _page_info(cursors: list[str], has_previous: bool, has_next: bool) -> PageInfo:
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
