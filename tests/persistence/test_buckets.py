"""Token buckets on a real Redis: the script does what the rules say, and Redis's clock decides."""

import asyncio
from uuid import uuid4

import pytest
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from domain.tier import MICRO, TIERS, Rate, Tier, TierName
from domain.token_bucket import FULL, Wanted, charge
from persistence.buckets import CHARGE, Ask, RedisBuckets

START_US = 1_800_000_000 * MICRO
LATEST_US = 2**52  # in 2112: Lua's numbers are exact to twice that
# The script with a clock that the test sets, and which tells when it would forget a bucket instead of forgetting it.
UNDER_CONTROL = CHARGE.replace("redis.call('TIME')", "redis.call('HMGET', 'clock', 's', 'us')").replace(
    "redis.call('PEXPIRE', bucket.name,", "redis.call('SET', bucket.name .. ':forgotten',"
)
RATES = some.one_of(
    some.builds(
        Rate, capacity=some.integers(1, 5_000), points=some.integers(1, 5_000), every_s=some.sampled_from([1, 7, 60, 3600])
    ),
    some.sampled_from([rate for tier in TIERS.values() for rate in (tier.key, tier.partner)]),
)
STEPS = some.lists(
    some.tuples(
        some.integers(-MICRO, 5 * MICRO) | some.just(10**15),  # time passes, is put back, or years go by
        some.lists(some.tuples(some.integers(0, 2), some.integers(0, 60) | some.integers(0, 5_000)), min_size=1, max_size=5),
    ),
    max_size=12,
)


@pytest.fixture
async def client(redis_server):
    async with redis.asyncio.Redis.from_url(redis_server.url, decode_responses=True) as made:
        yield made


@pytest.fixture
async def buckets(redis_server):
    made = RedisBuckets(redis_server.url)
    await made.connect()
    yield made
    await made.close()


def test_the_test_controls_what_it_means_to_control():
    assert "'TIME'" not in UNDER_CONTROL
    assert "PEXPIRE" not in UNDER_CONTROL


async def test_the_script_does_what_the_rules_say(redis_server, client):
    loop = asyncio.get_running_loop()
    buckets = RedisBuckets(redis_server.url, UNDER_CONTROL)
    await buckets.connect()

    async def play(of_key, of_partner, steps):
        tenant, keys, tier = uuid4(), [uuid4() for _ in range(3)], Tier(of_partner, of_key, at_once=1, monthly_cost=1)
        partner, each, now_us = FULL, [FULL] * 3, START_US
        for passed_us, asks in steps:
            now_us = min(max(START_US - MICRO, now_us + passed_us), LATEST_US)
            await client.hset("clock", mapping={"s": now_us // MICRO, "us": now_us % MICRO})
            expected = []
            for key, cost in asks:
                charged = charge(cost, [Wanted(each[key], of_key), Wanted(partner, of_partner)], now_us)
                expected.append((charged.admitted, *(bucket.missing for bucket in charged.buckets)))
                if charged.admitted and cost:  # who only looks leaves nothing behind
                    each[key], partner = charged.buckets

            taken = await buckets.charge([Ask(tenant, keys[key], tier, cost) for key, cost in asks])

            assert taken == expected, (of_key, of_partner, steps)

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(RATES, RATES, STEPS)
    def check(of_key, of_partner, steps):
        asyncio.run_coroutine_threadsafe(play(of_key, of_partner, steps), loop).result(timeout=60)

    try:
        await asyncio.to_thread(check)
    finally:
        await buckets.close()


async def test_the_servers_clock_decides(buckets, client):
    """The bucket says when it was last filled, by Redis's clock and nobody else's."""
    ask = Ask(uuid4(), uuid4(), TIERS[TierName.TRIAL], 10)
    before = await client.time()

    await buckets.charge([ask])

    after = await client.time()
    at = int(await client.hget(f"limit:{{{ask.tenant_id}}}:partner:1", "at"))
    assert before[0] * MICRO + before[1] <= at <= after[0] * MICRO + after[1]


async def test_a_bucket_is_forgotten_when_it_is_full_and_not_before(buckets, client):
    rate = Rate(100, 1, every_s=60)
    ask = Ask(uuid4(), uuid4(), Tier(rate, rate, at_once=1, monthly_cost=1), 10)

    await buckets.charge([ask])

    names = await client.keys(f"limit:{{{ask.tenant_id}}}:*")
    assert len(names) == 2
    for name in names:
        left_ms = await client.pttl(name)
        assert 590_000 < left_ms <= 600_002


async def test_requests_of_several_partners_share_a_call_and_nothing_else(buckets):
    tier = TIERS[TierName.TRIAL]
    one, other = (Ask(uuid4(), uuid4(), tier, 1_500) for _ in range(2))

    taken = await buckets.charge([one, other, one, other._replace(cost=10)])

    assert [each.admitted for each in taken] == [True, True, False, True]


async def test_looking_takes_nothing_and_leaves_nothing(buckets, client):
    ask = Ask(uuid4(), uuid4(), TIERS[TierName.TRIAL], 0)

    (taken,) = await buckets.charge([ask])

    assert taken == (True, 0, 0)
    assert await client.keys(f"limit:{{{ask.tenant_id}}}:*") == []


async def test_a_redis_that_forgot_the_script_is_told_it_again(buckets, client):
    await client.script_flush()

    (taken,) = await buckets.charge([Ask(uuid4(), uuid4(), TIERS[TierName.TRIAL], 10)])

    assert taken.admitted
