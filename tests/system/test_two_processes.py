"""Two API processes at one address, and one idempotency key."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

AT_ONCE, ROUNDS = 100, 10
Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture(scope="module")
def system(started: Callable[..., Any]) -> Any:
    """Two API processes that share one listening socket."""
    return started("--api-processes", "2")


def sockets(pid: int) -> int:
    """How many sockets a process holds."""
    return sum(str(each.readlink()).startswith("socket:") for each in Path(f"/proc/{pid}/fd").iterdir())


async def once(shop: Any, wish: Any) -> Any:
    """Over a connection of its own, so that both processes have some."""
    async with shop.another_client() as client:
        return await client.authorize(wish)


async def test_one_key_used_a_hundred_times_at_once_over_both_has_one_effect(
    shop: Any, system: Any, disagreements: Callable[[list[Any]], Awaitable[list[str]]]
) -> None:
    """The kernel deals connections out as it likes: there are rounds until both processes have had some."""
    pids = system.ready["pids"]["api"]
    at_rest = {pid: sockets(pid) for pid in pids}
    had_some: set[int] = set()
    for _ in range(ROUNDS):
        async with shop.another_client() as client:
            wish = client.wish()
            before = {each["authorization_id"] for each in (await client.ledger())["authorizations"]}
            answers = await asyncio.gather(*(client.authorize(wish) for _ in range(AT_ONCE)))
            had_some |= {pid for pid in pids if sockets(pid) > at_rest[pid]}
            receipt = await client.settled(answers[0]["payment"]["id"])
            firsts = [answer for answer in answers if not answer["replayed"]]
            after = {each["authorization_id"] for each in (await client.ledger())["authorizations"]}

        assert len(firsts) == 1 or (not firsts and client.refused), "whose first answer was lost gets a replay"
        assert len({str(answer["payment"]) for answer in answers}) == 1
        assert receipt["state"] == "AUTHORIZED"
        assert after - before == {receipt["bankReferences"]["authorization"]}
        assert await disagreements([receipt]) == []
        if had_some == set(pids):
            break

    assert had_some == set(pids)


async def test_a_key_whose_request_runs_in_one_process_is_waited_for_in_the_other(shop: Any, system: Any) -> None:
    """A connection for each request, so that they are spread; the answer is the outcome, not PENDING."""
    wishes = [shop.wish() for _ in range(10)]

    answers = await asyncio.gather(*(once(shop, wish) for wish in wishes for _ in range(4)))

    assert {answer["payment"]["state"] for answer in answers} == {"AUTHORIZED"}
    assert sorted(answer["replayed"] for answer in answers) == [False] * 10 + [True] * 30


async def test_redis_is_flushed_and_killed_under_load_and_nothing_is_lost(
    shop: Any, system: Any, disagreements: Callable[[list[Any]], Awaitable[list[str]]], until: Until
) -> None:
    """It only carries wake-ups: who waits for the other process's answer finds it without, and so does who asks later."""
    wishes = [shop.wish() for _ in range(20)]
    requests = [asyncio.create_task(once(shop, wish)) for wish in wishes for _ in range(3)]

    async def some_are_answered() -> bool:
        return any(request.done() for request in requests)

    await until(some_are_answered)
    async with redis.asyncio.Redis.from_url(system.ready["redis_url"]) as client:
        await client.flushall()
    system.kill("redis")
    answers = await asyncio.gather(*requests)
    later = [await once(shop, wish) for wish in wishes]
    receipts = [await shop.settled(answer["payment"]["id"]) for answer in later]

    assert [answer["payment"]["id"] for answer in answers[::3]] == [receipt["id"] for receipt in receipts]
    assert {len({answer["payment"]["id"] for answer in answers[at : at + 3]}) for at in range(0, 60, 3)} == {1}
    assert {answer["payment"]["state"] for answer in (*answers, *later)} == {"AUTHORIZED"}
    assert {answer["replayed"] for answer in later} == {True}
    assert await disagreements(receipts) == []


async def test_a_process_that_is_told_to_stop_finishes_what_it_has_asked_the_bank(
    shop: Any, system: Any, disagreements: Callable[[list[Any]], Awaitable[list[str]]], until: Until
) -> None:
    """SIGTERM under load: each call gets the bank's answer, so nothing is in doubt and the bank loses no key.

    Half of the clients wait for it. The calls of the others belong to no request, and are waited for all the same.
    """
    await shop.weather(failure_rate=0, min_latency_ms=2000, max_latency_ms=2500)
    wishes = [{**shop.wish(), "wait": wait} for wait in ("OUTCOME", "ACCEPTANCE") for _ in range(20)]
    log = system.data / "logs" / "api-1.log"

    async def all_are_at_the_bank() -> bool:
        return all(await asyncio.gather(*(shop.order(wish["orderId"]) for wish in wishes)))

    async def has_stopped() -> bool:
        return "left to recovery" in log.read_text()

    orders = [asyncio.create_task(once(shop, wish)) for wish in wishes]
    await until(all_are_at_the_bank)
    os.kill(system.ready["pids"]["api"][0], signal.SIGTERM)
    answers = await asyncio.gather(*orders)
    await until(has_stopped)
    receipts = [await shop.settled(answer["payment"]["id"]) for answer in answers]
    ledger = await shop.ledger()

    assert "stopped; 0 payments are left to recovery" in log.read_text()
    assert {receipt["state"] for receipt in receipts} == {"AUTHORIZED"}
    assert [receipt["orderId"] for receipt in receipts if receipt["reviewReasons"]] == []
    assert {each["idempotency_key"] for each in ledger["authorizations"]} == {
        each["idempotency_key"] for each in ledger["idempotency_keys"]
    }
    assert await disagreements(receipts) == []
