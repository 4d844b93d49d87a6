"""Quotas warn at 80 and at 100 percent of a month's cost, and stop nobody."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.quota import LOOK_EVERY_S, Quotas
from domain.tier import TIERS, TierName
from domain.usage import Figures, Used, quota_reached
from persistence.database import Database
from persistence.usage import add_usage
from tests.app.serving import Api
from tests.app.test_limiter import caller_of

QUOTA = TIERS[TierName.STANDARD].monthly_cost


@pytest.mark.parametrize(("used", "mark"), [(0, None), (799, None), (800, 80), (999, 80), (1000, 100), (5000, 100)])
def test_the_marks_are_reached_to_the_point(used: int, mark: int | None) -> None:
    assert quota_reached(used, 1000) == mark


@pytest.fixture
def spend(database: Database, here: Any, tenant: Any) -> Any:
    """Writes usage of a day into the books."""

    async def spend(points: int, at: datetime) -> None:
        async with database.tenant(tenant) as tx:
            await add_usage(tx, tenant, uuid4(), [Used(at.date(), uuid4(), Figures(requests=1, cost=points))], here.time)

    return spend


async def test_a_warning_comes_from_this_months_books_and_is_looked_for_once_a_minute(
    database: Database, here: Any, tenant: Any, spend: Any
) -> None:
    clock, caller = [0.0], caller_of(tenant)
    quotas = Quotas(database, lambda: here.time, lambda: clock[0])
    await spend(QUOTA, here.time.replace(day=1) - timedelta(days=1))  # last month's
    await spend(QUOTA * 8 // 10, here.time.replace(day=1))

    assert quotas.warnings(caller) == []  # nobody waits for the first look
    await quotas.settled()
    (warning,) = quotas.warnings(caller)
    await spend(QUOTA // 5, here.time)
    clock[0] += LOOK_EVERY_S - 1
    assert quotas.warnings(caller) == [warning]
    clock[0] += 1
    quotas.warnings(caller)
    await quotas.settled()

    assert (warning["type"], warning["percent"], warning["used"], warning["quota"]) == ("QUOTA", 80, QUOTA * 8 // 10, QUOTA)
    assert [each["percent"] for each in quotas.warnings(caller)] == [100]


async def test_a_database_that_is_away_costs_a_warning_and_nothing_else(here: Any) -> None:
    away = Database("postgresql://a:b@127.0.0.1:1/nothing")
    quotas = Quotas(away, lambda: here.time, lambda: 0.0)

    quotas.warnings(caller_of(uuid4()))
    await quotas.settled()

    assert quotas.warnings(caller_of(uuid4())) == []
    await quotas.settled()
    await away.close()


async def test_an_answer_has_the_warning_and_the_data(api: Api, here: Any, spend: Any) -> None:
    await spend(TIERS[TierName.ENTERPRISE].monthly_cost, here.time)
    body = {"query": "{ viewer { apiKey { id } } }"}
    await api.post(body)
    await api.app.state.quotas.settled()

    answer = (await api.post(body)).json()

    assert answer["data"]["viewer"]["apiKey"]["id"]
    assert [(each["type"], each["percent"]) for each in answer["extensions"]["warnings"]] == [("QUOTA", 100)]
