"""Fingerprints: what makes two requests the same, and what a stolen table can't tell."""

import hmac
from dataclasses import fields
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.card import CardDetails
from domain.fingerprint import fingerprint_of_authorize, fingerprint_of_operation
from domain.money import MAX_MINOR_UNITS, Money
from domain.payment import Verb
from domain.request import AuthorizeRequest, parse_authorize
from tests.domain.examples import NOW, card_numbers, names, raw, request, uuids

SECRET, OTHER_SECRET = b"s" * 32, b"t" * 32
OPERATIONS = (Verb.CAPTURE, Verb.VOID, Verb.REFUND)


def print_of(**changes: Any) -> bytes:
    return fingerprint_of_authorize(request(**changes), SECRET)


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": "order-2"},
        {"customer_id": "customer-2"},
        {"amount": Money(2000)},
        {"number": "4242424242424242"},
        {"expiry_month": 11},
        {"expiry_year": 2031},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_value_makes_another_request(changes: dict[str, Any]) -> None:
    assert print_of(**changes) != print_of()


@pytest.mark.parametrize("changes", [{"cvv": "999"}, {"idempotency_key": "key-2"}], ids=lambda changes: next(iter(changes)))
def test_the_cvv_and_the_key_itself_are_not_in_it(changes: dict[str, Any]) -> None:
    """A CVV must not be derivable from anything stored."""
    assert print_of(**changes) == print_of()


def test_all_fields_of_a_request_are_spoken_of_above() -> None:
    """A new field has to be put into the fingerprint, or left out on purpose. `wait` is none of them: it is not in a request."""
    assert {field.name for field in fields(AuthorizeRequest)} == {"idempotency_key", "order_id", "customer_id", "amount", "card"}
    assert {field.name for field in fields(CardDetails)} == {"number", "cvv", "expiry_month", "expiry_year"}
    assert {field.name for field in fields(Money)} == {"minor_units", "currency"}


@pytest.mark.parametrize(
    "spelling",
    [
        {"minor_units": "1999"},
        {"minor_units": 1999.0},
        {"number": "4111 1111-1111 1111"},
    ],
    ids=str,
)
def test_another_spelling_of_the_same_value_is_the_same_request(spelling: dict[str, Any]) -> None:
    parsed = parse_authorize(raw(**spelling), NOW)

    assert isinstance(parsed, AuthorizeRequest)
    assert fingerprint_of_authorize(parsed, SECRET) == print_of()


def test_the_order_of_fields_does_not_matter() -> None:
    one = AuthorizeRequest(idempotency_key="k", order_id="o", customer_id="c", amount=Money(1), card=request().card)
    other = AuthorizeRequest(card=request().card, amount=Money(1), customer_id="c", order_id="o", idempotency_key="k")

    assert fingerprint_of_authorize(one, SECRET) == fingerprint_of_authorize(other, SECRET)


def test_values_do_not_run_into_each_other() -> None:
    assert print_of(order_id="1", customer_id="23") != print_of(order_id="12", customer_id="3")


@given(
    st.tuples(names, names, st.integers(1, MAX_MINOR_UNITS), card_numbers, st.integers(1, 12), st.integers(2000, 2080)),
    st.tuples(names, names, st.integers(1, MAX_MINOR_UNITS), card_numbers, st.integers(1, 12), st.integers(2000, 2080)),
)
def test_two_requests_have_one_fingerprint_only_if_they_are_one(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    def fingerprint(order: str, customer: str, minor_units: int, number: str, month: int, year: int) -> bytes:
        return print_of(
            order_id=order, customer_id=customer, amount=Money(minor_units), number=number, expiry_month=month, expiry_year=year
        )

    assert (fingerprint(*one) == fingerprint(*other)) is (one == other)


def test_another_secret_makes_another_print() -> None:
    """Without the secret a stolen table can't be searched for card numbers."""
    assert fingerprint_of_authorize(request(), SECRET) != fingerprint_of_authorize(request(), OTHER_SECRET)
    assert fingerprint_of_operation(Verb.VOID, UUID(int=1), SECRET) != fingerprint_of_operation(
        Verb.VOID, UUID(int=1), OTHER_SECRET
    )


def test_the_number_goes_in_only_under_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    digested: list[bytes] = []
    digest = hmac.digest

    def watched(key: bytes, message: bytes, name: str) -> bytes:
        digested.append(message)
        return digest(key, message, name)

    monkeypatch.setattr(hmac, "digest", watched)

    print_of()

    number, canonical = digested
    assert number == b"4111111111111111"
    assert b"4111111111111111" not in canonical
    assert b"123" not in canonical.replace(digest(SECRET, number, "sha256").hex().encode(), b"")


def test_the_verb_is_in_it() -> None:
    prints = {fingerprint_of_operation(verb, UUID(int=1), SECRET) for verb in OPERATIONS}

    assert len(prints | {print_of()}) == 4


@given(uuids, uuids)
def test_the_payment_is_in_it(one: UUID, other: UUID) -> None:
    assume(one != other)

    assert fingerprint_of_operation(Verb.CAPTURE, one, SECRET) != fingerprint_of_operation(Verb.CAPTURE, other, SECRET)


def test_a_print_has_32_bytes() -> None:
    assert len(print_of()) == len(fingerprint_of_operation(Verb.VOID, UUID(int=1), SECRET)) == 32


def test_a_print_stays_the_same_over_versions() -> None:
    """Prints are stored for 30 days: a version that makes other ones would refuse every repetition as a mismatch."""
    assert print_of().hex() == "8f2c8ce49bc22c75af326416e017784c86d7e9bdbc7ed32bfd05195ac994fc3f"
    assert (
        fingerprint_of_operation(Verb.CAPTURE, UUID(int=1), SECRET).hex()
        == "5b9bb45da2963f70eab91af18864f8c8fd3195a2dc622d4e1315e31f19190a78"
    )
