"""Events of streams are charged, late rather than lost; an event that comes to many streams of a key is one charge."""

import asyncio
from ipaddress import ip_address
from typing import Any

import pytest

from app.limits import MAX_PACED
from domain import caller as caller_module
from domain.tier import Rate, Tier, TierName
from tests.app.serving import Api


async def test_pacing_waits_until_the_event_fits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    connections, now_s, slept = api.app.state.connections, [1000.0], list[float]()
    small = Rate(1, 1, every_s=4)
    monkeypatch.setattr(caller_module, "TIERS", {TierName.ENTERPRISE: Tier(small, small, 1, 1)})
    monkeypatch.setattr(api.app.state.limiter, "_monotonic", lambda: now_s[0])
    monkeypatch.setattr("app.limiter.own_part", lambda tier: (tier.key, tier.partner))

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now_s[0] += seconds

    monkeypatch.setattr(connections.limits, "_sleep", sleep)
    caller = await connections.authentication.caller(f"Bearer {api.key}", ip_address("127.0.0.1"))

    for _ in range(3):
        await connections.limits.pace(caller)

    assert slept == [4.0, 4.0], "one event at once, and one every four seconds"


async def test_the_streams_of_a_key_pay_for_an_event_together(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = api.app.state.connections.limits
    caller = await api.app.state.connections.authentication.caller(f"Bearer {api.key}", ip_address("127.0.0.1"))
    costs: list[int] = []

    async def charge(caller: Any, cost: int, counter: Any) -> Any:
        costs.append(cost)
        return await original(caller, cost, counter)

    original = limits._limiter.charge
    monkeypatch.setattr(limits._limiter, "charge", charge)
    before, limits._limiter._notes = limits.charged, {}

    left = asyncio.create_task(limits.pace(caller))
    waiting = asyncio.gather(*(limits.pace(caller) for _ in range(MAX_PACED + 20)))
    await asyncio.sleep(0)
    left.cancel()
    await waiting

    assert sum(costs) == limits.charged - before <= MAX_PACED + 21
    assert len(costs) <= 3
    counted = sum(count for notes in limits._limiter._notes.values() for name, count in notes.items() if "events" in name.lower())
    assert counted == sum(costs), "each event is one in the usage of its key"
