"""May the shop ship?"""

import strawberry

from domain.order import OrderPayment as DomainOrderPayment
from domain.order import ShipReason
from domain.payment import PaymentState
from schema.payment import Payment, payment_of


@strawberry.type(description="May this order be shipped, and which payment says so.")
class OrderPayment:
    order_id: str = strawberry.field(description="Your order.")
    ready_to_ship: bool = strawberry.field(description="Whether the money is certain: held and not running out, or captured.")
    state: PaymentState | None = strawberry.field(description="The payment's state; null when there is no payment.")
    payment: Payment | None = strawberry.field(description="The order's live payment, else its latest one.")
    reason: ShipReason = strawberry.field(description="Why it may, or may not, be shipped.")


def order_payment_of(order_id: str, order: DomainOrderPayment) -> OrderPayment:
    """The answer for an order as the schema shows it."""
    decisive = order.decisive
    return OrderPayment(
        order_id=order_id,
        ready_to_ship=order.ready_to_ship,
        state=decisive.payment.state if decisive else None,
        payment=payment_of(decisive.payment, decisive.pending) if decisive else None,
        reason=order.reason,
    )
