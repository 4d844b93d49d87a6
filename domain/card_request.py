"""What partners may ask about stored cards, checked: raw values come in, a request or all its problems come out."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.answer import InvalidInput
from domain.card_life import CardVerb
from domain.ids import IdKind, decode_id_of
from domain.request import Problems, check_expiry, parse_number
from domain.stored_card import CardReason


@dataclass(frozen=True, slots=True)
class AddCard:
    """A checked wish to keep a card for a user. `user_id` is None when no user can have that id."""

    idempotency_key: str
    user_id: UUID | None
    number: str = field(repr=False)
    expiry_month: int
    expiry_year: int

    def content(self, fingerprint: bytes) -> dict[str, Any]:
        """What makes it the same request; of the number only its fingerprint."""
        return {"user": str(self.user_id), "number": fingerprint.hex(), "expiry": [self.expiry_month, self.expiry_year]}


@dataclass(frozen=True, slots=True)
class MoveCard:
    """A checked wish to bring a card into another state. `card_id` is None when no card can have that id."""

    idempotency_key: str
    card_id: UUID | None
    verb: CardVerb
    reason: CardReason | None = None

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"card": str(self.card_id), "reason": self.reason.value if self.reason else None}


def parse_add_card(
    idempotency_key: str, user_id: str, number: str, expiry_month: int, expiry_year: int, now: datetime
) -> AddCard | InvalidInput:
    """The request, or each problem with its path. Messages never repeat what was sent: it may be a card number."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    bare = parse_number(problems, ("input",), number)
    check_expiry(problems, ("input",), expiry_month, expiry_year, now)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return AddCard(key, decode_id_of(IdKind.USER, user_id), bare, expiry_month, expiry_year)


def parse_move_card(idempotency_key: str, card_id: str, verb: CardVerb, reason: CardReason | None) -> MoveCard | InvalidInput:
    """The request, or each problem with its path. To freeze without a reason is the customer's wish."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    if reason is CardReason.EXPIRED:
        problems.add(("input", "reason"), "A card expires by its date alone. Give another reason.")
    if verb is CardVerb.FREEZE and reason is None:
        reason = CardReason.CUSTOMER_REQUEST
    assert (reason is not None) is (verb in (CardVerb.FREEZE, CardVerb.CLOSE)), "the schema asks for one where there is one"
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return MoveCard(key, decode_id_of(IdKind.CARD, card_id), verb, reason)
