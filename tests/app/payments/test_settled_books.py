"""Whatever operators settle by the bank's word, the checker of invariants finds our books and the bank's in order."""

from uuid import UUID

import httpx
import pytest

from domain.payment import PaymentState, ReviewReason, Verb
from domain.settlement import Acknowledge, AskAgain, ConfirmDone, LearnReference, RuleOut
from domain.violation import Breach
from gateway.settlement import Word, Written, settle_payment
from tests.app.verifying import Till

S, R = PaymentState, ReviewReason
EFFECTS = {Verb.AUTHORIZE: "authorizations", Verb.CAPTURE: "captures", Verb.VOID: "voids", Verb.REFUND: "refunds"}
IDS = {Verb.AUTHORIZE: "authorization_id", Verb.CAPTURE: "capture_id", Verb.VOID: "void_id", Verb.REFUND: "refund_id"}
BEFORE = {Verb.CAPTURE: S.AUTHORIZED, Verb.VOID: S.AUTHORIZED, Verb.REFUND: S.CAPTURED}


async def teapot(request: httpx.Request) -> httpx.Response:
    return httpx.Response(418, text="teapot", request=request)


@pytest.fixture
def tell(till, parts):
    async def say(payment_id: UUID, settlement) -> None:
        answer = await settle_payment(parts, till.tenant, payment_id, Word(settlement, "ada", "the bank says so"))
        assert isinstance(answer, Written), answer

    return say


async def reference(till: Till, verb: Verb) -> str:
    """The bank's one reference of this kind."""
    (effect,) = (await till.ledger())[EFFECTS[verb]]
    return effect[IDS[verb]]


async def rest_for_a_day(till: Till) -> None:
    till.line.accidents = []
    till.here.pass_by(24 * 3600)
    await till.recovery.run_once()


async def rest_in_confusion(till: Till, verb: Verb, payment) -> None:
    till.line.accidents = [teapot] * 12
    await till.operate(verb, payment)
    till.here.pass_by(60)
    await till.recovery.run_once()


async def test_a_forgotten_authorization_that_the_bank_holds(till, tell):
    till.line.accidents = ["lost answer"] + ["reset"] * 5
    payment = await till.authorize()
    await rest_for_a_day(till)

    await tell(payment.id, ConfirmDone(Verb.AUTHORIZE, await reference(till, Verb.AUTHORIZE)))
    flagged = await till.breaches()
    await tell(payment.id, Acknowledge(R.POSSIBLE_ORPHAN_HOLD))

    assert flagged == await till.breaches() == set()


async def test_a_forgotten_authorization_that_the_bank_does_not_hold(till, tell):
    till.line.accidents = ["reset"] * 6
    payment = await till.authorize()
    await rest_for_a_day(till)

    await tell(payment.id, RuleOut(Verb.AUTHORIZE))

    assert await till.breaches() == set()


@pytest.mark.parametrize("verb", BEFORE)
async def test_a_reference_that_was_lost(till, tell, verb):
    payment = await till.payment_in(BEFORE[verb])
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "stores_key": False}]})
    await till.operate(verb, payment)

    await tell(payment.id, LearnReference(verb, await reference(till, verb)))

    assert await till.breaches() == set()


@pytest.mark.parametrize("verb", BEFORE)
async def test_a_wrong_reference_is_found(till, tell, verb):
    payment = await till.payment_in(BEFORE[verb])
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "stores_key": False}]})
    await till.operate(verb, payment)

    await tell(payment.id, LearnReference(verb, "another"))

    assert await till.breaches() == {Breach.OTHER_REFERENCE}


@pytest.mark.parametrize("verb", BEFORE)
async def test_a_stuck_operation_that_the_bank_did(till, tell, verb):
    payment = await till.payment_in(BEFORE[verb])
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "count": 12}]})
    await till.operate(verb, payment)
    till.here.pass_by(60)
    await till.recovery.run_once()

    await tell(payment.id, ConfirmDone(verb, await reference(till, verb)))

    assert await till.breaches() == set()


@pytest.mark.parametrize("verb", BEFORE)
@pytest.mark.parametrize("acknowledged", [False, True])
async def test_a_stuck_operation_that_the_bank_did_not(till, tell, verb, acknowledged):
    payment = await till.payment_in(BEFORE[verb])
    await rest_in_confusion(till, verb, payment)

    await tell(payment.id, RuleOut(verb))
    if acknowledged:
        await tell(payment.id, Acknowledge(R.BANK_DISAGREES))

    assert await till.breaches() == set()


@pytest.mark.parametrize("verb", BEFORE)
async def test_a_stuck_operation_that_is_asked_again(till, tell, verb):
    payment = await till.payment_in(BEFORE[verb])
    await rest_in_confusion(till, verb, payment)

    await tell(payment.id, AskAgain())
    await till.recovery.run_once()
    await tell(payment.id, Acknowledge(R.BANK_UNINTELLIGIBLE))

    assert await till.breaches() == set()


@pytest.mark.parametrize(
    ("path", "verb", "asked"),
    [("captures", Verb.CAPTURE, Verb.VOID), ("voids", Verb.VOID, Verb.CAPTURE), ("refunds", Verb.REFUND, Verb.REFUND)],
)
async def test_what_somebody_else_asked_the_bank_for(till, tell, path, verb, asked):
    payment = await till.payment_in(BEFORE[verb])
    if verb is Verb.REFUND:
        source = {"capture_id": await reference(till, Verb.CAPTURE)}
    else:
        source = {"authorization_id": payment.bank.authorization}
    body = {**source, "amount": payment.amount.minor_units}
    request = httpx.Request("POST", f"http://bank/api/v1/{path}", json=body, headers={"Idempotency-Key": "somebody else"})
    await (await till.line.inner.handle_async_request(request)).aread()
    await till.operate(asked, payment)

    if verb is Verb.REFUND:  # "already refunded" is taken for done, and disputed
        await tell(payment.id, LearnReference(verb, await reference(till, verb)))
        await tell(payment.id, Acknowledge(R.BANK_DISAGREES))
    else:
        await tell(payment.id, ConfirmDone(verb, await reference(till, verb)))

    assert await till.breaches() == set()


async def test_an_orphan_that_the_bank_has_released(till, tell):
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "stores_key": False}]})
    payment = await till.authorize()
    holds = {hold["authorization_id"] for hold in (await till.ledger())["authorizations"]}
    (orphan,) = holds - {payment.bank.authorization}
    body = {"authorization_id": orphan}
    request = httpx.Request("POST", "http://bank/api/v1/voids", json=body, headers={"Idempotency-Key": "the bank's staff"})
    await (await till.line.inner.handle_async_request(request)).aread()

    await tell(payment.id, Acknowledge(R.POSSIBLE_ORPHAN_HOLD))

    assert await till.breaches() == set()
