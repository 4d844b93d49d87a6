"""The state machine: every state with every outcome, and what a receipt remembers."""

from datetime import timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.event import EVENT_OF, EventType, event_of
from domain.payment import (
    LIVE_STATES,
    STATE_FOR,
    TRANSITIONS,
    Authorized,
    BankReferences,
    Captured,
    Decline,
    DeclineCode,
    Declined,
    Disagreed,
    Expired,
    Outcome,
    PaymentState,
    Refunded,
    ReviewReason,
    Verb,
    Voided,
    review,
    step,
)
from tests.domain.examples import NOW, ROAD, SECOND, payment_in, uuids

S = PaymentState
DECLINE = Decline(DeclineCode.INVALID_CVV, "CVV does not match")
# Each kind of outcome, with every flag it has, and the state that it leads to. A void has two: see the tests of expiry.
LEADS_TO: dict[Outcome, PaymentState] = {
    Authorized("auth_2"): S.AUTHORIZED,
    Authorized("auth_2", possible_orphan=True): S.AUTHORIZED,
    Declined(DECLINE): S.DECLINED,
    Declined(DECLINE, possible_orphan=True): S.DECLINED,
    Captured("cap_2"): S.CAPTURED,
    Captured(None): S.CAPTURED,
    Voided("void_2"): S.VOIDED,
    Voided(None): S.VOIDED,
    Refunded("ref_2"): S.REFUNDED,
    Refunded(None): S.REFUNDED,
    Refunded(None, disputed=True): S.REFUNDED,
    Expired(): S.EXPIRED,
}
MOVES = [(state, outcome) for state, outcome in product(S, LEADS_TO) if LEADS_TO[outcome] in TRANSITIONS[state]]
RELEASES = [(S.EXPIRED, outcome) for outcome in LEADS_TO if isinstance(outcome, Voided)]
IMPOSSIBLE = [pair for pair in product(S, LEADS_TO) if pair not in MOVES + RELEASES]
TERMINAL = [state for state in S if not TRANSITIONS[state]]


def test_the_table_of_outcomes_has_every_kind() -> None:
    """A new outcome has to be put into these tests."""
    kinds = {type(outcome) for outcome in LEADS_TO} | {Disagreed}

    assert kinds == set(Outcome.__args__)


@pytest.mark.parametrize(("state", "outcome"), MOVES, ids=str)
def test_an_outcome_that_the_table_allows_moves_the_payment_there_and_notes_when(state: S, outcome: Outcome) -> None:
    payment = payment_in(state)

    moved = step(payment, outcome, NOW)

    assert moved.state is LEADS_TO[outcome]
    assert moved.reached == {**payment.reached, LEADS_TO[outcome]: NOW}
    assert (moved.id, moved.order_id, moved.customer_id, moved.amount, moved.card) == (
        *(payment.id, payment.order_id, payment.customer_id, payment.amount, payment.card),
    )


@pytest.mark.parametrize(("state", "outcome"), IMPOSSIBLE, ids=str)
def test_an_outcome_that_the_table_does_not_allow_is_a_bug_of_ours(state: S, outcome: Outcome) -> None:
    payment = payment_in(state)

    with pytest.raises(AssertionError, match=f"{state} does not lead to {LEADS_TO[outcome]}"):
        step(payment, outcome, NOW)


@pytest.mark.parametrize("state", S)
def test_a_bank_that_disagrees_changes_nothing_but_the_need_of_a_review(state: S) -> None:
    payment = payment_in(state)

    moved = step(payment, Disagreed("authorization_already_used"), NOW)

    assert moved == review(payment, ReviewReason.BANK_DISAGREES)
    assert moved.state is state
    assert moved.reached == payment.reached


@pytest.mark.parametrize("state", TERMINAL)
@pytest.mark.parametrize("outcome", [*LEADS_TO, Disagreed("x")], ids=str)
def test_a_terminal_state_never_changes(state: S, outcome: Outcome) -> None:
    payment = payment_in(state)

    try:
        moved = step(payment, outcome, NOW)
    except AssertionError:
        return

    assert moved.state is state
    assert moved.reached == payment.reached


def test_the_terminal_states_are_those_of_the_diagram() -> None:
    assert set(TERMINAL) == {S.VOIDED, S.REFUNDED, S.DECLINED, S.EXPIRED}


def test_every_state_can_be_reached_and_the_roads_follow_the_table() -> None:
    """The payments of these tests are payments that there can be."""
    for state, road in ROAD.items():
        assert road[0] is S.PENDING
        assert road[-1] is state
        assert all(after in TRANSITIONS[before] for before, after in pairwise(road))


def test_live_states_are_those_that_an_order_waits_for_or_has_its_money_in() -> None:
    assert {S.PENDING, S.AUTHORIZED, S.CAPTURED} == LIVE_STATES


def test_each_verb_starts_from_a_state_that_leads_to_its_own() -> None:
    own = {Verb.AUTHORIZE: S.AUTHORIZED, Verb.CAPTURE: S.CAPTURED, Verb.VOID: S.VOIDED, Verb.REFUND: S.REFUNDED}

    assert set(STATE_FOR) == set(Verb)
    assert all(own[verb] in TRANSITIONS[STATE_FOR[verb]] for verb in Verb)


@pytest.mark.parametrize(
    ("state", "outcome", "references"),
    [
        (S.PENDING, Authorized("auth_2"), BankReferences("auth_2")),
        (S.PENDING, Declined(DECLINE), BankReferences()),
        (S.AUTHORIZED, Captured("cap_2"), BankReferences("auth_1", capture="cap_2")),
        (S.AUTHORIZED, Captured(None), BankReferences("auth_1")),
        (S.AUTHORIZED, Voided("void_2"), BankReferences("auth_1", void="void_2")),
        (S.AUTHORIZED, Expired(), BankReferences("auth_1")),
        (S.CAPTURED, Refunded("ref_2"), BankReferences("auth_1", capture="cap_1", refund="ref_2")),
        (S.EXPIRED, Voided("void_2"), BankReferences("auth_1", void="void_2")),
    ],
    ids=str,
)
def test_a_reference_of_the_bank_is_kept_beside_the_earlier_ones(state: S, outcome: Outcome, references: BankReferences) -> None:
    moved = step(payment_in(state), outcome, NOW)

    assert moved.bank == references


@pytest.mark.parametrize(
    ("state", "outcome", "reasons"),
    [
        (S.PENDING, Authorized("a"), ()),
        (S.PENDING, Authorized("a", possible_orphan=True), (ReviewReason.POSSIBLE_ORPHAN_HOLD,)),
        (S.PENDING, Declined(DECLINE), ()),
        (S.PENDING, Declined(DECLINE, possible_orphan=True), (ReviewReason.POSSIBLE_ORPHAN_HOLD,)),
        (S.AUTHORIZED, Captured("c"), ()),
        (S.AUTHORIZED, Captured(None), (ReviewReason.CAPTURE_REFERENCE_UNKNOWN,)),
        (S.AUTHORIZED, Voided("v"), ()),
        (S.AUTHORIZED, Voided(None), (ReviewReason.VOID_REFERENCE_UNKNOWN,)),
        (S.AUTHORIZED, Expired(), ()),
        (S.CAPTURED, Refunded("r"), ()),
        (S.CAPTURED, Refunded(None), (ReviewReason.REFUND_REFERENCE_UNKNOWN,)),
        (S.CAPTURED, Refunded(None, disputed=True), (ReviewReason.REFUND_REFERENCE_UNKNOWN, ReviewReason.BANK_DISAGREES)),
    ],
    ids=str,
)
def test_what_an_operator_has_to_look_at_is_flagged(state: S, outcome: Outcome, reasons: tuple[ReviewReason, ...]) -> None:
    moved = step(payment_in(state), outcome, NOW)

    assert moved.review_reasons == set(reasons)


def test_a_flag_stays_when_the_payment_moves_on() -> None:
    payment = payment_in(S.AUTHORIZED, review_reasons=frozenset({ReviewReason.POSSIBLE_ORPHAN_HOLD}))

    moved = step(payment, Captured(None), NOW)

    assert moved.review_reasons == {ReviewReason.POSSIBLE_ORPHAN_HOLD, ReviewReason.CAPTURE_REFERENCE_UNKNOWN}


def test_a_decline_is_kept_in_the_banks_words() -> None:
    moved = step(payment_in(S.PENDING), Declined(DECLINE), NOW)

    assert moved.decline == DECLINE


@pytest.mark.parametrize("reference", ["void_2", None])
def test_voiding_an_expired_hold_frees_the_money_and_leaves_the_payment_expired(reference: str | None) -> None:
    payment = payment_in(S.EXPIRED)

    moved = step(payment, Voided(reference), NOW)

    assert moved.state is S.EXPIRED
    assert moved.bank.void == reference
    assert moved.reached == payment.reached
    assert (ReviewReason.VOID_REFERENCE_UNKNOWN in moved.review_reasons) is (reference is None)


@pytest.mark.parametrize(("state", "outcome"), MOVES, ids=str)
@given(behind=st.timedeltas(timedelta(0), timedelta(days=1)))
def test_a_clock_that_runs_behind_does_not_reorder_the_receipt(state: S, outcome: Outcome, behind: timedelta) -> None:
    """Hosts' clocks differ; what happened later is never shown as earlier."""
    payment = payment_in(state)
    latest = max(payment.reached.values())

    moved = step(payment, outcome, latest - behind)

    assert moved.reached[moved.state] == latest
    assert [each for each, _ in moved.history] == [*ROAD[state], moved.state]


@pytest.mark.parametrize("state", S)
def test_history_is_the_road_in_order(state: S) -> None:
    payment = payment_in(state)

    history = payment.history

    assert [each for each, _ in history] == list(ROAD[state])
    assert [at for _, at in history] == sorted(payment.reached.values())


@pytest.mark.parametrize("state", S)
def test_history_keeps_its_order_when_everything_happened_in_one_instant(state: S) -> None:
    payment = payment_in(state, reached=dict.fromkeys(reversed(ROAD[state]), NOW))

    assert [each for each, _ in payment.history] == list(ROAD[state])


def test_a_payment_was_created_when_it_became_pending() -> None:
    assert payment_in(S.CAPTURED).created_at == NOW - 3 * SECOND


@given(uuids)
def test_the_reference_is_two_groups_of_five_that_can_be_read_out(payment_id: object) -> None:
    reference = payment_in(S.PENDING, id=payment_id).reference

    first, second = reference.split("-")
    assert len(first) == len(second) == 5
    assert set(first + second) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (S.PENDING, "payment.created"),
        (S.AUTHORIZED, "payment.authorized"),
        (S.DECLINED, "payment.declined"),
        (S.CAPTURED, "payment.captured"),
        (S.VOIDED, "payment.voided"),
        (S.REFUNDED, "payment.refunded"),
        (S.EXPIRED, "payment.expired"),
    ],
)
def test_each_state_has_an_event_of_its_own(state: S, kind: str) -> None:
    payment, event_id = payment_in(state), payment_in(state).id

    event = event_of(event_id, S.AUTHORIZED, payment, "key-1")

    assert event.type == kind
    assert event.payment is payment
    assert event.occurred_at == payment.reached[state]
    assert (event.id, event.previous_state, event.idempotency_key) == (event_id, S.AUTHORIZED, "key-1")


def test_no_state_is_without_an_event_and_no_event_without_a_state() -> None:
    assert set(EVENT_OF) == set(S)
    assert sorted(EVENT_OF.values()) == sorted(each for each in EventType if each.startswith("payment."))
