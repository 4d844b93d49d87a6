"""A card's states, and why it can't be used."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.card import CardBrand, CardSummary
from domain.stored_card import CARD_TRANSITIONS, Card, CardKind, CardReason, CardState, why_not_usable
from domain.user import User, UserState, erased

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CARD = Card(
    id=UUID(int=1),
    user_id=UUID(int=2),
    kind=CardKind.ADDED,
    summary=CardSummary(CardBrand.VISA, "1111"),
    expiry_month=11,
    expiry_year=2026,
    state=CardState.ACTIVE,
    created_at=NOW,
    state_since=NOW,
)


def test_a_closed_card_leads_nowhere() -> None:
    assert not CARD_TRANSITIONS[CardState.CLOSED]
    assert set(CARD_TRANSITIONS) == set(CardState)


def test_an_active_card_of_an_active_user_can_be_used_to_the_end_of_its_month() -> None:
    assert why_not_usable(CARD, UserState.ACTIVE, datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)) is None
    assert "expired in 11/2026" in (why_not_usable(CARD, UserState.ACTIVE, datetime(2026, 12, 1, tzinfo=UTC)) or "")


@pytest.mark.parametrize("state", [CardState.INACTIVE, CardState.FROZEN, CardState.CLOSED])
def test_a_card_in_any_other_state_says_which_and_what_to_do(state: CardState) -> None:
    reason = None if state is CardState.INACTIVE else CardReason.STOLEN

    sentence = why_not_usable(replace(CARD, state=state, reason=reason), UserState.ACTIVE, NOW)

    assert sentence is not None
    assert state.value in sentence


@pytest.mark.parametrize("owner", [UserState.DEACTIVATED, UserState.ERASED])
def test_nothing_is_paid_with_the_card_of_a_user_who_is_gone(owner: UserState) -> None:
    assert owner.value in (why_not_usable(CARD, owner, NOW) or "")


def test_an_erased_user_has_no_name_e_mail_or_metadata_and_keeps_the_partners_number() -> None:
    user = User(
        id=UUID(int=2),
        external_id="customer-7",
        state=UserState.ACTIVE,
        created_at=NOW,
        updated_at=NOW,
        name="Ada Byron",
        email="ada@example.com",
        metadata={"born": "1815"},
    )

    gone = erased(user, NOW)

    assert (gone.name, gone.email, gone.metadata, gone.external_id) == (None, None, {}, "customer-7")
    assert "Ada" not in repr(user)
