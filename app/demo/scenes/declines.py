"""The bank says no, and the customer tries another card."""

from app.demo import cards
from app.demo.scene import Scene, Script, Stage, together
from app.demo.shop import Done, Order, Receipt
from domain.payment import PaymentState, Verb

S = PaymentState


async def declined(scene: Scene, stage: Stage) -> None:
    """Each card that the bank refuses; then the same order with a good one."""
    shop = stage.shop
    orders = [shop.order(each.amount_minor) for each in cards.DECLINING]
    answers = await together(*(shop.authorize(order, each.card) for order, each in zip(orders, cards.DECLINING, strict=True)))
    checks = await together(*(shop.ship_check(order.id) for order in orders))
    retries = await together(*(_try_again(scene, stage, order) for order in orders))
    rows = []
    for each, answer, check, retry in zip(cards.DECLINING, answers, checks, retries, strict=True):
        scene.expect(f"the ship check after {each.why}", (False, "DECLINED"), (check.ready, check.reason))
        no = answer.receipt.decline if isinstance(answer, Done) else None
        code, message = no or ("-", "-")
        state = answer.receipt.state.value if isinstance(answer, Done) else answer.kind
        scene.expect(f"the answer to {each.why}", ("DECLINED", each.code), (state, code))
        scene.expect(f"a message with the decline of {each.why}", True, len(message) > 1)
        card = f"ending {each.card.number[-4:]}"
        rows.append((card, each.why, state, code, message, retry.state.value if retry else "failed"))
    scene.saw(
        f"{len(rows)} cards were declined, with a code and the bank's words. Each order was then paid with a good card, and "
        "cancelled afterwards, so that the demo's card keeps its money."
    )
    scene.show(("card", "what is wrong", "state", "code", "message", "with a good card"), rows)


async def _try_again(scene: Scene, stage: Stage, order: Order) -> Receipt | None:
    answer = await stage.shop.authorize(order, cards.GOOD)
    paid = isinstance(answer, Done) and answer.receipt.state is S.AUTHORIZED
    if not scene.expect(f"{order.id} with a good card", True, paid):
        return answer.receipt if isinstance(answer, Done) else None
    assert isinstance(answer, Done)
    voided = await stage.shop.operate(Verb.VOID, answer.receipt.id)
    scene.paid("the void afterwards", voided, S.VOIDED)
    return answer.receipt


SCRIPT = Script(
    3,
    "Cards are declined, and the customers try another one",
    "A decline is an outcome with a code and a message; the order can be tried again, and then succeeds.",
    declined,
)
