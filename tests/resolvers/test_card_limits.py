"""What may be spent with a card: set, refused, and seen."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.app.serving import Api
from tests.app.serving import mutation as payment_mutation
from tests.resolvers.cards import add, card_by, do
from tests.resolvers.users import fresh_name
from tests.resolvers.users import make as make_user

LIMITS = "limits { perTransaction { minorUnits } perDay { minorUnits } perMonth { minorUnits } }"
SET = f"""mutation ($input: SetCardLimitsInput!) {{ setCardLimits(input: $input) {{
    __typename
    ... on CardPayload {{ replayed card {{ id {LIMITS} }} }}
    ... on UserError {{ code message path }}
    ... on InvalidInputError {{ problems {{ path message }} }}
}} }}"""
PAY = payment_mutation("authorizePayment").replace(
    "... on OrderAlreadyPaidError",
    "... on CardLimitExceededError { cardId limit allowed { minorUnits } left { minorUnits } resetsAt } "
    "... on CardNotUsableError { cardId cardState } ... on OrderAlreadyPaidError",
)


def usd(minor_units: Any) -> dict[str, Any]:
    return {"minorUnits": minor_units, "currency": "USD"}


def shown(per_transaction: int | None, per_day: int | None, per_month: int | None) -> dict[str, Any]:
    limits = {"perTransaction": per_transaction, "perDay": per_day, "perMonth": per_month}
    return {name: None if limit is None else {"minorUnits": limit} for name, limit in limits.items()}


async def set_limits(api: Api, card_id: str, **wish: Any) -> Any:
    """setCardLimits' answer."""
    given = {"idempotencyKey": api.fresh("key"), "cardId": card_id, **wish}
    return (await api.ask(SET, input=given))["setCardLimits"]


async def pay(api: Api, card: Any, customer: str, **wish: Any) -> Any:
    """authorizePayment's answer with a stored card."""
    source = {"storedCard": {"cardId": card["id"], "cvv": "123"}}
    return (await api.ask(PAY, input=api.wish(customerId=customer, source=source, **wish)))["authorizePayment"]


@pytest.fixture
async def owned(api: Api) -> tuple[Any, str]:
    """A card, and the customer that its user is."""
    customer = fresh_name(api, "customer")
    return await add(api, userId=(await make_user(api, externalId=customer))["id"]), customer


async def test_what_is_left_out_stays_and_null_takes_a_limit_off(api: Api, owned: Any) -> None:
    card, _ = owned

    first = await set_limits(api, card["id"], perTransaction=usd(100), perDay=usd(500), perMonth=usd("9000"))
    second = await set_limits(api, card["id"], perDay=None, perMonth=usd(10_000))

    assert first["card"]["limits"] == shown(100, 500, 9000)
    assert second["card"]["limits"] == shown(100, None, 10_000)
    assert (await card_by(api, card["id"]))["limits"] == shown(100, None, 10_000)


async def test_a_payment_over_a_limit_says_which_what_is_left_and_when_it_is_there_again(api: Api, owned: Any, here: Any) -> None:
    here.time = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
    card, customer = owned
    await set_limits(api, card["id"], perDay=usd(1000))
    await pay(api, card, customer, amount=600)

    refused = await pay(api, card, customer, amount=401)

    assert refused["__typename"] == "CardLimitExceededError"
    assert (refused["code"], refused["path"]) == ("LIMIT_EXCEEDED", ["input", "amount"])
    assert (refused["cardId"], refused["limit"]) == (card["id"], "PER_DAY")
    assert (refused["allowed"], refused["left"]) == ({"minorUnits": 1000}, {"minorUnits": 400})
    assert refused["resetsAt"] == "2026-12-01T00:00:00Z"
    assert "$4.00" in refused["message"]


async def test_what_is_spent_is_seen_and_a_limit_below_it_is_refused(api: Api, owned: Any) -> None:
    card, customer = owned
    await pay(api, card, customer, amount=600)
    spend = "query ($id: ID!) { card(id: $id) { spend { today { minorUnits formatted } month { minorUnits } } } }"

    seen = (await api.ask(spend, id=card["id"]))["card"]["spend"]
    refused = await set_limits(api, card["id"], perTransaction=usd(1), perDay=usd(599), perMonth=usd(1))
    allowed = await set_limits(api, card["id"], perTransaction=usd(1), perDay=usd(600))

    assert seen == {"today": {"minorUnits": 600, "formatted": "$6.00"}, "month": {"minorUnits": 600}}
    assert refused["__typename"] == "InvalidInputError"
    assert [each["path"] for each in refused["problems"]] == [
        ["input", "perDay", "minorUnits"],
        ["input", "perMonth", "minorUnits"],
    ]
    assert allowed["card"]["limits"] == shown(1, 600, None)


BAD = {
    "nothing": ({}, ["input"]),
    "nought": ({"perDay": usd(0)}, ["input", "perDay", "minorUnits"]),
    "less than nothing": ({"perMonth": usd(-1)}, ["input", "perMonth", "minorUnits"]),
    "half a cent": ({"perTransaction": usd(0.5)}, ["input", "perTransaction", "minorUnits"]),
    "more than there is": ({"perDay": usd(2**63)}, ["input", "perDay", "minorUnits"]),
    "another currency": ({"perDay": {"minorUnits": 1, "currency": "EUR"}}, ["input", "perDay", "currency"]),
}


@pytest.mark.parametrize(("wish", "path"), BAD.values(), ids=BAD)
async def test_bad_limits_are_refused_with_their_path(api: Api, owned: Any, wish: dict[str, Any], path: list[str]) -> None:
    refused = await set_limits(api, owned[0]["id"], **wish)

    assert (refused["__typename"], refused["path"]) == ("InvalidInputError", path)


async def test_limits_of_others_cards_and_of_a_closed_one_are_not_set(api: Api, other: Api, owned: Any) -> None:
    card, _ = owned

    foreign, malformed = await set_limits(other, card["id"], perDay=usd(1)), await set_limits(api, "card_1", perDay=usd(1))
    await do(api, "close", cardId=card["id"], reason="LOST")
    closed = await set_limits(api, card["id"], perDay=usd(1))

    assert [each["code"] for each in (foreign, malformed)] == ["NOT_FOUND", "NOT_FOUND"]
    assert (closed["code"], closed["path"]) == ("CARD_NOT_USABLE", ["input", "cardId"])


async def test_limits_are_set_once_and_told_of_once(api: Api, owned: Any) -> None:
    card, _ = owned
    first = await set_limits(api, card["id"], idempotencyKey="limits", perDay=usd(500))
    await set_limits(api, card["id"], perDay=usd(700))

    again = await set_limits(api, card["id"], idempotencyKey="limits", perDay=usd(500))
    other = await set_limits(api, card["id"], idempotencyKey="limits", perDay=usd(501))

    assert again == first | {"replayed": True}
    assert other["code"] == "IDEMPOTENCY_MISMATCH"
    document = "{ events(types: [CARD_LIMITS_CHANGED]) { nodes { card { limits { perDay { minorUnits } } } } } }"
    told = (await api.ask(document))["events"]["nodes"]
    assert [each["card"]["limits"]["perDay"]["minorUnits"] for each in told] == [500, 700]


async def test_a_limit_that_is_set_during_a_rush_holds_from_then_on(api: Api, owned: Any) -> None:
    card, customer = owned

    *paid, limited = await asyncio.gather(
        *(pay(api, card, customer, amount=10) for _ in range(20)), set_limits(api, card["id"], perDay=usd(200))
    )
    spent = sum(10 for each in paid if each["__typename"] == "PaymentPayload")

    assert limited["__typename"] == "CardPayload"
    assert spent == 200
    assert (await pay(api, card, customer, amount=1))["code"] == "LIMIT_EXCEEDED"
