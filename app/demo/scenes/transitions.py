"""Everything that must not be done to a payment, tried in every state that it can rest in."""

from app.demo import cards
from app.demo.scene import Scene, Script, Stage, together, told
from app.demo.scenes.expiry import NO_CONTROL
from app.demo.shop import Refused
from domain.payment import STATE_FOR, PaymentState, Verb

S = PaymentState
OPERATIONS = (Verb.CAPTURE, Verb.VOID, Verb.REFUND)
# How to get there from an authorization.
PATHS: dict[PaymentState, tuple[Verb, ...]] = {
    S.AUTHORIZED: (),
    S.CAPTURED: (Verb.CAPTURE,),
    S.VOIDED: (Verb.VOID,),
    S.REFUNDED: (Verb.CAPTURE, Verb.REFUND),
}


async def forbidden(scene: Scene, stage: Stage) -> None:
    """Each forbidden operation on a payment in each state."""
    states = [state for state in PaymentState if state is not S.PENDING and (state is not S.EXPIRED or stage.control)]
    payments = await together(*(_bring_to(scene, stage, state) for state in states))
    forbidden_ones = [
        (state, payment_id, verb)
        for state, payment_id in zip(states, payments, strict=True)
        for verb in OPERATIONS
        if STATE_FOR[verb] is not state
    ]
    answers = await together(*(stage.shop.operate(verb, payment_id) for _, payment_id, verb in forbidden_ones))
    cells: dict[tuple[PaymentState, Verb], str] = {}
    for (state, payment_id, verb), answer in zip(forbidden_ones, answers, strict=True):
        what = f"{verb.value.lower()} of a payment that is {state.value}"
        right = isinstance(answer, Refused) and (answer.kind, answer.current_state) == ("InvalidTransitionError", state.value)
        got = "InvalidTransitionError" if right else told(answer)
        scene.expect(what, "InvalidTransitionError", got)
        if isinstance(answer, Refused):
            scene.expect(f"the payment that the refused {what} names", payment_id, answer.payment_id)
        cells[state, verb] = "refused" if right else "NOT REFUSED"
    scene.saw(f"{sum(cell == 'refused' for cell in cells.values())} of {len(cells)} were refused, with the current state.")
    if stage.control is None:
        scene.saw(f"EXPIRED is left out. {NO_CONTROL}")
    rows = [(state.value, *(cells.get((state, verb), "allowed") for verb in OPERATIONS)) for state in states]
    scene.show(("state", *(verb.value.lower() for verb in OPERATIONS)), rows)
    untouched = await together(*(stage.shop.payment(payment_id) for payment_id in payments))
    for state, receipt in zip(states, untouched, strict=True):
        scene.expect(f"the state of the {state.value} payment afterwards", state.value, receipt.state.value if receipt else "-")
    await _give_up_hold(scene, stage, payments[states.index(S.AUTHORIZED)])


async def _bring_to(scene: Scene, stage: Stage, state: PaymentState) -> str:
    shop = stage.shop
    if state is S.DECLINED:
        return scene.paid("the declined payment", await shop.authorize(shop.order(310), cards.WRONG_CVV), state).id
    receipt = scene.paid(f"a payment to be {state.value}", await shop.authorize(shop.order(320), cards.GOOD), S.AUTHORIZED)
    if state is S.EXPIRED:
        assert stage.control is not None and receipt.bank.authorization is not None
        await stage.control.expire(receipt.bank.authorization)
        refusal = scene.refused(
            "the capture of an expired hold", await shop.operate(Verb.CAPTURE, receipt.id), "InvalidTransitionError"
        )
        scene.need("its state", state.value, refusal.current_state)
        return receipt.id
    for verb in PATHS[state]:
        answer = await shop.operate(verb, receipt.id)
        receipt = scene.paid(f"the {verb.value.lower()} on the way to {state.value}", answer, _after(verb))
    return receipt.id


def _after(verb: Verb) -> PaymentState:
    return {Verb.CAPTURE: S.CAPTURED, Verb.VOID: S.VOIDED, Verb.REFUND: S.REFUNDED}[verb]


async def _give_up_hold(scene: Scene, stage: Stage, payment_id: str) -> None:
    scene.paid("the void at the end", await stage.shop.operate(Verb.VOID, payment_id), S.VOIDED)


SCRIPT = Script(
    5,
    "Everything that must not be done is refused",
    "Each operation that a payment's state forbids is refused with InvalidTransitionError and the current state, "
    "and nothing changes.",
    forbidden,
)
