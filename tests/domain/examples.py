"""Payments, requests and hypothesis strategies that several tests build on."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from domain.card import CardBrand, CardDetails, CardSummary
from domain.money import MAX_MINOR_UNITS, Money
from domain.payment import (
    BankReferences,
    Decline,
    DeclineCode,
    Payment,
    PaymentState,
    PendingOperation,
    ReviewReason,
    Verb,
)
from domain.request import AuthorizeRequest, RawAuthorize, RawCard

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
SECOND = timedelta(seconds=1)
S = PaymentState

# How a payment comes into each state: the states on the way, oldest first.
ROAD: Mapping[PaymentState, tuple[PaymentState, ...]] = {
    S.PENDING: (S.PENDING,),
    S.AUTHORIZED: (S.PENDING, S.AUTHORIZED),
    S.CAPTURED: (S.PENDING, S.AUTHORIZED, S.CAPTURED),
    S.VOIDED: (S.PENDING, S.AUTHORIZED, S.VOIDED),
    S.REFUNDED: (S.PENDING, S.AUTHORIZED, S.CAPTURED, S.REFUNDED),
    S.DECLINED: (S.PENDING, S.DECLINED),
    S.EXPIRED: (S.PENDING, S.AUTHORIZED, S.EXPIRED),
}


def payment_in(state: PaymentState, **changes: Any) -> Payment:
    """A payment that went straight to `state`, one second for each step, the last one a second before NOW."""
    road = ROAD[state]
    start = NOW - len(road) * SECOND
    given: dict[str, Any] = {
        "id": UUID(int=7),
        "order_id": "order-1",
        "customer_id": "customer-1",
        "amount": Money(1999),
        "card": CardSummary(CardBrand.VISA, "1111"),
        "state": state,
        "reached": {each: start + index * SECOND for index, each in enumerate(road)},
        "bank": BankReferences(
            authorization="auth_1" if S.AUTHORIZED in road else None,
            capture="cap_1" if S.CAPTURED in road else None,
            void="void_1" if S.VOIDED in road else None,
            refund="ref_1" if S.REFUNDED in road else None,
        ),
        "decline": Decline(DeclineCode.INSUFFICIENT_FUNDS, "insufficient funds") if state is S.DECLINED else None,
    }
    return Payment(**{**given, **changes})


def pending(verb: Verb) -> PendingOperation:
    """An operation under way."""
    return PendingOperation(verb, NOW, 1)


def raw(**changes: Any) -> RawAuthorize:
    """A good wish, as a client sends it; fields of the card are changed by their own names."""
    card: dict[str, Any] = {"number": "4111111111111111", "cvv": "123", "expiry_month": 12, "expiry_year": 2030}
    wish: dict[str, Any] = {
        "idempotency_key": "key-1",
        "order_id": "order-1",
        "customer_id": "customer-1",
        "minor_units": 1999,
        "currency": "USD",
    }
    for name, value in changes.items():
        (card if name in card else wish)[name] = value
    return RawAuthorize(**wish, card=RawCard(**card))


def request(**changes: Any) -> AuthorizeRequest:
    """A checked wish."""
    card: dict[str, Any] = {"number": "4111111111111111", "cvv": "123", "expiry_month": 12, "expiry_year": 2030}
    wish: dict[str, Any] = {
        "idempotency_key": "key-1",
        "order_id": "order-1",
        "customer_id": "customer-1",
        "amount": Money(1999),
    }
    for name, value in changes.items():
        (card if name in card else wish)[name] = value
    return AuthorizeRequest(**wish, card=CardDetails(**card))


def with_check_digit(stem: str) -> str:
    """The stem and the digit that makes it pass the Luhn check, worked out the slow way."""
    for digit in "0123456789":
        total = 0
        for position, character in enumerate(reversed(stem + digit)):
            value = int(character)
            if position % 2 == 1:
                value = value * 2 if value < 5 else value * 2 - 9
            total += value
        if total % 10 == 0:
            return stem + digit
    raise AssertionError("one of ten digits fits")


card_numbers = st.text("0123456789", min_size=12, max_size=18).map(with_check_digit)
uuids = st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))
moments = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
names = st.text(min_size=1, max_size=20)
references = st.none() | names


@st.composite
def payments(draw: st.DrawFn) -> Payment:
    """Any payment that there can be."""
    state = draw(st.sampled_from(PaymentState))
    start = draw(moments)
    gaps = [timedelta(microseconds=draw(st.integers(0, 10**12))) for _ in ROAD[state]]
    return payment_in(
        state,
        id=draw(uuids),
        order_id=draw(names),
        customer_id=draw(names),
        amount=Money(draw(st.integers(1, MAX_MINOR_UNITS))),
        card=CardSummary(draw(st.sampled_from(CardBrand)), draw(st.text("0123456789", min_size=4, max_size=4))),
        reached={each: start + sum(gaps[: index + 1], timedelta()) for index, each in enumerate(ROAD[state])},
        bank=BankReferences(*(draw(references) for _ in range(4))),
        decline=draw(st.none() | st.builds(Decline, st.sampled_from(DeclineCode), st.text(max_size=50))),
        review_reasons=draw(st.frozensets(st.sampled_from(ReviewReason))),
    )
