"""The same request again, and what only looks like it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from tests.app.serving import Api, BankLine, mutation

AUTHORIZE = mutation("authorizePayment")
EMPTY = {"number": "5555555555554444", "cvv": "789", "expiryMonth": 9}


async def test_the_same_request_again_is_answered_the_same_without_asking_the_bank(api: Api, bank_line: BankLine) -> None:
    wish = api.wish()

    first = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]
    asked = bank_line.requests
    second = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]

    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["payment"] == second["payment"]
    assert bank_line.requests == asked


async def test_a_decline_is_replayed_too(api: Api, bank_line: BankLine) -> None:
    wish = api.wish(card=EMPTY)

    first = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]
    asked = bank_line.requests
    second = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]

    assert second == {**first, "replayed": True}
    assert bank_line.requests == asked


@pytest.mark.parametrize("verb", ["capture", "void"])
async def test_an_operation_is_replayed_and_answers_as_it_was_then(api: Api, bank_line: BankLine, verb: str) -> None:
    payment, key = await api.payment(), api.fresh("key")

    first = await api.operate(verb, payment["id"], key)
    if verb == "capture":
        await api.operate("refund", payment["id"])
    asked = bank_line.requests
    second = await api.operate(verb, payment["id"], key)

    assert second == {**first, "replayed": True}
    assert second["payment"]["state"] == {"capture": "CAPTURED", "void": "VOIDED"}[verb]
    assert bank_line.requests == asked


async def test_a_replay_answers_as_it_was_then_though_the_payment_has_moved_on(api: Api) -> None:
    wish = api.wish()
    first = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]
    await api.operate("void", first["payment"]["id"])

    second = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]

    assert second == {**first, "replayed": True}
    assert second["payment"]["state"] == "AUTHORIZED"


@pytest.mark.parametrize(
    "change",
    [
        {"orderId": "another-order"},
        {"customerId": "another-customer"},
        {"amount": {"minorUnits": 2000, "currency": "USD"}},
        {"source": {"card": {"number": "4242424242424242", "cvv": "123", "expiryMonth": 12, "expiryYear": 2030}}},
        {"source": {"card": {"number": "4111111111111111", "cvv": "123", "expiryMonth": 11, "expiryYear": 2030}}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_the_same_key_for_another_wish_is_refused(api: Api, bank_line: BankLine, change: dict[str, Any]) -> None:
    wish = api.wish()
    await api.ask(AUTHORIZE, input=wish)
    asked = bank_line.requests

    answer = (await api.ask(AUTHORIZE, input={**wish, **change}))["authorizePayment"]

    assert answer["__typename"] == "IdempotencyMismatchError"
    assert (answer["code"], answer["path"]) == ("IDEMPOTENCY_MISMATCH", ["input", "idempotencyKey"])
    assert bank_line.requests == asked


async def test_the_same_key_for_another_operation_is_refused(api: Api) -> None:
    wish = api.wish()
    payment = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]["payment"]

    answers = [await api.operate(verb, payment["id"], wish["idempotencyKey"]) for verb in ("capture", "void")]

    assert [answer["__typename"] for answer in answers] == ["IdempotencyMismatchError"] * 2


@pytest.mark.parametrize(
    "spelling",
    [
        {"wait": "OUTCOME"},
        {"wait": None},
        {"wait": "ACCEPTANCE"},
        {"amount": {"currency": "USD", "minorUnits": "1999"}},
        {"amount": {"minorUnits": 1999.0, "currency": "USD"}},
        {"source": {"card": {"expiryYear": 2030, "expiryMonth": 12, "cvv": "999", "number": "4111 1111-1111 1111"}}},
    ],
    ids=str,
)
async def test_another_spelling_of_the_same_wish_is_the_same_request(api: Api, spelling: dict[str, Any]) -> None:
    """Fields in another order, defaults left out or not, numbers as text; the CVV is no part of it."""
    wish = api.wish()
    first = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]

    second = (await api.ask(AUTHORIZE, input={**wish, **spelling}))["authorizePayment"]

    assert second == {**first, "replayed": True}


async def test_a_key_and_an_order_have_one_spelling_in_unicode(api: Api) -> None:
    name = api.fresh("order")
    wish = api.wish(idempotencyKey=f"cl\u00e9-{name}", orderId=f"caf\u00e9-{name}")

    first = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]
    decomposed = {**wish, "idempotencyKey": f"cle\u0301-{name}", "orderId": f"cafe\u0301-{name}"}
    second = (await api.ask(AUTHORIZE, input=decomposed))["authorizePayment"]

    assert second == {**first, "replayed": True}


async def test_two_partners_with_one_key_are_two_requests(api: Api, other: Api) -> None:
    wish = api.wish()

    ours = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]
    theirs = (await other.ask(AUTHORIZE, input=wish))["authorizePayment"]

    assert (ours["replayed"], theirs["replayed"]) == (False, False)
    assert ours["payment"]["id"] != theirs["payment"]["id"]
    assert ours["payment"]["bankReferences"] != theirs["payment"]["bankReferences"]


async def test_a_refused_input_does_not_use_up_its_key(api: Api) -> None:
    wish = api.wish()

    invalid = (await api.ask(AUTHORIZE, input={**wish, "customerId": ""}))["authorizePayment"]
    not_found = await api.operate("capture", "pay_0", wish["idempotencyKey"])
    wrong_type = await api.errors(AUTHORIZE, input={**wish, "customerId": 1})
    without_key = await api.post({"query": AUTHORIZE, "variables": {"input": wish}}, Authorization="")
    good = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]

    assert (invalid["__typename"], not_found["__typename"]) == ("InvalidInputError", "NotFoundError")
    assert wrong_type[0]["extensions"]["path"] == ["input", "customerId"]
    assert without_key.status_code == 401
    assert (good["replayed"], good["payment"]["state"]) == (False, "AUTHORIZED")


async def test_a_refused_transition_does_not_use_up_its_key(api: Api) -> None:
    payment, key = await api.payment(), api.fresh("key")

    refused = await api.operate("refund", payment["id"], key)
    await api.operate("capture", payment["id"])
    done = await api.operate("refund", payment["id"], key)

    assert refused["__typename"] == "InvalidTransitionError"
    assert (done["replayed"], done["payment"]["state"]) == (False, "REFUNDED")


async def test_a_replay_works_with_another_selection_and_another_key_of_the_partner(
    api: Api, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    wish = api.wish()
    first = (await api.ask(AUTHORIZE, input=wish))["authorizePayment"]
    rotated = api.as_somebody(api.tenant, await make_key(api.tenant))

    second = await rotated.ask(
        "mutation ($input: AuthorizePaymentInput!) { authorizePayment(input: $input) { ... on PaymentPayload { payment { reference } } } }",
        input=wish,
    )

    assert second == {"authorizePayment": {"payment": {"reference": first["payment"]["reference"]}}}


async def test_two_aliases_with_one_key_in_one_document_are_one_request(api: Api, bank_line: BankLine) -> None:
    document = AUTHORIZE.replace("authorizePayment(", "a: authorizePayment(", 1).replace(
        "{ a:", "{ b: authorizePayment(input: $input) { ... on PaymentPayload { replayed payment { id } } } a:", 1
    )

    data = await api.ask(document, input=api.wish())

    assert (data["b"]["replayed"], data["a"]["replayed"]) == (False, True)
    assert data["a"]["payment"]["id"] == data["b"]["payment"]["id"]
    assert bank_line.requests == 1


async def test_one_key_used_fifty_times_at_once_has_one_effect(api: Api, bank_line: BankLine) -> None:
    wish = api.wish()

    answers = [data["authorizePayment"] for data in await asyncio.gather(*(api.ask(AUTHORIZE, input=wish) for _ in range(50)))]

    assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * 49
    assert len({str(answer["payment"]) for answer in answers}) == 1
    assert bank_line.requests == 1


async def test_one_order_paid_twenty_times_at_once_is_paid_once(api: Api, bank_line: BankLine) -> None:
    order = api.fresh("order")

    answers = await asyncio.gather(*(api.authorize(orderId=order) for _ in range(20)))

    kinds = sorted(answer["__typename"] for answer in answers)
    assert kinds == ["OrderAlreadyPaidError"] * 19 + ["PaymentPayload"]
    assert bank_line.requests == 1


@pytest.mark.parametrize(("one", "other_verb"), [("capture", "void"), ("capture", "capture"), ("void", "void")])
async def test_of_two_operations_at_once_one_is_done(api: Api, bank_line: BankLine, one: str, other_verb: str) -> None:
    payment = await api.payment()

    answers = await asyncio.gather(api.operate(one, payment["id"]), api.operate(other_verb, payment["id"]))

    assert sorted(answer["__typename"] for answer in answers) == ["InvalidTransitionError", "PaymentPayload"]
    assert bank_line.requests == 2
