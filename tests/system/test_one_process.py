"""Everything over real sockets with one API process: an order's life, and what happens when a part is killed in the middle."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

ROADS: dict[str, list[str]] = {
    "AUTHORIZED": [],
    "CAPTURED": ["capture"],
    "VOIDED": ["void"],
    "REFUNDED": ["capture", "refund"],
}
ORDERS = 100
Compare = Callable[[list[Any]], Awaitable[list[str]]]
Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture(scope="module")
def system(started: Callable[..., Any]) -> Any:
    """One API process, one worker, the bank, Postgres, Redis."""
    return started()


async def play(shop: Any, road: list[str]) -> Any:
    """Pay for a new order, take the road, and come back with the receipt. Every request is repeated until it is answered."""
    wish = shop.wish()
    payment = (await shop.authorize(wish))["payment"]
    receipt = await shop.settled(payment["id"])
    for verb in road:
        answer = await shop.operate(verb, payment["id"], f"{wish['idempotencyKey']}-{verb}")
        receipt = await shop.settled(payment["id"])
        if answer["__typename"] != "PaymentPayload":
            assert "CAPTURE_REFERENCE_UNKNOWN" in receipt["reviewReasons"], answer
    return receipt


def test_ready_is_said_in_json_with_everything_that_one_needs(system: Any) -> None:
    assert set(system.ready) >= {"graphql", "api_key", "bank_control_url", "pids"}
    assert all(system.ready["pids"][name] for name in ("api", "worker", "bank", "postgres", "redis"))


@pytest.mark.parametrize("state", ROADS)
async def test_an_order_goes_its_way(shop: Any, disagreements: Compare, state: str) -> None:
    receipt = await play(shop, ROADS[state])

    assert receipt["state"] == state
    assert [each["state"] for each in receipt["history"]][-1] == state
    assert await disagreements([receipt]) == []


async def test_the_api_is_killed_in_the_middle_of_a_hundred_orders(
    shop: Any, system: Any, disagreements: Compare, until: Until
) -> None:
    """Clients repeat their requests with the same keys; nothing is lost and nothing is done twice."""
    wanted = list(ROADS) * (ORDERS // len(ROADS))
    orders = [asyncio.create_task(play(shop, ROADS[state])) for state in wanted]

    async def some_are_done() -> bool:
        return sum(order.done() for order in orders) >= 5

    await until(some_are_done)
    system.kill("api")
    receipts = await asyncio.gather(*orders)

    assert shop.refused > 0, "it was in the middle"
    settled_otherwise = [
        receipt["orderId"]
        for receipt, state in zip(receipts, wanted, strict=True)
        if receipt["state"] != state and not receipt["needsReview"]
    ]
    assert settled_otherwise == []
    assert len({receipt["id"] for receipt in receipts}) == ORDERS
    assert await disagreements(receipts) == []


@pytest.mark.timeout(300)  # most of a minute on a quiet machine: pauses and the breaker
async def test_while_the_bank_is_away_payments_are_accepted_and_they_resolve_when_it_is_back(
    shop: Any, disagreements: Compare, until: Until
) -> None:
    await shop.weather(unreachable=True)
    answers = [await shop.authorize({**shop.wish(), "wait": "ACCEPTANCE"}) for _ in range(10)]

    async def all_were_tried_twice() -> bool:
        pending = [(await shop.receipt(answer["payment"]["id"]))["pendingOperation"] for answer in answers]
        return all(each["attempts"] >= 2 for each in pending)

    await until(all_were_tried_twice)
    await shop.weather(unreachable=False)
    receipts = await asyncio.gather(*(shop.settled(answer["payment"]["id"]) for answer in answers))

    assert {(answer["__typename"], answer["payment"]["state"]) for answer in answers} == {("PaymentPayload", "PENDING")}
    assert {receipt["state"] for receipt in receipts} == {"AUTHORIZED"}
    assert await disagreements(receipts) == []


async def test_the_bank_is_killed_in_the_middle_of_twenty_orders(
    shop: Any, system: Any, disagreements: Compare, until: Until
) -> None:
    orders = [asyncio.create_task(play(shop, ["capture"])) for _ in range(20)]

    async def some_are_done() -> bool:
        return any(order.done() for order in orders)

    await until(some_are_done)
    system.kill("bank")
    receipts = await asyncio.gather(*orders)

    assert {receipt["state"] for receipt in receipts} == {"CAPTURED"}
    assert await disagreements(receipts) == []


async def test_postgres_is_killed_and_clients_are_told_when_to_come_back(
    shop: Any, system: Any, disagreements: Compare, until: Until
) -> None:
    seen: list[Any] = []

    async def ask() -> int:
        response = await shop.http.post(system.ready["graphql"], json={"query": "{ viewer { partner { name } } }"})
        seen.append(response)
        return int(response.status_code)

    async def is_away() -> bool:
        return await ask() == 503

    async def is_back() -> bool:
        return await ask() == 200

    system.kill("postgres")
    await until(is_away)
    away = seen[-1]
    await until(is_back)
    receipt = await play(shop, ["capture"])

    assert away.headers["retry-after"] == "2"
    assert away.json()["errors"][0]["extensions"] == {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": 2000}
    assert {response.status_code for response in seen} <= {200, 503}
    assert receipt["state"] == "CAPTURED"
    assert await disagreements([receipt]) == []
