"""The steps of a card's life: each verb, from each state; and what is told of them."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from domain.answer import CardNotUsable
from domain.card import CardBrand, CardSummary
from domain.card_document import card_from_document, card_to_document
from domain.card_life import CardVerb, event_type_of, moved, stepped
from domain.event import EventType
from domain.stored_card import CARD_TRANSITIONS, Card, CardKind, CardLimits, CardReason, CardState

NOW, LATER = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
S, V = CardState, CardVerb
WAYS = {
    (V.ACTIVATE, S.INACTIVE): S.ACTIVE,
    (V.FREEZE, S.ACTIVE): S.FROZEN,
    (V.UNFREEZE, S.FROZEN): S.ACTIVE,
    (V.CLOSE, S.INACTIVE): S.CLOSED,
    (V.CLOSE, S.ACTIVE): S.CLOSED,
    (V.CLOSE, S.FROZEN): S.CLOSED,
}


def card_in(state: CardState) -> Card:
    """A card, with a reason where its state has one."""
    return Card(
        id=UUID(int=1),
        user_id=UUID(int=2),
        kind=CardKind.ISSUED,
        summary=CardSummary(CardBrand.VISA, "1111"),
        expiry_month=11,
        expiry_year=2026,
        state=state,
        created_at=NOW,
        state_since=NOW,
        reason=CardReason.LOST if state in (S.FROZEN, S.CLOSED) else None,
        limits=CardLimits(100, None, 5000),
    )


@pytest.mark.parametrize(("verb", "state"), list(product(V, S)))
def test_a_verb_leads_where_the_table_says_and_is_refused_elsewhere(verb: CardVerb, state: CardState) -> None:
    reason = CardReason.STOLEN if verb in (V.FREEZE, V.CLOSE) else None

    outcome = moved(card_in(state), verb, reason, LATER)

    if (verb, state) in WAYS:
        assert outcome == replace(card_in(state), state=WAYS[verb, state], reason=reason, state_since=LATER)
    else:
        assert isinstance(outcome, CardNotUsable)
        assert (outcome.path, outcome.card_id, outcome.state) == (("input", "cardId"), UUID(int=1), state)
        assert state.value in outcome.message
        assert outcome.message.endswith(".")


def test_the_verbs_make_every_step_that_there_is_and_no_other() -> None:
    assert {(before, after) for (_, before), after in WAYS.items()} == {
        (before, after) for before, ways in CARD_TRANSITIONS.items() for after in ways
    }


@pytest.mark.parametrize(("verb", "state"), [(V.ACTIVATE, S.INACTIVE), (V.UNFREEZE, S.FROZEN)])
def test_a_card_whose_month_is_over_does_not_become_active(verb: CardVerb, state: CardState) -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC)

    outcome = moved(card_in(state), verb, None, december)

    assert isinstance(outcome, CardNotUsable)
    assert "expired in 11/2026" in outcome.message


def test_a_refusal_says_what_would_help() -> None:
    outcome = moved(card_in(S.FROZEN), V.ACTIVATE, None, NOW)

    assert isinstance(outcome, CardNotUsable)
    assert outcome.message == "Only a card that is INACTIVE can be activated; this one is FROZEN (LOST). Unfreeze it instead."


def test_nothing_leads_out_of_closed() -> None:
    with pytest.raises(AssertionError, match="leads not to"):
        stepped(card_in(S.CLOSED), S.ACTIVE, None, NOW)


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (None, replace(card_in(S.ACTIVE), kind=CardKind.ADDED), EventType.CARD_ADDED),
        (None, card_in(S.INACTIVE), EventType.CARD_ISSUED),
        (card_in(S.INACTIVE), card_in(S.ACTIVE), EventType.CARD_ACTIVATED),
        (card_in(S.FROZEN), card_in(S.ACTIVE), EventType.CARD_UNFROZEN),
        (card_in(S.ACTIVE), card_in(S.FROZEN), EventType.CARD_FROZEN),
        (card_in(S.INACTIVE), card_in(S.CLOSED), EventType.CARD_CLOSED),
        (card_in(S.FROZEN), replace(card_in(S.FROZEN), expiry_year=2027), EventType.CARD_RENEWED),
        (card_in(S.ACTIVE), replace(card_in(S.ACTIVE), limits=CardLimits()), EventType.CARD_LIMITS_CHANGED),
    ],
)
def test_each_change_has_its_name(before: Card | None, after: Card, event: EventType) -> None:
    assert event_type_of(before, after) is event


@pytest.mark.parametrize("state", list(S))
def test_a_card_is_read_as_it_was_written_down(state: CardState) -> None:
    card = replace(card_in(state), state_since=LATER)

    assert card_from_document(card_to_document(card)) == card
