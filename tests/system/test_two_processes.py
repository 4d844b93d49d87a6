"""Two API processes at one address, and one idempotency key."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

AT_ONCE = 100


@pytest.fixture(scope="module")
def system(started: Callable[..., Any]) -> Any:
    """Two API processes that share one listening socket."""
    return started("--api-processes", "2")


def sockets(pid: int) -> int:
    """How many sockets a process holds."""
    return sum(str(each.readlink()).startswith("socket:") for each in Path(f"/proc/{pid}/fd").iterdir())


async def test_one_key_used_a_hundred_times_at_once_over_both_has_one_effect(
    shop: Any, system: Any, disagreements: Callable[[list[Any]], Awaitable[list[str]]]
) -> None:
    wish, pids = shop.wish(), system.ready["pids"]["api"]
    at_rest = [sockets(pid) for pid in pids]

    answers = await asyncio.gather(*(shop.authorize(wish) for _ in range(AT_ONCE)))
    busy = [sockets(pid) for pid in pids]
    receipt = await shop.settled(answers[0]["payment"]["id"])
    holds = [each for each in (await shop.ledger())["authorizations"] if each["state"] == "active"]

    assert all(now > before for now, before in zip(busy, at_rest, strict=True)), "both had their part"
    assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * (AT_ONCE - 1)
    assert len({str(answer["payment"]) for answer in answers}) == 1
    assert receipt["state"] == "AUTHORIZED"
    assert [hold["authorization_id"] for hold in holds] == [receipt["bankReferences"]["authorization"]]
    assert await disagreements([receipt]) == []


async def test_a_key_whose_request_runs_in_one_process_is_waited_for_in_the_other(shop: Any, system: Any) -> None:
    """A connection for each request, so that they are spread; the answer is the outcome, not PENDING."""
    wishes = [shop.wish() for _ in range(10)]

    async def once(wish: Any) -> Any:
        async with httpx.AsyncClient(headers=dict(shop.http.headers), timeout=20, trust_env=False) as http:
            return await type(shop)(http, system, shop.run).authorize(wish)

    answers = await asyncio.gather(*(once(wish) for wish in wishes for _ in range(4)))

    assert {answer["payment"]["state"] for answer in answers} == {"AUTHORIZED"}
    assert sorted(answer["replayed"] for answer in answers) == [False] * 10 + [True] * 30
