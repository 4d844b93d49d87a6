"""Who is asking: what a program needs to know of itself before it begins."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.scope import ALL_SCOPES, Scope
from domain.tier import TIERS, TierName
from tests.app.serving import Api

VIEWER = """
{
  viewer {
    mode scopes tier { name maxRequestsAtOnce monthlyCost } rateLimit { limit remaining restoreRate }
    partner { name } apiKey { scopes }
  }
}
"""
USED = "{ viewer { mode usage { requests payments } } }"


async def test_a_viewer_is_told_what_it_may_do_and_use(api: Api) -> None:
    viewer = (await api.ask(VIEWER))["viewer"]

    tier = TIERS[TierName.ENTERPRISE]
    assert viewer["mode"] == "LIVE"
    assert set(viewer["scopes"]) == set(viewer["apiKey"]["scopes"]) == {scope.name for scope in ALL_SCOPES}
    assert viewer["tier"] == {"name": "ENTERPRISE", "maxRequestsAtOnce": tier.at_once, "monthlyCost": tier.monthly_cost}


async def test_the_rate_limit_is_that_of_the_answers_cost(api: Api) -> None:
    answer = (await api.post({"query": VIEWER})).json()

    cost, limit = answer["extensions"]["cost"], answer["data"]["viewer"]["rateLimit"]
    assert limit["limit"] == cost["limit"]
    assert limit["restoreRate"] == cost["restoreRate"]
    assert cost["remaining"] <= limit["remaining"] <= limit["limit"]


async def test_usage_needs_its_scope_and_takes_nothing_else_away(api: Api, make_key: Callable[..., Awaitable[str]]) -> None:
    without = api.as_somebody(api.tenant, await make_key(api.tenant, scopes=frozenset({Scope.PAYMENTS_READ})))

    refused = (await without.post({"query": USED})).json()
    allowed = await api.ask(USED)

    assert refused["data"] == {"viewer": {"mode": "LIVE", "usage": None}}
    assert refused["errors"][0]["extensions"] == {"code": "FORBIDDEN", "scope": "usage:read"}
    assert set(allowed["viewer"]["usage"]) == {"requests", "payments"}


@pytest.mark.parametrize("field", ["mode", "scopes", "tier { name }"])
async def test_what_is_known_anyway_costs_the_least(api: Api, field: str) -> None:
    answer: Any = (await api.post({"query": f"{{ viewer {{ {field} }} }}"})).json()

    assert answer["extensions"]["cost"]["requested"] == 1
