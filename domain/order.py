"""May the shop ship? The one question that an order asks of its payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from domain.payment import LIVE_STATES, Payment, PaymentState, PendingOperation, Standing

HOLD_LIFETIME = timedelta(hours=168)  # bank contract §6: holds expire after 7 days


class ShipReason(StrEnum):
    """Why an order may, or may not, be shipped."""

    FUNDS_HELD = "FUNDS_HELD"
    FUNDS_CAPTURED = "FUNDS_CAPTURED"
    NO_PAYMENT = "NO_PAYMENT"
    AWAITING_BANK = "AWAITING_BANK"
    OPERATION_PENDING = "OPERATION_PENDING"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"
    HOLD_EXPIRED = "HOLD_EXPIRED"


@dataclass(frozen=True, slots=True)
class OrderPayment:
    """The answer for one order, and the payment that it rests on."""

    ready_to_ship: bool
    reason: ShipReason
    decisive: Standing | None


def decisive_payment(payments: Sequence[Standing]) -> Standing | None:
    """Of all payments of an order the live one (there is at most one), else the latest."""
    return max(payments, key=lambda each: (each.payment.state in LIVE_STATES, each.payment.created_at), default=None)


def order_payment(decisive: Standing | None, now: datetime) -> OrderPayment:
    """Goods leave only when the money is certain: held and not running out, or captured, with nothing under way."""
    if decisive is None:
        return OrderPayment(False, ShipReason.NO_PAYMENT, None)
    reason = _reason(decisive.payment, decisive.pending, now)
    ready = reason in (ShipReason.FUNDS_HELD, ShipReason.FUNDS_CAPTURED)
    return OrderPayment(ready, reason, decisive)


def _reason(payment: Payment, pending: PendingOperation | None, now: datetime) -> ShipReason:
    match payment.state:
        case PaymentState.PENDING:
            return ShipReason.AWAITING_BANK
        case PaymentState.AUTHORIZED | PaymentState.CAPTURED if pending is not None:
            return ShipReason.OPERATION_PENDING
        case PaymentState.AUTHORIZED:
            # Counted from the request, not from the answer: the bank's own clock started somewhere between the two.
            expired = now >= payment.created_at + HOLD_LIFETIME
            return ShipReason.HOLD_EXPIRED if expired else ShipReason.FUNDS_HELD
        case PaymentState.CAPTURED:
            return ShipReason.FUNDS_CAPTURED
        case PaymentState.DECLINED:
            return ShipReason.DECLINED
        case PaymentState.VOIDED:
            return ShipReason.VOIDED
        case PaymentState.REFUNDED:
            return ShipReason.REFUNDED
        case PaymentState.EXPIRED:
            return ShipReason.HOLD_EXPIRED
        case _:
            assert_never(payment.state)
