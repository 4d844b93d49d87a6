"""A card as plain JSON: as it was, in an event and in a remembered answer. Neither number nor fingerprint is in it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.card import CardBrand, CardSummary
from domain.stored_card import Card, CardKind, CardLimits, CardReason, CardState


def card_to_document(card: Card) -> dict[str, Any]:
    """Everything of a card."""
    return {
        "id": str(card.id),
        "user": str(card.user_id),
        "kind": card.kind.value,
        "brand": card.summary.brand.value,
        "last_four": card.summary.last_four,
        "expiry": [card.expiry_month, card.expiry_year],
        "state": card.state.value,
        "reason": card.reason.value if card.reason else None,
        "created_at": card.created_at.isoformat(),
        "state_since": card.state_since.isoformat(),
        "limits": [card.limits.per_transaction, card.limits.per_day, card.limits.per_month],
    }


def card_from_document(document: Mapping[str, Any]) -> Card:
    """The card that `card_to_document` wrote down."""
    month, year = document["expiry"]
    return Card(
        id=UUID(document["id"]),
        user_id=UUID(document["user"]),
        kind=CardKind(document["kind"]),
        summary=CardSummary(CardBrand(document["brand"]), document["last_four"]),
        expiry_month=month,
        expiry_year=year,
        state=CardState(document["state"]),
        reason=CardReason(document["reason"]) if document["reason"] else None,
        created_at=datetime.fromisoformat(document["created_at"]),
        state_since=datetime.fromisoformat(document["state_since"]),
        limits=CardLimits(*document["limits"]),
    )
