"""The limiter: exact over any number of processes, one call for all who wait, and never a stop without Redis."""

import asyncio
import time
from datetime import UTC, datetime
from ipaddress import ip_address
from uuid import UUID, uuid4

import pytest

from app.limiter import LOCAL_PART, Limiter, own_part
from domain import caller as caller_module
from domain.api_key import ApiKey
from domain.caller import Caller
from domain.partner import Partner
from domain.scope import ALL_SCOPES
from domain.tier import MICRO, Rate, Tier, TierName
from persistence.buckets import NO_NOTES, RedisBuckets
from tests.app.serving import NOWHERE

PATIENCE_S = 60.0  # no test is about how busy the machine is
HOURLY = Tier(Rate(100, 7, every_s=3600), Rate(40, 3, every_s=3600), at_once=10, monthly_cost=1)


def now():
    return datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def limiter(redis_server):
    """Makes limiters as several processes would have them."""
    return lambda **changes: Limiter(Counted(redis_server.url), time.monotonic, now, **({"deadline_s": PATIENCE_S} | changes))


class Counted(RedisBuckets):
    """Counts the calls, and can be told to be slow."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.calls: list[int] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def charge(self, asks, notes=NO_NOTES):
        self.calls.append(len(asks))
        taken = await super().charge(asks, notes)
        await self.may_answer.wait()
        return taken


@pytest.fixture
def slow_tier(monkeypatch):
    """A tier that brings next to nothing back during a test."""
    monkeypatch.setattr(caller_module, "TIERS", {TierName.STANDARD: HOURLY})
    return HOURLY


def caller_of(tenant: UUID) -> Caller:
    """Somebody with a new key of this tenant."""
    now = datetime.now(UTC)
    key = ApiKey(uuid4(), tenant, "test", "gp_live_1234", ALL_SCOPES, now)
    return Caller(key, Partner(tenant, "FicMart", now), ip_address("127.0.0.1"))


async def admitted(limiters, callers, count, cost=1):
    """How many of `count` requests get through, spread over limiters and callers, all at once."""
    verdicts = await asyncio.gather(
        *(limiters[index % len(limiters)].charge(callers[index % len(callers)], cost) for index in range(count))
    )
    return sum(verdict.admitted for verdict in verdicts)


async def test_several_processes_on_one_bucket_admit_its_capacity_and_not_one_more(limiter, slow_tier):
    caller = caller_of(uuid4())
    async with limiter() as one, limiter() as other, limiter() as third:
        through = await admitted([one, other, third], [caller], 300)

        assert all(each.is_shared for each in (one, other, third))
    assert through == slow_tier.key.capacity


async def test_keys_of_a_partner_share_its_bucket(limiter, slow_tier):
    tenant = uuid4()
    async with limiter() as one, limiter() as other:
        through = await admitted([one, other], [caller_of(tenant) for _ in range(5)], 500)

    assert through == slow_tier.partner.capacity


async def test_at_a_full_rate_no_more_gets_through_than_capacity_and_rate_times_time(limiter, monkeypatch):
    tier = Tier(Rate(1_000, 5_000), Rate(50, 700), at_once=10, monthly_cost=1)
    monkeypatch.setattr(caller_module, "TIERS", {TierName.STANDARD: tier})
    caller = caller_of(uuid4())
    async with limiter() as one, limiter() as other, limiter() as third:
        began = time.monotonic()
        through = 0
        for _ in range(30):
            through += await admitted([one, other, third], [caller], 60)
        took_s = time.monotonic() - began

    assert tier.key.capacity <= through <= tier.key.capacity + tier.key.points * took_s + 1


async def test_those_who_arrive_while_a_call_is_under_way_share_the_next_one(limiter):
    callers = [caller_of(uuid4()) for _ in range(10)]
    async with limiter() as one:
        one._buckets.calls.clear()
        through = await admitted([one], callers, 200)

        assert through == 200
        assert len(one._buckets.calls) <= 2


async def test_one_alone_does_not_wait_for_company(limiter):
    async with limiter() as one:
        await one.charge(caller_of(uuid4()), 10)

        assert one._buckets.calls == [1]


async def test_without_redis_each_process_gives_a_part_of_the_rate(slow_tier):
    key, _ = own_part(slow_tier)
    now_s = 1_000.0
    async with Limiter(RedisBuckets(NOWHERE), lambda: now_s, now) as alone:
        caller = caller_of(uuid4())
        assert await admitted([alone], [caller], 200) == key.capacity

        now_s += 3600 * LOCAL_PART / slow_tier.key.points
        assert await admitted([alone], [caller], 200) == 1
        assert not alone.is_shared
    assert key.points / key.every_s == slow_tier.key.points / slow_tier.key.every_s / LOCAL_PART


async def test_a_redis_that_hangs_holds_nobody_up_and_is_used_again_when_it_answers(limiter):
    caller = caller_of(uuid4())
    async with limiter(deadline_s=0.01) as one, asyncio.timeout(PATIENCE_S):
        while not one.is_shared:  # noqa: ASYNC110  (nothing announces it)
            await asyncio.sleep(0.001)
        buckets = one._buckets
        buckets.may_answer.clear()

        first, second = await one.charge(caller, 10), await one.charge(caller, 10)

        assert first.admitted and second.admitted
        assert not one.is_shared
        buckets.may_answer.set()
        while not one.is_shared:  # noqa: ASYNC110  (nothing announces it)
            await asyncio.sleep(0.001)


async def test_a_redis_that_goes_away_stops_nobody_and_is_found_again(redis_server, limiter):
    caller = caller_of(uuid4())
    async with limiter() as one, asyncio.timeout(PATIENCE_S):
        assert one.is_shared

        redis_server.stop()
        verdicts = [await one.charge(caller, 10) for _ in range(5)]

        assert all(verdict.admitted for verdict in verdicts)
        assert not one.is_shared
        redis_server.start()
        while not one.is_shared:  # noqa: ASYNC110  (nothing announces it)
            await asyncio.sleep(0.01)
        assert (await one.charge(caller, 10)).admitted


async def test_a_mistake_of_ours_in_the_call_lets_nobody_hang(limiter, monkeypatch):
    caller = caller_of(uuid4())
    async with limiter() as one, asyncio.timeout(PATIENCE_S):

        async def broken(*_):
            raise ValueError("a bug")

        monkeypatch.setattr(one._buckets, "charge", broken)

        assert (await one.charge(caller, 10)).admitted


async def test_who_is_refused_is_told_when_it_fits(slow_tier, limiter):
    caller = caller_of(uuid4())
    async with limiter() as one:
        await one.charge(caller, 40)

        verdict = await one.charge(caller, 3)

    assert not verdict.admitted
    assert 3_500_000 < verdict.retry_after_ms <= 3_600_000
    assert verdict.tightest[1] == slow_tier.key


async def test_stopping_in_the_middle_of_anything_ends(limiter):
    for turns in range(30):
        async with asyncio.timeout(PATIENCE_S), limiter() as one:
            waiting = asyncio.ensure_future(one.charge(caller_of(uuid4()), 1))
            for _ in range(turns):
                await asyncio.sleep(0)
        assert (await waiting).admitted


def test_the_dearest_operation_that_a_tier_allows_fits_a_process_of_its_own_too(slow_tier):
    key, _ = own_part(Tier(Rate(4_000, 1), Rate(2_000, 1), at_once=1, monthly_cost=1))

    assert key.capacity == 2_000
    assert key.unit == LOCAL_PART * MICRO
