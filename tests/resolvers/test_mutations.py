"""The four mutations, as a client sees them."""

from typing import Any

import pytest

from gateway.recovery import Recovery
from tests.app.serving import Api, BankLine, mutation

AUTHORIZE = mutation("authorizePayment")
EMPTY = {"number": "5555555555554444", "cvv": "789", "expiryMonth": 9}
UNKNOWN_CARD = {"number": "4000000000000002"}


def states(payment: Any) -> list[str]:
    return [each["state"] for each in payment["history"]]


async def test_money_is_held_captured_and_paid_back(api: Api) -> None:
    held = await api.payment(orderId="order-1", customerId="customer-7", amount=123_456)
    captured = (await api.operate("capture", held["id"]))["payment"]
    refunded = (await api.operate("refund", held["id"]))["payment"]

    assert held["state"] == "AUTHORIZED"
    assert (held["orderId"], held["customerId"]) == ("order-1", "customer-7")
    assert held["amount"] == {"minorUnits": 123_456, "currency": "USD", "formatted": "$1,234.56"}
    assert held["card"] == {"brand": "VISA", "lastFour": "1111"}
    assert held["bankReferences"]["authorization"].startswith("auth_")
    assert captured["bankReferences"] == {**held["bankReferences"], "capture": captured["bankReferences"]["capture"]}
    assert states(refunded) == ["PENDING", "AUTHORIZED", "CAPTURED", "REFUNDED"]
    assert refunded["bankReferences"]["refund"].startswith("ref_")
    assert [refunded[name] for name in ("decline", "pendingOperation", "needsReview", "reviewReasons")] == [None, None, False, []]


async def test_a_hold_is_given_up(api: Api) -> None:
    payment = await api.payment()

    voided = (await api.operate("void", payment["id"]))["payment"]

    assert states(voided) == ["PENDING", "AUTHORIZED", "VOIDED"]


@pytest.mark.parametrize(
    ("card", "code"),
    [
        (EMPTY, "INSUFFICIENT_FUNDS"),
        ({"number": "5105105105105100", "cvv": "321"}, "CARD_EXPIRED"),
        ({"cvv": "999"}, "INVALID_CVV"),
        (UNKNOWN_CARD, "INVALID_CARD"),
    ],
)
async def test_a_decline_is_an_outcome_and_the_order_can_be_tried_again(api: Api, card: dict[str, Any], code: str) -> None:
    order = api.fresh("order")

    declined = await api.authorize(orderId=order, card=card)
    again = await api.authorize(orderId=order)

    assert declined["__typename"] == "PaymentPayload"
    assert declined["payment"]["state"] == "DECLINED"
    assert declined["payment"]["decline"]["code"] == code
    assert declined["payment"]["decline"]["message"]
    assert again["payment"]["state"] == "AUTHORIZED"


@pytest.mark.parametrize("verb", [None, "capture"])
async def test_an_order_has_at_most_one_live_payment(api: Api, verb: str | None) -> None:
    payment = await api.payment()
    if verb:
        await api.operate(verb, payment["id"])

    answer = await api.authorize(orderId=payment["orderId"])

    state = "CAPTURED" if verb else "AUTHORIZED"
    assert answer["__typename"] == "OrderAlreadyPaidError"
    assert (answer["code"], answer["path"]) == ("ORDER_ALREADY_PAID", ["input", "orderId"])
    assert (answer["paymentId"], answer["currentState"]) == (payment["id"], state)
    assert state in answer["message"]


@pytest.mark.parametrize("road", [["void"], ["capture", "refund"]], ids=" ".join)
async def test_an_order_whose_money_went_back_can_be_paid_again(api: Api, road: list[str]) -> None:
    payment = await api.payment()
    for verb in road:
        await api.operate(verb, payment["id"])

    again = await api.payment(orderId=payment["orderId"])

    assert again["state"] == "AUTHORIZED"
    assert again["id"] != payment["id"]


@pytest.mark.parametrize(
    ("road", "verb", "state"),
    [
        ([], "refund", "AUTHORIZED"),
        (["capture"], "capture", "CAPTURED"),
        (["capture"], "void", "CAPTURED"),
        (["void"], "capture", "VOIDED"),
        (["void"], "void", "VOIDED"),
        (["void"], "refund", "VOIDED"),
        (["capture", "refund"], "refund", "REFUNDED"),
        (["capture", "refund"], "capture", "REFUNDED"),
    ],
)
async def test_what_the_state_does_not_allow_is_refused_without_asking_the_bank(
    api: Api, bank_line: BankLine, road: list[str], verb: str, state: str
) -> None:
    payment = await api.payment()
    for each in road:
        await api.operate(each, payment["id"])
    asked = bank_line.requests

    answer = await api.operate(verb, payment["id"])

    assert answer["__typename"] == "InvalidTransitionError"
    assert (answer["code"], answer["path"]) == ("INVALID_TRANSITION", ["input", "paymentId"])
    assert (answer["paymentId"], answer["currentState"]) == (payment["id"], state)
    assert bank_line.requests == asked


@pytest.mark.parametrize("verb", ["capture", "void", "refund"])
@pytest.mark.parametrize("unknown", ["pay_00000000000000000000000005", "pay_0", "", "x", "5", "ptn_00000000000000000000000005"])
async def test_a_payment_that_does_not_exist_is_not_found(api: Api, verb: str, unknown: str) -> None:
    answer = await api.operate(verb, unknown)

    assert answer["__typename"] == "NotFoundError"
    assert (answer["code"], answer["path"]) == ("NOT_FOUND", ["input", "paymentId"])
    assert answer["message"] == "There is no payment of yours with this id."


async def test_acceptance_is_answered_before_the_bank_and_the_outcome_follows(api: Api) -> None:
    accepted = await api.authorize(wait="ACCEPTANCE")
    payment = accepted["payment"]
    while payment["state"] == "PENDING":
        payment = (await api.ask("query ($id: ID!) { payment(id: $id) { id state history { state } } }", id=payment["id"]))[
            "payment"
        ]

    assert accepted["payment"]["state"] == "PENDING"
    assert accepted["payment"]["pendingOperation"]["verb"] == "AUTHORIZE"
    assert accepted["replayed"] is False
    assert states(payment) == ["PENDING", "AUTHORIZED"]


async def test_while_the_bank_is_away_a_payment_is_accepted_and_resolves_when_it_is_back(
    api: Api, bank_line: BankLine, worker: Recovery, here: Any
) -> None:
    wish = api.wish()
    bank_line.is_cut = True

    accepted = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]
    ship = await api.ask("query ($id: String!) { orderPayment(orderId: $id) { readyToShip reason state } }", id=wish["orderId"])
    bank_line.is_cut = False
    here.pass_by(60)
    recovered = await worker.run_once()
    known = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]

    assert accepted["payment"]["state"] == "PENDING"
    assert accepted["payment"]["pendingOperation"]["attempts"] == 3
    assert ship["orderPayment"] == {"readyToShip": False, "reason": "AWAITING_BANK", "state": "PENDING"}
    assert recovered == 1
    assert (known["payment"]["state"], known["replayed"], known["payment"]["needsReview"]) == ("AUTHORIZED", True, False)


async def test_while_something_is_under_way_nothing_else_can_be_asked(
    api: Api, bank_line: BankLine, worker: Recovery, here: Any
) -> None:
    payment = await api.payment()
    bank_line.is_cut = True

    capturing = await api.operate("capture", payment["id"])
    voiding = await api.operate("void", payment["id"])
    ship = await api.ask("query ($id: String!) { orderPayment(orderId: $id) { readyToShip reason } }", id=payment["orderId"])
    bank_line.is_cut = False
    here.pass_by(60)
    await worker.run_once()

    assert capturing["payment"]["state"] == "AUTHORIZED"
    assert capturing["payment"]["pendingOperation"]["verb"] == "CAPTURE"
    assert voiding["__typename"] == "InvalidTransitionError"
    assert "under way" in voiding["message"]
    assert ship["orderPayment"] == {"readyToShip": False, "reason": "OPERATION_PENDING"}
    found = (await api.ask("query ($id: ID!) { payment(id: $id) { state pendingOperation { verb } } }", id=payment["id"]))[
        "payment"
    ]
    assert found == {"state": "CAPTURED", "pendingOperation": None}


async def test_everything_that_is_wrong_is_said_at_once_each_with_its_path(api: Api) -> None:
    answer = await api.authorize(
        idempotencyKey="",
        orderId="\n",
        customerId="x" * 256,
        amount=0,
        card={"number": "4111111111111112", "cvv": "1", "expiryMonth": 13},
    )

    assert answer["__typename"] == "InvalidInputError"
    assert [problem["path"] for problem in answer["problems"]] == [
        ["input", "idempotencyKey"],
        ["input", "orderId"],
        ["input", "customerId"],
        ["input", "amount", "minorUnits"],
        ["input", "source", "card", "number"],
        ["input", "source", "card", "cvv"],
        ["input", "source", "card", "expiryMonth"],
    ]
    assert (answer["path"], answer["message"]) == (answer["problems"][0]["path"], answer["problems"][0]["message"])


@pytest.mark.parametrize("amount", ["9223372036854775807", 9223372036854775807])
async def test_an_amount_of_64_bits_goes_to_the_bank_as_it_is(api: Api, amount: object) -> None:
    """It is declined there; nothing on the way rounds it."""
    answer = await api.authorize(amount=amount)

    assert answer["payment"]["decline"]["code"] == "INSUFFICIENT_FUNDS"
    assert answer["payment"]["amount"] == {
        "minorUnits": 9223372036854775807,
        "currency": "USD",
        "formatted": "$92,233,720,368,547,758.07",
    }


@pytest.mark.parametrize("amount", ["9223372036854775808", 9223372036854775808, 1e300, 9007199254740993.0, "1.5", -1, "", "1e3"])
async def test_an_amount_that_is_none_is_refused_with_its_path(api: Api, amount: object) -> None:
    answer = await api.authorize(amount=amount)

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", ["input", "amount", "minorUnits"])


@pytest.mark.parametrize("verb", ["capture", "void", "refund"])
@pytest.mark.parametrize("key", ["", "\x00", "x" * 256, " "])
async def test_an_operations_bad_key_is_refused_with_its_path(api: Api, verb: str, key: str) -> None:
    wish = {"idempotencyKey": key, "paymentId": "pay_0"}

    answer = (await api.ask(mutation(f"{verb}Payment"), input=wish))[f"{verb}Payment"]

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", ["input", "idempotencyKey"])


async def test_a_card_in_a_literal_is_taken_like_one_in_a_variable(api: Api) -> None:
    document = f"""
        mutation {{ authorizePayment(input: {{
            idempotencyKey: "{api.fresh("key")}", orderId: "{api.fresh("order")}", customerId: "c"
            amount: {{minorUnits: 100, currency: USD}}
            source: {{card: {{number: "4111111111111111", cvv: "123", expiryMonth: 12, expiryYear: 2030}}}}
        }}) {{ ... on PaymentPayload {{ payment {{ state }} }} }} }}
    """

    assert (await api.ask(document))["authorizePayment"] == {"payment": {"state": "AUTHORIZED"}}


@pytest.mark.parametrize("verb", ["capture", "void", "refund"])
async def test_another_partners_payment_is_answered_like_an_unknown_one(
    api: Api, other: Api, bank_line: BankLine, verb: str
) -> None:
    payment = await api.payment()
    asked = bank_line.requests

    theirs = await other.operate(verb, payment["id"])
    unknown = await other.operate(verb, "pay_00000000000000000000000005")

    assert theirs == unknown
    assert theirs["__typename"] == "NotFoundError"
    assert bank_line.requests == asked


async def test_two_partners_may_have_orders_of_one_name(api: Api, other: Api) -> None:
    ours, theirs = await api.payment(orderId="order-of-both"), await other.payment(orderId="order-of-both")

    assert ours["id"] != theirs["id"]
