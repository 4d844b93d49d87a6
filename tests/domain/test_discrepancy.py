"""What our records and the bank's books mean together: every state with every hold, every operation with every key."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.discrepancy import (
    FLAGS,
    REFERENCE_UNKNOWN,
    REPAIRABLE,
    Claim,
    Discrepancy,
    DiscrepancyKind,
    HoldStanding,
    Look,
    Remedy,
    claim_of,
    compare_hold,
    compare_key,
    compare_unasked,
    look_at_rest,
    reference_of,
    treat,
)
from domain.payment import BankReferences, PaymentState, ReviewReason, Verb, review
from tests.domain.examples import NOW, payment_in, payments

S, H, K, C, V, R = PaymentState, HoldStanding, DiscrepancyKind, Claim, Verb, ReviewReason
EXPIRED_UNRELEASED = payment_in(S.EXPIRED)
EXPIRED_RELEASED = payment_in(S.EXPIRED, bank=BankReferences(authorization="auth_1", void="void_1"))

# Our payment, the bank's hold, and what that means. None: they agree.
HOLDS = [
    (payment_in(S.AUTHORIZED), H.ACTIVE, None),
    (payment_in(S.AUTHORIZED), H.EXPIRED, K.HOLD_EXPIRED),
    (payment_in(S.AUTHORIZED), H.USED, K.HOLD_USED_ELSEWHERE),
    (payment_in(S.CAPTURED), H.ACTIVE, K.HOLD_NOT_USED),
    (payment_in(S.CAPTURED), H.EXPIRED, K.HOLD_NOT_USED),
    (payment_in(S.CAPTURED), H.USED, None),
    (payment_in(S.VOIDED), H.ACTIVE, K.HOLD_NOT_USED),
    (payment_in(S.VOIDED), H.EXPIRED, K.HOLD_NOT_USED),
    (payment_in(S.VOIDED), H.USED, None),
    (payment_in(S.REFUNDED), H.ACTIVE, K.HOLD_NOT_USED),
    (payment_in(S.REFUNDED), H.EXPIRED, K.HOLD_NOT_USED),
    (payment_in(S.REFUNDED), H.USED, None),
    (EXPIRED_UNRELEASED, H.ACTIVE, K.HOLD_NOT_RELEASED),
    (EXPIRED_UNRELEASED, H.EXPIRED, K.HOLD_NOT_RELEASED),
    (EXPIRED_UNRELEASED, H.USED, K.HOLD_USED_ELSEWHERE),
    (EXPIRED_RELEASED, H.ACTIVE, K.HOLD_NOT_USED),
    (EXPIRED_RELEASED, H.EXPIRED, K.HOLD_NOT_USED),
    (EXPIRED_RELEASED, H.USED, None),
]
WITHOUT_A_HOLD = {S.PENDING, S.DECLINED}

# How a payment stands after an operation was done, or refused; the reference that we have; and what the bank's being there means.
DONE = {V.AUTHORIZE: S.AUTHORIZED, V.CAPTURE: S.CAPTURED, V.VOID: S.VOIDED, V.REFUND: S.REFUNDED}
REFUSED = {V.AUTHORIZE: S.DECLINED, V.CAPTURE: S.EXPIRED, V.VOID: S.AUTHORIZED, V.REFUND: S.CAPTURED}
OTHER = {V.AUTHORIZE: K.SECOND_HOLD, V.CAPTURE: K.OTHER_CAPTURE, V.VOID: K.OTHER_VOID, V.REFUND: K.OTHER_REFUND}


def lost(verb):
    """A payment whose operation is done and whose reference was lost."""
    payment = payment_in(DONE[verb])
    return review(replace(payment, bank=replace(payment.bank, **{verb.value.lower(): None})), REFERENCE_UNKNOWN[verb])


def test_every_state_meets_every_hold():
    met = {(payment.state, standing) for payment, standing, _ in HOLDS}

    assert met == set(product(set(S) - WITHOUT_A_HOLD, H))


@pytest.mark.parametrize(("payment", "standing", "kind"), HOLDS, ids=[f"{p.state}-{h}-{k}" for p, h, k in HOLDS])
def test_a_hold_means(payment, standing, kind):
    found = compare_hold(payment, standing)

    assert (found.kind if found else None) == kind
    if found:
        assert payment.state.value in found.ours and "auth_1" in found.ours
        assert found.the_banks


@pytest.mark.parametrize("state", sorted(WITHOUT_A_HOLD))
def test_a_payment_without_a_hold_is_not_asked_for_one(state):
    with pytest.raises(AssertionError, match="no hold"):
        compare_hold(payment_in(state), H.USED)


@pytest.mark.parametrize("verb", V)
def test_a_key_with_our_reference_agrees(verb):
    payment = payment_in(DONE[verb])

    assert compare_key(payment, verb, C.DONE, reference_of(payment.bank, verb)) is None


@pytest.mark.parametrize("verb", V)
def test_a_key_with_another_reference_does_not(verb):
    found = compare_key(payment_in(DONE[verb]), verb, C.DONE, "another_1")

    assert (found.kind, found.reference) == (OTHER[verb], "another_1")
    assert "another_1" in found.the_banks


@pytest.mark.parametrize("verb", REFERENCE_UNKNOWN)
def test_a_key_with_a_reference_that_was_lost_brings_it_back(verb):
    found = compare_key(lost(verb), verb, C.DONE, "found_1")

    assert (found.kind, found.reference) == (K.REFERENCE_FOUND, "found_1")


@pytest.mark.parametrize("verb", V)
def test_a_key_of_what_we_believe_refused_contradicts_us(verb):
    found = compare_key(payment_in(REFUSED[verb]), verb, C.REFUSED, "done_1")

    assert found.kind is (K.ORPHAN_HOLD if verb is V.AUTHORIZE else K.REFUSED_BUT_DONE)
    assert "done_1" in found.the_banks


@pytest.mark.parametrize(("verb", "claim", "standing"), list(product(V, C, [None, *H])))
def test_a_key_that_is_not_kept_proves_nothing_unless_the_hold_of_what_was_done_is_still_there(verb, claim, standing):
    payment = payment_in((DONE if claim is C.DONE else REFUSED)[verb])

    found = compare_key(payment, verb, claim, None, standing)

    contradicts = claim is C.DONE and verb in (V.CAPTURE, V.VOID) and standing in (H.ACTIVE, H.EXPIRED)
    assert (found.kind if found else None) == (K.HOLD_NOT_USED if contradicts else None)


@pytest.mark.parametrize("verb", V)
def test_what_became_of_an_operation_is_read_off_the_payment_that_it_left(verb):
    assert claim_of(verb, payment_in(DONE[verb])) is C.DONE
    assert claim_of(verb, payment_in(REFUSED[verb])) is C.REFUSED


def test_the_release_of_an_expired_hold_was_done_if_we_know_its_reference_or_that_it_was_lost():
    unknown = review(EXPIRED_UNRELEASED, R.VOID_REFERENCE_UNKNOWN)

    assert [claim_of(V.VOID, each) for each in (EXPIRED_RELEASED, unknown, EXPIRED_UNRELEASED)] == [C.DONE, C.DONE, C.REFUSED]


LOOKS = {
    S.PENDING: (None, {R.BANK_KEY_EXPIRED: Look.KEY}),
    S.AUTHORIZED: (Look.HOLD, dict.fromkeys(R, Look.HOLD)),
    S.CAPTURED: (None, dict.fromkeys((R.CAPTURE_REFERENCE_UNKNOWN, R.VOID_REFERENCE_UNKNOWN, R.BANK_DISAGREES), Look.HOLD)),
    S.VOIDED: (None, dict.fromkeys((R.CAPTURE_REFERENCE_UNKNOWN, R.VOID_REFERENCE_UNKNOWN, R.BANK_DISAGREES), Look.HOLD)),
    S.REFUNDED: (None, dict.fromkeys((R.CAPTURE_REFERENCE_UNKNOWN, R.VOID_REFERENCE_UNKNOWN, R.BANK_DISAGREES), Look.HOLD)),
    S.EXPIRED: (Look.HOLD, dict.fromkeys(R, Look.HOLD)),
    S.DECLINED: (None, {}),
}


@pytest.mark.parametrize("state", S)
def test_what_is_looked_at_where_nothing_is_under_way(state):
    usual, flagged = LOOKS[state]

    assert look_at_rest(payment_in(state)) is usual
    for reason in R:
        assert look_at_rest(review(payment_in(state), reason)) is flagged.get(reason), reason


def test_a_released_hold_is_looked_at_only_where_it_is_in_doubt():
    assert look_at_rest(EXPIRED_RELEASED) is None
    assert look_at_rest(review(EXPIRED_RELEASED, R.RECONCILED)) is None
    assert look_at_rest(review(EXPIRED_RELEASED, R.BANK_DISAGREES)) is Look.HOLD


def test_an_authorization_that_can_not_be_asked_for_is_settled_by_the_hold_that_the_bank_keeps():
    payment = review(payment_in(S.PENDING), R.BANK_KEY_EXPIRED)

    nothing = compare_unasked(payment, None, 3)
    one, several = compare_unasked(payment, "auth_9", 1), compare_unasked(payment, "auth_9", 3)

    assert nothing is None
    assert one.kind is several.kind is K.HOLD_FOUND
    assert (one.possible_orphan, several.possible_orphan) == (False, True)
    assert "1 try unanswered" in one.ours and "3 tries unanswered" in several.ours


# --- What is done -----------------------------------------------------------------------------------------------------


def treated(payment, found, verb=None, *, repairs_left=1, limit=10_000):
    return treat(payment, verb, found, NOW, repairs_left=repairs_left, repair_limit_minor=limit)


REPAIRS = [
    (payment_in(S.AUTHORIZED), None, Discrepancy(K.HOLD_EXPIRED, "", "")),
    (EXPIRED_UNRELEASED, None, Discrepancy(K.HOLD_NOT_RELEASED, "", "")),
    (review(payment_in(S.PENDING), R.BANK_KEY_EXPIRED), V.AUTHORIZE, Discrepancy(K.HOLD_FOUND, "", "", "auth_9")),
    *((lost(verb), verb, Discrepancy(K.REFERENCE_FOUND, "", "", "found_1")) for verb in REFERENCE_UNKNOWN),
]


def test_every_kind_is_either_repaired_or_flagged_for_a_reason():
    assert {found.kind for _, _, found in REPAIRS} == REPAIRABLE
    assert set(FLAGS) == set(K) - REPAIRABLE


def test_an_expired_hold_expires_its_payment():
    after = treated(payment_in(S.AUTHORIZED), Discrepancy(K.HOLD_EXPIRED, "", "")).after

    assert (after.state, after.reached[S.EXPIRED]) == (S.EXPIRED, NOW)


@pytest.mark.parametrize(("possible_orphan", "reasons"), [(False, set()), (True, {R.POSSIBLE_ORPHAN_HOLD})])
def test_a_hold_that_was_found_authorizes_its_payment_and_ends_the_wait_for_an_operator(possible_orphan, reasons):
    waiting = review(payment_in(S.PENDING), R.BANK_KEY_EXPIRED)

    after = treated(waiting, Discrepancy(K.HOLD_FOUND, "", "", "auth_9", possible_orphan)).after

    assert (after.state, after.bank.authorization, after.review_reasons) == (S.AUTHORIZED, "auth_9", reasons)


@pytest.mark.parametrize("verb", REFERENCE_UNKNOWN)
def test_a_reference_that_was_found_is_filled_in_and_its_flag_dropped(verb):
    payment = review(lost(verb), R.POSSIBLE_ORPHAN_HOLD)

    after = treated(payment, Discrepancy(K.REFERENCE_FOUND, "", "", "found_1"), verb).after

    assert reference_of(after.bank, verb) == "found_1"
    assert after.review_reasons == {R.POSSIBLE_ORPHAN_HOLD}


@pytest.mark.parametrize(("payment", "verb", "found"), REPAIRS, ids=[f"{found.kind}-{verb}" for _, verb, found in REPAIRS])
def test_over_the_limit_it_is_repaired_and_somebody_has_to_look(payment, verb, found):
    amount = payment.amount.minor_units

    at_limit, over = treated(payment, found, verb, limit=amount), treated(payment, found, verb, limit=amount - 1)

    assert at_limit.remedy is over.remedy is Remedy.REPAIRED
    assert R.RECONCILED not in at_limit.after.review_reasons
    assert over.after == review(at_limit.after, R.RECONCILED)


@pytest.mark.parametrize(("payment", "verb", "found"), REPAIRS, ids=[f"{found.kind}-{verb}" for _, verb, found in REPAIRS])
def test_with_no_repairs_left_it_is_told_and_nothing_is_done(payment, verb, found):
    treatment = treated(payment, found, verb, repairs_left=0)

    assert (treatment.remedy, treatment.after) == (Remedy.FLAGGED, payment)


@given(payment=payments(), kind=st.sampled_from(sorted(FLAGS)), limit=st.integers(0, 10**9))
def test_a_flag_changes_nothing_but_the_flags_and_twice_is_once(payment, kind, limit):
    once = treated(payment, Discrepancy(kind, "", ""), limit=limit)
    twice = treated(once.after, Discrepancy(kind, "", ""), limit=limit)

    assert once.remedy is Remedy.FLAGGED
    assert once.after == review(payment, FLAGS[kind]) == twice.after
