"""May the shop ship? Every state, with and without something under way, before and after the hold runs out."""

from datetime import timedelta
from itertools import permutations, product
from uuid import UUID

import pytest

from domain.order import HOLD_LIFETIME, OrderPayment, ShipReason, decisive_payment, order_payment
from domain.payment import LIVE_STATES, PaymentState, Standing, Verb
from tests.domain.examples import NOW, ROAD, SECOND, payment_in, pending

S = PaymentState
R = ShipReason
AGES = {
    "fresh": timedelta(0),
    "a moment before it runs out": HOLD_LIFETIME - timedelta(microseconds=1),
    "just run out": HOLD_LIFETIME,
}
AT_REST = {  # by state: fresh, a moment before, run out
    S.PENDING: (R.AWAITING_BANK,) * 3,
    S.AUTHORIZED: (R.FUNDS_HELD, R.FUNDS_HELD, R.HOLD_EXPIRED),
    S.CAPTURED: (R.FUNDS_CAPTURED,) * 3,
    S.VOIDED: (R.VOIDED,) * 3,
    S.REFUNDED: (R.REFUNDED,) * 3,
    S.DECLINED: (R.DECLINED,) * 3,
    S.EXPIRED: (R.HOLD_EXPIRED,) * 3,
}


@pytest.mark.parametrize(("state", "age"), list(product(S, AGES)))
def test_goods_leave_only_when_the_money_is_certain(state: S, age: str) -> None:
    payment = payment_in(state)
    reason = AT_REST[state][list(AGES).index(age)]

    answer = order_payment(Standing(payment), payment.created_at + AGES[age])

    assert answer == OrderPayment(reason in (R.FUNDS_HELD, R.FUNDS_CAPTURED), reason, Standing(payment))


@pytest.mark.parametrize(("state", "verb", "age"), list(product(S, Verb, AGES)))
def test_nothing_leaves_while_something_is_under_way(state: S, verb: Verb, age: str) -> None:
    payment = payment_in(state)
    reason = R.OPERATION_PENDING if state in (S.AUTHORIZED, S.CAPTURED) else AT_REST[state][0]

    standing = Standing(payment, pending(verb))

    answer = order_payment(standing, payment.created_at + AGES[age])

    assert answer == OrderPayment(False, reason, standing)


def test_an_order_that_nobody_tried_to_pay_does_not_leave() -> None:
    assert order_payment(None, NOW) == OrderPayment(False, R.NO_PAYMENT, None)


def test_a_hold_counts_from_the_request_and_not_from_the_answer() -> None:
    """The bank's own clock started somewhere between the two."""
    payment = payment_in(S.AUTHORIZED, reached={S.PENDING: NOW, S.AUTHORIZED: NOW + timedelta(hours=5)})

    assert order_payment(Standing(payment), NOW + HOLD_LIFETIME).reason is R.HOLD_EXPIRED


def at(state: S, seconds: int) -> Standing:
    """A payment of this state that was created so many seconds after NOW."""
    reached = {each: NOW + (seconds + step) * SECOND for step, each in enumerate(ROAD[state])}
    return Standing(payment_in(state, id=UUID(int=seconds + 1), reached=reached))


@pytest.mark.parametrize("live", sorted(LIVE_STATES))
def test_the_live_payment_decides_whatever_came_after_it(live: S) -> None:
    payments = [at(live, 0), at(S.DECLINED, 10), at(S.VOIDED, 20), at(S.EXPIRED, 30)]

    for order in permutations(payments):
        assert decisive_payment(order) is payments[0]


@pytest.mark.parametrize("latest", [S.DECLINED, S.VOIDED, S.EXPIRED, S.REFUNDED])
def test_without_a_live_payment_the_latest_decides(latest: S) -> None:
    payments = [at(S.DECLINED, 0), at(S.VOIDED, 10), at(latest, 20)]

    for order in permutations(payments):
        assert decisive_payment(order) is payments[2]


def test_without_any_payment_none_decides() -> None:
    assert decisive_payment([]) is None
