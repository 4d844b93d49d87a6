"""Live streams over real sockets while the API is killed, Redis is flushed and killed, and sockets are cut at random.

`python3 dev.py bench events --soak` is the same with a thousand subscribers.
"""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from bench.followers import HARM, Follower, soak

SUBSCRIBERS, ORDERS, AT_ONCE = 40, 40, 4
PAUSE_S = 1.5  # between one harm and the next
FIRST = "{ events(first: 1) { nodes { id } } }"
BEHIND = "query ($after: String) { events(first: 100, after: $after) { nodes { id sequence } pageInfo { hasNextPage } } }"


@pytest.fixture(scope="module")
def system(started: Callable[..., Any]) -> Any:
    """One API process and its worker."""
    return started()


async def last_number(shop: Any, first: str) -> int:
    """The number of the newest event, found page by page as a partner would."""
    after, number, is_more = first, 1, True
    while is_more:
        page = (await shop.ask(BEHIND, after=after))["events"]
        if page["nodes"]:
            after, number = page["nodes"][-1]["id"], page["nodes"][-1]["sequence"]
        is_more = page["pageInfo"]["hasNextPage"]
    return int(number)


async def test_everybody_who_goes_on_has_each_event_once_and_in_order(shop: Any, system: Any, record_property: Any) -> None:
    await shop.settled((await shop.authorize(shop.wish()))["payment"]["id"])
    (first,) = (await shop.ask(FIRST))["events"]["nodes"]
    key = system.ready["api_key"]

    async def pay(turn: int) -> None:
        for _ in range(turn, ORDERS, AT_ONCE):
            await shop.settled((await shop.authorize(shop.wish()))["payment"]["id"])

    async def write() -> Mapping[str, int]:
        await asyncio.gather(*(pay(turn) for turn in range(AT_ONCE)))
        return {key: await last_number(shop, first["id"])}

    crowd = [Follower(("ws", "sse")[number % 2], key, first["id"], Random(number)) for number in range(SUBSCRIBERS)]
    complaints = await soak(system.ready, system.process.pid, crowd, write, pause_s=PAUSE_S)

    connections, events = sum(each.connections for each in crowd), crowd[0].wanted
    record_property(
        "figure", f"streams: {SUBSCRIBERS} subscribers, {events} events, {connections} connections, {len(HARM)} harms"
    )
    assert complaints == []
    assert connections > SUBSCRIBERS, "they were cut off"
