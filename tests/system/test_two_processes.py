"""Two API processes at one address, and one idempotency key."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

AT_ONCE, ROUNDS = 100, 10


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

    async def once(wish: Any) -> Any:
        async with shop.another_client() as client:
            return await client.authorize(wish)

    answers = await asyncio.gather(*(once(wish) for wish in wishes for _ in range(4)))

    assert {answer["payment"]["state"] for answer in answers} == {"AUTHORIZED"}
    assert sorted(answer["replayed"] for answer in answers) == [False] * 10 + [True] * 30
