"""Usage is written down exactly once, wherever a worker dies."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
import redis.asyncio

from domain.tier import TIERS, TierName
from domain.usage import Counter, Figures, Grouping, Line
from gateway.usage import UsageBooks
from persistence.buckets import Ask, RedisBuckets
from persistence.counters import EPOCH, RedisCounters, counter_name, counters_of
from persistence.usage import DRAINS_KEPT, report_usage

TIER = TIERS[TierName.ENTERPRISE]


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


@pytest.fixture
async def counters(redis_server):
    made = RedisCounters(redis_server.url)
    yield made
    await made.close()


@pytest.fixture
def books(database, watch, here, counters):
    return UsageBooks(database, watch, here.world, counters)


@pytest.fixture
def reported(database, tenant):
    """What the books say, over all time."""

    async def report(grouping: Grouping = Grouping.KEY) -> list[Line]:
        async with database.tenant(tenant) as tx:
            return await report_usage(tx, tenant, EPOCH, date(2999, 1, 1), grouping)

    return report


async def use(buckets: RedisBuckets, tenant: UUID, key: UUID, times: int = 1) -> None:
    """Requests of 10 points each."""
    taken = await buckets.charge([Ask(tenant, key, TIER, 10)] * times)
    assert all(each.admitted for each in taken)


async def test_what_is_charged_is_counted_by_key_and_written_down(buckets, books, reported, tenant):
    one, other = sorted(uuid4() for _ in range(2))
    await use(buckets, tenant, one, 3)
    await use(buckets, tenant, other)

    assert await books.run_once() == 1
    await use(buckets, tenant, one)
    assert await books.run_once() == 1
    assert await books.run_once() == 0

    assert await reported() == [Line(None, one, Figures(4, 40)), Line(None, other, Figures(1, 10))]


async def test_an_event_of_a_stream_is_counted_as_one_and_not_as_a_request(buckets, books, reported, tenant):
    key = uuid4()
    await buckets.charge([Ask(tenant, key, TIER, 1, Counter.EVENTS)] * 3)

    await books.run_once()

    assert await reported() == [Line(None, key, Figures(cost=3, events=3))]


async def test_what_is_refused_or_only_looked_at_is_not_counted(buckets, client, tenant):
    await buckets.charge([Ask(tenant, uuid4(), TIER, 0), Ask(tenant, uuid4(), TIERS[TierName.TRIAL], 2_001)])

    assert await client.exists(counters_of(tenant)) == 0


async def test_the_day_of_a_request_is_redis_clock_s(buckets, books, reported, client, tenant):
    before = await client.time()
    await use(buckets, tenant, uuid4())
    after = await client.time()

    await books.run_once()

    (line,) = await reported(Grouping.DAY)
    assert before[0] // 86400 <= (line.since - EPOCH).days <= after[0] // 86400


async def test_notes_are_added_to_the_day_and_key_that_they_name(buckets, books, reported, here, tenant):
    key = uuid4()
    names = {counter_name(here.time, key, each): count for each, count in ((Counter.ERRORS, 2), (Counter.PAYMENTS, 5))}

    await buckets.charge([], {tenant: names})
    await books.run_once()

    assert await reported(Grouping.DAY) == [Line(here.time.date(), None, Figures(errors=2, payments=5))]
    assert await reported(Grouping.MONTH) == [Line(here.time.date().replace(day=1), None, Figures(errors=2, payments=5))]


async def test_a_worker_that_dies_before_it_writes_loses_nothing(buckets, counters, books, reported, tenant):
    key = uuid4()
    await use(buckets, tenant, key)
    await counters.take(tenant, uuid4())  # and here it dies
    await use(buckets, tenant, key)

    await books.run_once()
    await books.run_once()

    assert await reported() == [Line(None, key, Figures(2, 20))]


async def test_a_worker_that_dies_after_it_wrote_adds_nothing_twice(buckets, counters, books, reported, monkeypatch, tenant):
    key = uuid4()
    await use(buckets, tenant, key)

    async def die(*_):
        raise RuntimeError("killed")

    monkeypatch.setattr(counters, "drop", die)
    with pytest.raises(RuntimeError):
        await books.drain(tenant)
    monkeypatch.undo()
    await use(buckets, tenant, key)

    await books.run_once()
    await books.run_once()

    assert await reported() == [Line(None, key, Figures(2, 20))]


async def test_a_worker_that_wakes_up_late_adds_and_deletes_nothing(buckets, counters, books, reported, database, here, tenant):
    """It has read the counters, and meanwhile another one has written them down and taken the next."""
    key = uuid4()
    await use(buckets, tenant, key)
    late = await counters.take(tenant, uuid4())
    await books.drain(tenant)
    await use(buckets, tenant, key)
    newer = await counters.take(tenant, uuid4())

    monkeypatched = UsageBooks(database, database, here.world, _Handing(counters, late))
    await monkeypatched.drain(tenant)

    assert late.id != newer.id
    assert await counters.take(tenant, uuid4()) == newer
    await books.drain(tenant)
    assert await reported() == [Line(None, key, Figures(2, 20))]


class _Handing:
    """Counters as a worker read them a while ago."""

    def __init__(self, counters, drain):
        self._counters, self._drain = counters, drain
        self.drop = counters.drop

    async def take(self, *_):
        return self._drain


async def test_ids_of_old_drains_are_forgotten(buckets, books, database, here, tenant):
    await use(buckets, tenant, uuid4())
    await books.run_once()
    here.pass_by((DRAINS_KEPT + timedelta(seconds=1)).total_seconds())
    await use(buckets, tenant, uuid4())
    await books.run_once()

    async with database.tenant(tenant) as tx:
        assert len((await tx.exec_driver_sql("select id from usage_drains")).all()) == 1


async def test_without_redis_the_round_waits_for_the_next_time(database, watch, here, tenant):
    away = RedisCounters("redis://127.0.0.1:1/0")

    assert await UsageBooks(database, watch, here.world, away).run_once() == 0

    await away.close()
