"""A hold runs out before the shop captures it."""

from app.demo import cards
from app.demo.scene import Scene, Script, Stage
from app.demo.scenes.lives import show_receipt
from domain.payment import PaymentState, Verb

RELEASED_WITHIN_S = 60.0  # the worker looks twice a second; a bank that fails makes it ask a few times
S = PaymentState
NO_CONTROL = "This bank has no control address, so no hold can be made to run out."


async def run_out(scene: Scene, stage: Stage) -> None:
    """Authorize, let the hold expire at the bank, capture in vain; the money is released and the order can be paid anew."""
    if stage.control is None:
        scene.skipped = NO_CONTROL
        return
    shop = stage.shop
    order = shop.order(1_299)
    authorized = scene.paid("the authorization", await shop.authorize(order, cards.GOOD), S.AUTHORIZED)
    assert authorized.bank.authorization is not None, "an authorized payment has its reference"
    await stage.control.expire(authorized.bank.authorization)
    refusal = scene.refused("the capture", await shop.operate(Verb.CAPTURE, authorized.id), "InvalidTransitionError")
    scene.expect("the state in the refusal", "EXPIRED", refusal.current_state)
    now = await shop.payment(authorized.id)
    scene.expect("the payment's state afterwards", "EXPIRED", now.state.value if now else "not found")
    check = await shop.ship_check(order.id)
    scene.expect("the ship check", (False, "HOLD_EXPIRED"), (check.ready, check.reason))
    started_s = shop.wire.world.clock()
    released = await shop.until(
        authorized.id,
        lambda receipt: receipt.is_released,
        RELEASED_WITHIN_S,
    )
    waited_s = shop.wire.world.clock() - started_s
    scene.held += 1
    scene.expect("the released payment's state", "EXPIRED", released.state.value)
    again = scene.paid("the order authorized anew", await shop.authorize(order, cards.GOOD), S.AUTHORIZED)
    scene.paid("the void afterwards", await shop.operate(Verb.VOID, again.id), S.VOIDED)
    scene.saw(f"The capture was refused: {refusal.message}")
    scene.saw(f"{waited_s:.1f} s later the hold was void: the customer's money is free. The order was then authorized anew.")
    show_receipt(scene, released)


SCRIPT = Script(
    4,
    "A hold runs out before the goods leave",
    "The capture is refused, the payment is EXPIRED, the hold is voided soon so that the customer's money is free, "
    "and the order can be paid anew.",
    run_out,
)
