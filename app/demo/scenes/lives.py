"""The two lives of an order that goes well: paid, shipped and returned; and cancelled before it was shipped."""

from app.demo import cards
from app.demo.scene import Scene, Script, Stage
from app.demo.shop import Receipt
from domain.payment import PaymentState, Verb

S = PaymentState


async def paid_and_returned(scene: Scene, stage: Stage) -> None:
    """Authorize, ship check, capture, refund."""
    shop = stage.shop
    order = shop.order(1_999)
    authorized = scene.paid("the authorization", await shop.authorize(order, cards.GOOD), S.AUTHORIZED)
    held = await shop.ship_check(order.id)
    scene.expect("the ship check before the capture", ("ready", "FUNDS_HELD"), _checked(held.ready, held.reason))
    scene.expect("the payment that the ship check rests on", authorized.id, held.payment_id)
    scene.paid("the capture", await shop.operate(Verb.CAPTURE, authorized.id), S.CAPTURED)
    taken = await shop.ship_check(order.id)
    scene.expect("the ship check after the capture", ("ready", "FUNDS_CAPTURED"), _checked(taken.ready, taken.reason))
    receipt = scene.paid("the refund", await shop.operate(Verb.REFUND, authorized.id), S.REFUNDED)
    back = await shop.ship_check(order.id)
    scene.expect("the ship check after the refund", ("not ready", "REFUNDED"), _checked(back.ready, back.reason))
    _expect_full_receipt(scene, receipt, (S.PENDING, S.AUTHORIZED, S.CAPTURED, S.REFUNDED))
    scene.saw(
        f"{receipt.order_id} of {receipt.formatted}: held, ready to ship ({held.reason}), captured, still ready "
        f"({taken.reason}), refunded. Its receipt:"
    )
    show_receipt(scene, receipt)


async def cancelled(scene: Scene, stage: Stage) -> None:
    """Authorize, void."""
    shop = stage.shop
    order = shop.order(2_499)
    authorized = scene.paid("the authorization", await shop.authorize(order, cards.GOOD), S.AUTHORIZED)
    receipt = scene.paid("the void", await shop.operate(Verb.VOID, authorized.id), S.VOIDED)
    check = await shop.ship_check(order.id)
    scene.expect("the ship check after the void", ("not ready", "VOIDED"), _checked(check.ready, check.reason))
    _expect_full_receipt(scene, receipt, (S.PENDING, S.AUTHORIZED, S.VOIDED))
    scene.saw(f"{receipt.order_id} of {receipt.formatted}: held, then given up; nothing was charged.")
    show_receipt(scene, receipt)


def show_receipt(scene: Scene, receipt: Receipt) -> None:
    """The receipt, with the bank's reference beside each state that it made."""
    bank = receipt.bank
    references = {
        S.AUTHORIZED: bank.authorization,
        S.CAPTURED: bank.capture,
        S.VOIDED: bank.void,
        S.EXPIRED: bank.void,
        S.REFUNDED: bank.refund,
    }
    rows = [(state.value, at, references.get(state) or "-") for state, at in receipt.history]
    card = f"{receipt.brand} ending {receipt.last_four}"
    scene.saw(f"Receipt {receipt.reference}: {receipt.formatted}, {card}, customer {receipt.customer_id}.")
    scene.show(("state", "since", "the bank's reference"), rows)


def _expect_full_receipt(scene: Scene, receipt: Receipt, states: tuple[PaymentState, ...]) -> None:
    scene.expect("the states in the history", _names(states), _names(tuple(state for state, _ in receipt.history)))
    scene.expect("the history's times run forwards", sorted(receipt.moments), receipt.moments)
    if receipt.review_reasons:
        return  # a reference may be missing then, and the receipt says so
    made = {S.AUTHORIZED: "authorization", S.CAPTURED: "capture", S.VOIDED: "void", S.REFUNDED: "refund"}
    expected = {name for state, name in made.items() if state in states}
    got = {name for name in made.values() if getattr(receipt.bank, name) is not None}
    scene.expect("the bank's references", sorted(expected), sorted(got))


def _names(states: tuple[PaymentState, ...]) -> str:
    return ", ".join(state.value for state in states)


def _checked(ready: bool, reason: str) -> tuple[str, str]:
    return ("ready" if ready else "not ready", reason)


SCRIPTS = (
    Script(
        1,
        "An order is paid, shipped and returned",
        "The money is held, and the order may be shipped before it is captured; it is captured, then paid back in full; "
        "the receipt has a time for each state and the bank's reference for each step.",
        paid_and_returned,
    ),
    Script(
        2,
        "An order is paid and cancelled before it is shipped",
        "The hold is given up, nothing is charged, and the order may not be shipped any more.",
        cancelled,
    ),
)
