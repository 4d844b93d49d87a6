"""What may be asked of a payment: every verb, in every state, with and without something under way."""

from itertools import product

import pytest

from domain.answer import refusal_of
from domain.payment import STATE_FOR, BankReferences, PaymentState, Verb
from tests.domain.examples import payment_in, pending

S = PaymentState
OPERATIONS = (Verb.CAPTURE, Verb.VOID, Verb.REFUND)
UNDER_WAY = (None, *OPERATIONS)
ADVICE = {  # the states in which there is something better to say than "no"
    (Verb.CAPTURE, S.PENDING): "Its authorization is still awaiting the bank.",
    (Verb.VOID, S.PENDING): "Its authorization is still awaiting the bank.",
    (Verb.REFUND, S.PENDING): "Its authorization is still awaiting the bank.",
    (Verb.VOID, S.CAPTURED): "Refund it instead.",
    (Verb.REFUND, S.AUTHORIZED): "Void it instead.",
    (Verb.CAPTURE, S.EXPIRED): "The hold ran out; authorize the order anew.",
    (Verb.VOID, S.EXPIRED): "The hold ran out; authorize the order anew.",
    (Verb.REFUND, S.EXPIRED): "The hold ran out; authorize the order anew.",
}


@pytest.mark.parametrize(("verb", "state", "under_way"), list(product(OPERATIONS, S, UNDER_WAY)))
def test_a_verb_is_allowed_only_in_its_own_state_with_nothing_under_way(verb: Verb, state: S, under_way: Verb | None) -> None:
    payment = payment_in(state)

    refusal = refusal_of(verb, payment, pending(under_way) if under_way else None)

    assert (refusal is None) is (state is STATE_FOR[verb] and under_way is None)
    if refusal is not None:
        assert (refusal.payment_id, refusal.state) == (payment.id, state)


@pytest.mark.parametrize(
    ("verb", "state"), [(verb, state) for verb, state in product(OPERATIONS, S) if state is not STATE_FOR[verb]]
)
def test_a_refusal_says_the_rule_the_state_and_what_to_do_instead(verb: Verb, state: S) -> None:
    past = {Verb.CAPTURE: "captured", Verb.VOID: "voided", Verb.REFUND: "refunded"}[verb]

    refusal = refusal_of(verb, payment_in(state), None)

    assert refusal is not None
    rule = f"Only a payment that is {STATE_FOR[verb]} can be {past}; this one is {state}."
    assert refusal.message == f"{rule} {ADVICE.get((verb, state), '')}".strip()


@pytest.mark.parametrize(("verb", "under_way"), list(product(OPERATIONS, OPERATIONS)))
def test_an_operation_under_way_is_named_with_the_time_since_when(verb: Verb, under_way: Verb) -> None:
    refusal = refusal_of(verb, payment_in(STATE_FOR[verb]), pending(under_way))

    assert refusal is not None
    assert refusal.message == (
        f"A {under_way.value.lower()} of this payment is under way since 15:09:26 UTC. Wait for its outcome, then decide."
    )


def test_a_capture_whose_reference_was_lost_cannot_be_refunded_here() -> None:
    payment = payment_in(S.CAPTURED, bank=BankReferences("auth_1"))

    refusal = refusal_of(Verb.REFUND, payment, None)

    assert refusal is not None
    assert "can't be refunded through the API" in refusal.message
