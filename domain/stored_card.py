"""A card that is kept for a user: added by its number, or issued. Its number is in the vault, and nowhere here.

INACTIVE ──► ACTIVE ◄──► FROZEN
    │          │            │
    └──────────┴► CLOSED ◄──┘
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.card import CardSummary, has_expired
from domain.user import UserState


class CardKind(StrEnum):
    """Where a card comes from."""

    ADDED = "ADDED"
    ISSUED = "ISSUED"


class CardState(StrEnum):
    """Where a card stands."""

    INACTIVE = "INACTIVE"
    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"


class CardReason(StrEnum):
    """Why a card was frozen or closed."""

    LOST = "LOST"
    STOLEN = "STOLEN"
    FRAUD = "FRAUD"
    CUSTOMER_REQUEST = "CUSTOMER_REQUEST"
    EXPIRED = "EXPIRED"


CARD_TRANSITIONS: Mapping[CardState, frozenset[CardState]] = {
    CardState.INACTIVE: frozenset({CardState.ACTIVE, CardState.CLOSED}),
    CardState.ACTIVE: frozenset({CardState.FROZEN, CardState.CLOSED}),
    CardState.FROZEN: frozenset({CardState.ACTIVE, CardState.CLOSED}),
    CardState.CLOSED: frozenset(),
}
MAX_CARDS_PER_USER = 1000  # open ones that staff may grant, as the table has it: a fleet's, and few enough for one erasure
# A number that was closed for one of these never comes back.
COMPROMISED = frozenset({CardReason.LOST, CardReason.STOLEN, CardReason.FRAUD})


@dataclass(frozen=True, slots=True)
class CardLimits:
    """What may be spent with a card at most, in minor units; None: as much as the bank allows. Days and months are UTC's."""

    per_transaction: int | None = None
    per_day: int | None = None
    per_month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card. `reason` says why it is FROZEN or CLOSED."""

    id: UUID
    user_id: UUID
    kind: CardKind
    summary: CardSummary
    expiry_month: int
    expiry_year: int
    state: CardState
    created_at: datetime
    state_since: datetime
    reason: CardReason | None = None
    limits: CardLimits = CardLimits()


@dataclass(frozen=True, slots=True)
class CardTransition:
    """One step of a card's life, and who made it: a key's name, or `expiry`. `before` is None when the card is new."""

    before: CardState | None
    after: CardState
    reason: CardReason | None
    actor: str
    at: datetime


def why_not_usable(card: Card, owner: UserState, now: datetime) -> str | None:
    """Why nothing can be paid with this card, in a sentence that says what to do; None when it can."""
    if owner is not UserState.ACTIVE:
        return f"The card's user is {owner.value}. Reactivate the user, if that can be; or let them pay in another way."
    if card.state is CardState.CLOSED:
        because = f" ({card.reason.value})" if card.reason else ""
        return f"The card is CLOSED{because}. Let the user add another one."
    if has_expired(card.expiry_month, card.expiry_year, now):
        return f"The card has expired in {card.expiry_month:02}/{card.expiry_year}. Let the user add its successor."
    if card.state is CardState.FROZEN:
        because = f" ({card.reason.value})" if card.reason else ""
        return f"The card is FROZEN{because}. Unfreeze it first."
    if card.state is CardState.INACTIVE:
        return "The card is INACTIVE. Activate it first."
    return None
