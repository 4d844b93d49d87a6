"""What is below users, cards and events, and whoever asks for it: their own rows don't have it, and not every key may look at it.

Types have no reader of their own, so that one event can be shown to all who follow it. A field asks the request that it is resolved for.
"""

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import strawberry

from domain.payment import Payment as DomainPayment
from domain.spending import Spent
from domain.stored_card import Card as DomainCard
from domain.stored_card import CardTransition
from domain.user import User as DomainUser

if TYPE_CHECKING:
    from schema.card import Card, CardConnection
    from schema.connection import PaymentConnection
    from schema.user import User


class Below(Protocol):
    """Loads it, for many things in one statement."""

    @property
    def shows_cards(self) -> bool:
        """Whether the reader may look at cards."""

    async def user_of_card(self, card: DomainCard) -> "User":
        """The user, as they are now. Raises an error for a reader who may not look at users."""

    async def user_of_event(self, user_id: UUID) -> "User | None":
        """Whom it is about, as they are now; None for a reader who may not look at users."""

    async def history_of_card(self, card: DomainCard) -> list[CardTransition]:
        """The last steps of its life, oldest first."""

    async def cards_of_user(self, user: DomainUser, first: int | None, after: str | None) -> "CardConnection":
        """A page of their cards. Raises an error for a reader who may not look at cards."""

    async def spent_with_card(self, card: DomainCard) -> Spent:
        """What is spent with it by now. Raises an error for a reader who may not look at payments."""

    async def payments_of_card(self, card: DomainCard, first: int | None, after: str | None) -> "PaymentConnection":
        """A page of the payments with it. Raises an error for a reader who may not look at payments."""

    async def payments_of_user(self, user: DomainUser, first: int | None, after: str | None) -> "PaymentConnection":
        """A page of the payments of that customer. Raises an error for a reader who may not look at payments."""

    async def card_of_payment(self, payment: DomainPayment) -> "Card | None":
        """The stored card that it was made with, as it is now. Raises an error for a reader who may not look at cards."""

    async def user_of_payment(self, payment: DomainPayment) -> "User | None":
        """Whose it is, as they are now. Raises an error for a reader who may not look at users."""


class Asking(Protocol):
    """A request's context, as far as the contract knows it."""

    @property
    def below(self) -> Below:
        """What is below, as this request may see it."""


Info = strawberry.Info[Asking, None]
