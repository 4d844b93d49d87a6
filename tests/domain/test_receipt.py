"""Receipts as JSON: exactly as they were."""

import json

import pytest
from hypothesis import given

from domain.payment import Payment, PaymentState
from domain.receipt import from_document, to_document
from tests.domain.examples import payment_in, payments


@given(payments())
def test_a_receipt_comes_back_from_json_exactly_as_it_was(payment: Payment) -> None:
    assert from_document(json.loads(json.dumps(to_document(payment)))) == payment


@pytest.mark.parametrize("state", PaymentState)
def test_a_receipt_of_every_state_comes_back(state: PaymentState) -> None:
    payment = payment_in(state)

    returned = from_document(json.loads(json.dumps(to_document(payment))))

    assert returned == payment
    assert returned.history == payment.history


def test_no_microsecond_is_lost() -> None:
    payment = payment_in(PaymentState.PENDING)

    document = to_document(payment)

    assert document["reached"] == {"PENDING": "2026-03-14T15:09:25.535897+00:00"}
