"""The same request twice, ten times at once, with another amount; and an order that is paid twice."""

from typing import Any

from app.demo import cards
from app.demo.scene import CantGoOn, Scene, Script, Stage, together, told
from app.demo.shop import Done
from domain.payment import PaymentState, Verb

S = PaymentState
AT_ONCE = 10


async def repeated(scene: Scene, stage: Stage) -> None:
    """A success and a decline, each asked again; then one request ten times at once."""
    shop = stage.shop
    good, bad = shop.wish(shop.order(410), cards.GOOD), shop.wish(shop.order(420), cards.WRONG_CVV)
    await together(
        _ask_twice(scene, stage, "a success", good, S.AUTHORIZED),
        _ask_twice(scene, stage, "a decline", bad, S.DECLINED),
        _ask_at_once(scene, stage),
    )


async def _ask_twice(scene: Scene, stage: Stage, what: str, wish: dict[str, Any], state: PaymentState) -> None:
    shop = stage.shop
    first = await shop.send_wish(wish)
    receipt = scene.paid(f"{what}, asked first", first, state)
    second = await shop.send_wish(wish)
    if not isinstance(first, Done) or not isinstance(second, Done):
        scene.need(f"{what}, asked again", told(first), told(second))
        return
    scene.expect(f"{what}, asked again: the whole payment", first.document, second.document)
    scene.expect(f"{what}, asked again: replayed", True, second.replayed)
    brief = await shop.send_wish_briefly(wish)
    names = ("state", "id")
    expected = {name: first.document[name] for name in names} | {"card": {"lastFour": receipt.last_four}}
    expected["amount"] = {"formatted": receipt.formatted}
    scene.expect(f"{what}, asked with another selection set", expected, brief.get("payment"))
    scene.expect(f"{what}, asked with another selection set: replayed", True, brief.get("replayed"))
    scene.saw(f"{what.capitalize()}: {receipt.state.value}, and the same payment again, replayed: true, in either selection.")
    if state is not S.AUTHORIZED:
        return
    scene.paid("the void", await shop.operate(Verb.VOID, receipt.id), S.VOIDED)
    later = await shop.send_wish(wish)
    scene.expect("the first request repeated after the void", first.document, getattr(later, "document", told(later)))
    scene.saw("After the payment was voided, its first request still answers what it answered then.")


async def _ask_at_once(scene: Scene, stage: Stage) -> None:
    shop = stage.shop
    wish = shop.wish(shop.order(430), cards.GOOD)
    answers = await together(*(shop.send_wish(wish) for _ in range(AT_ONCE)))
    done = [answer for answer in answers if isinstance(answer, Done)]
    scene.expect(f"answers to {AT_ONCE} equal requests at once", ["AUTHORIZED"] * AT_ONCE, [told(each) for each in answers])
    if not done:
        raise CantGoOn
    ids = {each.receipt.id for each in done}
    scene.expect(f"different payments in {AT_ONCE} answers", 1, len(ids))
    if all(each.asked == 1 for each in done) and len(done) == AT_ONCE:
        originals = sum(not each.replayed for each in done)
        scene.expect("answers that are no replay: one, or none when the bank was slow", True, originals <= 1)
    page = await shop.page({"orderId": wish["orderId"]}, first=AT_ONCE, counted=True)
    scene.expect("payments of the order", 1, page.total)
    scene.saw(f"{AT_ONCE} equal requests at once: {len(done)} answers, {len(ids)} payment.")
    scene.paid("the void", await shop.operate(Verb.VOID, done[0].receipt.id), S.VOIDED)


async def mismatched(scene: Scene, stage: Stage) -> None:
    """The key of an earlier request with another amount."""
    shop = stage.shop
    wish = shop.wish(shop.order(510), cards.GOOD)
    receipt = scene.paid("the first request", await shop.send_wish(wish), S.AUTHORIZED)
    other = {**wish, "amount": {**wish["amount"], "minorUnits": 511}}
    refusal = scene.refused("the same key with another amount", await shop.send_wish(other), "IdempotencyMismatchError")
    used_elsewhere = await shop.operate(Verb.VOID, receipt.id, wish["idempotencyKey"])
    scene.refused("the same key for another operation", used_elsewhere, "IdempotencyMismatchError")
    page = await shop.page({"orderId": wish["orderId"]}, first=2, counted=True)
    scene.expect("payments of the order", 1, page.total)
    scene.saw(f"{refusal.kind}: {refusal.message}")
    scene.paid("the void", await shop.operate(Verb.VOID, receipt.id), S.VOIDED)


async def paid_twice(scene: Scene, stage: Stage) -> None:
    """Another request, with a key of its own, for an order that has a live payment: held, then captured."""
    shop = stage.shop
    order = shop.order(610)
    receipt = scene.paid("the first payment", await shop.authorize(order, cards.GOOD), S.AUTHORIZED)
    for state in (S.AUTHORIZED, S.CAPTURED):
        if state is S.CAPTURED:
            scene.paid("the capture", await shop.operate(Verb.CAPTURE, receipt.id), state)
        what = f"a second payment while the first is {state.value}"
        refusal = scene.refused(what, await shop.authorize(order, cards.GOOD), "OrderAlreadyPaidError")
        named = (refusal.payment_id, refusal.current_state)
        scene.expect(f"what the refusal of {what} names", (receipt.id, state.value), named)
        scene.saw(f"While it is {state.value}: {refusal.message}")
    scene.paid("the refund", await shop.operate(Verb.REFUND, receipt.id), S.REFUNDED)


SCRIPTS = (
    Script(
        6,
        "The same request is made twice, and ten times at once",
        "The same answer, to the last field, marked as replayed, for successes and declines; one payment, however often it is "
        "asked for.",
        repeated,
    ),
    Script(
        7,
        "An idempotency key is used again for something else",
        "IdempotencyMismatchError, and nothing is done.",
        mismatched,
    ),
    Script(
        8,
        "An order is paid twice",
        "OrderAlreadyPaidError with the live payment and its state, and nothing is done.",
        paid_twice,
    ),
)
