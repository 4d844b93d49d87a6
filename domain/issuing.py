"""Cards that the bank makes for a user: what partners may ask, and what is on record while it is being asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.answer import CardAlreadyRevealed, CardNotUsable, InvalidInput
from domain.ids import IdKind, decode_id_of, encode_id
from domain.request import Problems
from domain.stored_card import Card, CardKind, CardState

CARD_PATH = ("input", "cardId")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCard:
    """What is on record of an issued card beside the card itself; `reference` is None while the bank has not said that it made it.

    `actor` and `api_key_id`: who asked for it.
    """

    card_id: UUID
    user_id: UUID
    opened_at: datetime
    actor: str
    api_key_id: UUID
    idempotency_key: str
    reference: str | None = None
    revealed_at: datetime | None = None

    @property
    def bank_key(self) -> str:
        """The Idempotency-Key under which the bank is asked for it, now and again."""
        return encode_id(IdKind.CARD, self.card_id)


@dataclass(frozen=True, slots=True)
class IssueCard:
    """A checked wish to have a card made for a user. `user_id` is None when no user can have that id."""

    idempotency_key: str
    user_id: UUID | None

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"user": str(self.user_id)}


@dataclass(frozen=True, slots=True)
class RevealCard:
    """A checked wish to see an issued card's number. `card_id` is None when no card can have that id."""

    idempotency_key: str
    card_id: UUID | None

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"card": str(self.card_id)}


def parse_issue_card(idempotency_key: str, user_id: str) -> IssueCard | InvalidInput:
    """The request, or each problem with its path."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    return InvalidInput(tuple(problems.found)) if problems.found else IssueCard(key, decode_id_of(IdKind.USER, user_id))


def parse_reveal_card(idempotency_key: str, card_id: str) -> RevealCard | InvalidInput:
    """The request, or each problem with its path."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    return InvalidInput(tuple(problems.found)) if problems.found else RevealCard(key, decode_id_of(IdKind.CARD, card_id))


def why_not_revealed(card: Card, issued: IssuedCard | None) -> CardNotUsable | CardAlreadyRevealed | None:
    """Why a card's number is not shown; None when it is."""
    if card.kind is not CardKind.ISSUED or issued is None:
        message = "Only the number of an issued card is shown; who added this one has its number."
        return CardNotUsable(CARD_PATH, card.id, card.state, message)
    if card.state is CardState.CLOSED:
        return CardNotUsable(CARD_PATH, card.id, card.state, "The card is CLOSED; nothing can be paid with it any more.")
    if issued.revealed_at is not None:
        return CardAlreadyRevealed(card.id, issued.revealed_at)
    return None
