"""What was used, as a partner is told: what he asked for, counted before it was answered."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.ids import IdKind, decode_id_of
from gateway.usage import UsageBooks
from persistence.counters import RedisCounters
from persistence.database import Database
from tests.app.serving import Api, BankLine, mutation, serving, settings_for

USAGE = """
query ($from: Date!, $to: Date!, $by: UsageGrouping! = DAY) {
  usage(from: $from, to: $to, groupBy: $by) {
    lines { since apiKeyId figures { ...All } } total { ...All }
  }
}
fragment All on UsageFigures { requests cost errors payments events }
"""
NOTHING = {"requests": 0, "cost": 0, "errors": 0, "payments": 0, "events": 0}


@pytest.fixture
async def counted(
    redis_server: Any,
    database_urls: Any,
    here: Any,
    bank_line: BankLine,
    tenant: UUID,
    make_key: Callable[[UUID], Awaitable[str]],
) -> AsyncIterator[Api]:
    """An API with a Redis, in today's time."""
    here.time = datetime.now(UTC)
    async with serving(settings_for(database_urls.app, redis_url=redis_server.url), here.world, bank_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


@pytest.fixture
def written_down(
    redis_server: Any, database: Database, watch: Database, here: Any, counted: Api
) -> Callable[[], Awaitable[None]]:
    """All that was counted so far is in the books."""

    async def write_down() -> None:
        await counted.app.state.limiter.flush()
        counters = RedisCounters(redis_server.url)
        await UsageBooks(database, watch, here.world, counters).run_once()
        await counters.close()

    return write_down


def days(here: Any, before: int = 2, after: int = 2) -> dict[str, str]:
    return {
        "from": (here.time - timedelta(days=before)).date().isoformat(),
        "to": (here.time + timedelta(days=after)).date().isoformat(),
    }


async def test_requests_their_cost_errors_and_payments_are_told(counted: Api, written_down: Any, here: Any) -> None:
    wish = {"query": mutation("authorizePayment"), "variables": {"input": counted.wish()}}
    await counted.post(wish)
    await counted.post(wish)
    await counted.post({"query": "{ nothing }"})
    await counted.post({**wish, "extensions": {"dryRun": True}})
    await written_down()

    usage = (await counted.ask(USAGE, **days(here)))["usage"]

    assert usage["total"] == {"requests": 3, "cost": 21, "errors": 1, "payments": 1, "events": 0}
    assert all(line["apiKeyId"] is None for line in usage["lines"])


async def test_usage_is_told_by_key(
    counted: Api, written_down: Any, here: Any, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    other = counted.as_somebody(counted.tenant, await make_key(counted.tenant))
    await counted.payment()
    ids = [(await each.ask("{ viewer { apiKey { id } } }"))["viewer"]["apiKey"]["id"] for each in (counted, other)]
    await written_down()

    usage = (await counted.ask(USAGE, **days(here), by="KEY"))["usage"]

    expected = {ids[0]: NOTHING | {"requests": 2, "cost": 11, "payments": 1}, ids[1]: NOTHING | {"requests": 1, "cost": 1}}
    assert {line["apiKeyId"]: line["figures"] for line in usage["lines"]} == expected
    assert all(decode_id_of(IdKind.API_KEY, each) for each in ids)


async def test_another_partners_usage_is_not_told(
    counted: Api, written_down: Any, here: Any, other_tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    await counted.payment()
    await written_down()
    other = counted.as_somebody(other_tenant, await make_key(other_tenant))

    usage = (await other.ask(USAGE, **days(here)))["usage"]

    assert usage == {"lines": [], "total": NOTHING}


@pytest.mark.parametrize(("before", "after", "reason"), [(1, -2, "before `from`"), (183, 183, "at most 366 days")])
async def test_days_that_cannot_be_are_refused(counted: Api, here: Any, before: int, after: int, reason: str) -> None:
    (error,) = await counted.errors(USAGE, **days(here, before, after))

    assert reason in error["message"]
    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["to"]}


async def test_a_year_of_366_days_is_told(counted: Api, here: Any) -> None:
    assert (await counted.ask(USAGE, **days(here, 183, 182)))["usage"]["total"] == NOTHING
