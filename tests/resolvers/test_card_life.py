"""A card's life by API: frozen, back, closed; who did it and why; and what is refused, with the state that stands against it."""

import asyncio
from typing import Any

import pytest

from domain.ids import IdKind, decode_id_of, encode_id
from domain.stored_card import CardState
from persistence.card_numbers import get_card_numbers
from persistence.database import Database
from tests.app.serving import Api
from tests.gateway.kept_cards import keeper
from tests.resolvers.cards import add, card_by, do

EVENTS = "{ events(first: 100) { nodes { type subjectId previousCardState card { state reason } request { idempotencyKey } } } }"
VERBS = {"activate": {}, "freeze": {}, "unfreeze": {}, "close": {"reason": "LOST"}}


async def events_of(api: Api) -> list[Any]:
    """What happened to cards, oldest first."""
    return [each for each in (await api.ask(EVENTS))["events"]["nodes"] if each["type"].startswith("CARD")]


async def kept_numbers(owner: Database, api: Api, *cards: Any) -> int:
    """How many of these cards have a number in the vault."""
    ids = [decode_id_of(IdKind.CARD, each["id"]) for each in cards]
    async with owner.tenant(api.tenant) as tx:
        return len(await get_card_numbers(tx, api.tenant, [each for each in ids if each]))


async def test_a_card_is_frozen_comes_back_and_is_closed(api: Api, here: Any, owner: Database) -> None:
    card = await add(api)
    steps, keys = [], [api.fresh("key") for _ in range(3)]
    for key, (verb, extra) in zip(keys, [("freeze", {}), ("unfreeze", {}), ("close", {"reason": "STOLEN"})], strict=True):
        here.pass_by(60)
        steps.append((await do(api, verb, idempotencyKey=key, cardId=card["id"], **extra))["card"])

    assert [(each["state"], each["reason"]) for each in steps] == [
        ("FROZEN", "CUSTOMER_REQUEST"),
        ("ACTIVE", None),
        ("CLOSED", "STOLEN"),
    ]
    assert await card_by(api, card["id"]) == steps[-1]
    assert [(each["before"], each["after"], each["reason"], each["actor"]) for each in steps[-1]["history"]] == [
        (None, "ACTIVE", None, "test"),
        ("ACTIVE", "FROZEN", "CUSTOMER_REQUEST", "test"),
        ("FROZEN", "ACTIVE", None, "test"),
        ("ACTIVE", "CLOSED", "STOLEN", "test"),
    ]
    assert steps[-1]["history"][-1]["at"] == steps[-1]["stateSince"] == here.time.isoformat().replace("+00:00", "Z")
    told = await events_of(api)
    assert [each["type"] for each in told] == ["CARD_ADDED", "CARD_FROZEN", "CARD_UNFROZEN", "CARD_CLOSED"]
    assert [each["previousCardState"] for each in told] == [None, "ACTIVE", "FROZEN", "ACTIVE"]
    assert [each["request"]["idempotencyKey"] for each in told[1:]] == keys
    assert await kept_numbers(owner, api, card) == 0, "a closed card's number is good for nothing but a thief"


async def test_an_issued_card_is_activated(api: Api) -> None:
    kept = await keeper(api.app.state.house.parts, api.tenant)(state=CardState.INACTIVE)

    answer = await do(api, "activate", cardId=encode_id(IdKind.CARD, kept.id))

    assert answer["card"]["state"] == "ACTIVE"
    assert [each["type"] for each in await events_of(api)] == ["CARD_ACTIVATED"]


async def test_a_frozen_card_keeps_its_number(api: Api, owner: Database) -> None:
    card = await add(api)

    await do(api, "freeze", cardId=card["id"])

    assert await kept_numbers(owner, api, card) == 1


REFUSED = [("ACTIVE", "activate"), ("ACTIVE", "unfreeze"), ("FROZEN", "freeze"), ("FROZEN", "activate")] + [
    ("CLOSED", verb) for verb in VERBS
]


@pytest.mark.parametrize(("state", "verb"), REFUSED)
async def test_a_step_that_the_state_does_not_allow_is_refused_with_that_state(api: Api, state: str, verb: str) -> None:
    card = await add(api)
    if state != "ACTIVE":
        await do(api, {"FROZEN": "freeze", "CLOSED": "close"}[state], cardId=card["id"], reason="FRAUD")
    before = await card_by(api, card["id"])

    answer = await do(api, verb, cardId=card["id"], **VERBS[verb])

    assert (answer["__typename"], answer["code"], answer["path"]) == (
        "CardNotUsableError",
        "CARD_NOT_USABLE",
        ["input", "cardId"],
    )
    assert (answer["cardId"], answer["cardState"]) == (card["id"], state)
    assert await card_by(api, card["id"]) == before


async def test_a_card_whose_month_is_over_is_not_unfrozen(api: Api, here: Any) -> None:
    card = await add(api, expiryMonth=6, expiryYear=2026)
    await do(api, "freeze", cardId=card["id"])
    here.pass_by(30 * 86_400)

    answer = await do(api, "unfreeze", cardId=card["id"])

    assert (answer["__typename"], answer["cardState"]) == ("CardNotUsableError", "FROZEN")
    assert "06/2026" in answer["message"]


@pytest.mark.parametrize("verb", ["freeze", "close"])
async def test_expired_is_no_reason_of_a_partners(api: Api, verb: str) -> None:
    card = await add(api)

    answer = await do(api, verb, cardId=card["id"], reason="EXPIRED")

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", ["input", "reason"])
    assert (await card_by(api, card["id"]))["state"] == "ACTIVE"


async def test_a_card_is_not_closed_without_a_reason(api: Api) -> None:
    document = "mutation ($input: CloseCardInput!) { closeCard(input: $input) { __typename } }"

    (error,) = await api.errors(document, input={"idempotencyKey": api.fresh("key"), "cardId": (await add(api))["id"]})

    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["input", "reason"]}


async def test_cards_of_others_and_ids_of_other_things_are_not_found(api: Api, other: Api) -> None:
    theirs = await add(other)
    ids = [theirs["id"], encode_id(IdKind.CARD, api.tenant), theirs["userId"], "x", ""]

    answers = [await do(api, verb, cardId=each, **extra) for verb, extra in VERBS.items() for each in ids]

    assert {(each["__typename"], *each["path"]) for each in answers} == {("NotFoundError", "input", "cardId")}
    assert [await card_by(api, each) for each in ids] == [None] * 5
    assert await card_by(other, theirs["id"]) == theirs


async def test_a_step_is_made_once_and_its_repetition_shows_the_card_as_it_was(api: Api) -> None:
    card = await add(api)
    wish = {"idempotencyKey": api.fresh("key"), "cardId": card["id"], "reason": "LOST"}
    first = await do(api, "freeze", **wish)
    await do(api, "unfreeze", cardId=card["id"])

    again = await do(api, "freeze", **wish)

    assert (again["replayed"], again["card"]["state"], again["card"]["reason"]) == (True, "FROZEN", "LOST")
    assert (first["replayed"], (await card_by(api, card["id"]))["state"]) == (False, "ACTIVE")


async def test_the_same_key_for_another_step_is_a_mismatch(api: Api) -> None:
    card, key = await add(api), api.fresh("key")
    await do(api, "freeze", idempotencyKey=key, cardId=card["id"])

    answers = [
        await do(api, "freeze", idempotencyKey=key, cardId=card["id"], reason="LOST"),
        await do(api, "freeze", idempotencyKey=key, cardId=(await add(api))["id"]),
        await do(api, "close", idempotencyKey=key, cardId=card["id"], reason="LOST"),
    ]
    usual = await do(api, "freeze", idempotencyKey=key, cardId=card["id"], reason="CUSTOMER_REQUEST")

    assert {each["__typename"] for each in answers} == {"IdempotencyMismatchError"}
    assert usual["replayed"], "to leave the reason out is to give the usual one"


async def test_frozen_and_closed_at_once_ends_closed_with_each_step_in_the_history(api: Api) -> None:
    card = await add(api)

    answers = await asyncio.gather(
        *(do(api, verb, cardId=card["id"], **VERBS[verb]) for verb in ("freeze", "close", "freeze", "unfreeze", "close") * 4)
    )

    after = await card_by(api, card["id"])
    history = after["history"]
    assert after["state"] == "CLOSED"
    assert [each["before"] for each in history[1:]] == [each["after"] for each in history[:-1]]
    assert len([each for each in answers if each["__typename"] == "CardPayload"]) == len(history) - 1
    assert len(await events_of(api)) == len(history)
    assert {each["cardState"] for each in answers if each["__typename"] != "CardPayload"} <= {"ACTIVE", "FROZEN", "CLOSED"}


async def test_a_payment_under_way_goes_on_when_its_card_is_closed(api: Api, bank_line: Any) -> None:
    """Its attempt has a seal of its own: what was accepted is asked of the bank."""
    kept = await keeper(api.app.state.house.parts, api.tenant)()
    card_id = encode_id(IdKind.CARD, kept.id)
    bank_line.is_cut = True
    wish = api.wish(customerId=kept.customer, source={"storedCard": {"cardId": card_id, "cvv": "123"}}, wait="ACCEPTANCE")
    pending = (await api.ask(PAY, input=wish))["authorizePayment"]["payment"]
    bank_line.is_cut = False

    await do(api, "close", cardId=card_id, reason="CUSTOMER_REQUEST")
    again = (await api.ask(PAY, input={**wish, "wait": "OUTCOME"}))["authorizePayment"]

    assert pending["state"] == "PENDING"
    assert again["payment"]["state"] == "AUTHORIZED"


PAY = """mutation ($input: AuthorizePaymentInput!) { authorizePayment(input: $input) {
    __typename ... on PaymentPayload { payment { id state } } ... on UserError { message }
} }"""
