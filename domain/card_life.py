"""The steps of a card's life: what each verb makes of a card, or why it can't."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from domain.answer import CardNotUsable
from domain.card import has_expired
from domain.event import EventType
from domain.stored_card import CARD_TRANSITIONS, Card, CardKind, CardReason, CardState

CARD_PATH = ("input", "cardId")
EXPIRY = "expiry"  # the actor of what no person did: the card's month was over


class CardVerb(StrEnum):
    """What can be done with a card; the value is the mutation's name."""

    ACTIVATE = "activateCard"
    FREEZE = "freezeCard"
    UNFREEZE = "unfreezeCard"
    CLOSE = "closeCard"


_RULES: Mapping[CardVerb, tuple[CardState, frozenset[CardState], str]] = {  # where to, where from, and what that is called
    CardVerb.ACTIVATE: (CardState.ACTIVE, frozenset({CardState.INACTIVE}), "activated"),
    CardVerb.FREEZE: (CardState.FROZEN, frozenset({CardState.ACTIVE}), "frozen"),
    CardVerb.UNFREEZE: (CardState.ACTIVE, frozenset({CardState.FROZEN}), "unfrozen"),
    CardVerb.CLOSE: (CardState.CLOSED, frozenset({CardState.INACTIVE, CardState.ACTIVE, CardState.FROZEN}), "closed"),
}
_ADVICE: Mapping[tuple[CardVerb, CardState], str] = {
    (CardVerb.FREEZE, CardState.INACTIVE): "Nothing can be paid with it as it is; close it if it must never be.",
    (CardVerb.ACTIVATE, CardState.FROZEN): "Unfreeze it instead.",
    (CardVerb.UNFREEZE, CardState.INACTIVE): "Activate it instead.",
}


def moved(card: Card, verb: CardVerb, reason: CardReason | None, now: datetime) -> Card | CardNotUsable:
    """The card after this step, or why it can't be made."""
    after, before, done = _RULES[verb]
    if card.state not in before:
        rule = f"Only a card that is {_any_of(before)} can be {done}; this one is {card.state.value}"
        because = f" ({card.reason.value})" if card.reason else ""
        advice = "That is final." if card.state is CardState.CLOSED else _ADVICE.get((verb, card.state), "")
        return CardNotUsable(CARD_PATH, card.id, card.state, f"{rule}{because}. {advice}".strip())
    if after is CardState.ACTIVE and has_expired(card.expiry_month, card.expiry_year, now):
        message = f"The card has expired in {card.expiry_month:02}/{card.expiry_year}. Let the user add its successor."
        return CardNotUsable(CARD_PATH, card.id, card.state, message)
    return stepped(card, after, reason, now)


def stepped(card: Card, after: CardState, reason: CardReason | None, now: datetime) -> Card:
    """The card in another state, which has to follow on its own."""
    assert after in CARD_TRANSITIONS[card.state], f"{card.state} leads not to {after}"
    return replace(card, state=after, reason=reason, state_since=now)


def event_type_of(before: Card | None, after: Card) -> EventType:
    """What has happened to a card that was like that and is like this."""
    if before is None:
        return EventType.CARD_ADDED if after.kind is CardKind.ADDED else EventType.CARD_ISSUED
    if before.state is after.state:
        is_renewed = (before.expiry_year, before.expiry_month) != (after.expiry_year, after.expiry_month)
        return EventType.CARD_RENEWED if is_renewed else EventType.CARD_LIMITS_CHANGED
    match after.state:
        case CardState.ACTIVE:
            return EventType.CARD_UNFROZEN if before.state is CardState.FROZEN else EventType.CARD_ACTIVATED
        case CardState.FROZEN:
            return EventType.CARD_FROZEN
        case CardState.CLOSED:
            return EventType.CARD_CLOSED
        case CardState.INACTIVE:
            raise AssertionError("nothing leads back to INACTIVE")


def _any_of(states: frozenset[CardState]) -> str:
    names = [state.value for state in CardState if state in states]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
