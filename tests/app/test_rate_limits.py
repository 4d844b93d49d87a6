"""Limits at the endpoint: each answer says what it cost, and whoever has used up his rate is told so before anything is done."""

import asyncio
from typing import Any

import pytest

from app import limits as limits_module
from domain import caller as caller_module
from domain.tier import Rate, Tier, TierName
from persistence import database as database_module
from tests.app.serving import Api, mutation

VIEWER = {"query": "{ viewer { apiKey { id } } }"}
PAGE = {"query": "{ payments(first: 100) { nodes { id } } }"}
ROOM = Rate(10**6, 1, every_s=3600)  # next to nothing comes back during a test


@pytest.fixture
def tier(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what the test's partner may do."""

    def set_to(key: Rate = ROOM, partner: Rate = ROOM, at_once: int = 100) -> None:
        monkeypatch.setattr(caller_module, "TIERS", {TierName.ENTERPRISE: Tier(partner, key, at_once, 1)})

    return set_to


async def wishes_kept(api: Api) -> int:
    return len((await api.ask("{ payments { nodes { id } } }"))["payments"]["nodes"])


async def test_every_answer_says_what_it_cost_and_what_is_left(api: Api, tier: Any) -> None:
    tier(key=Rate(1_000, 1, every_s=900), partner=Rate(4_000, 1, every_s=900))

    first, second = await api.post(VIEWER), await api.post(PAGE)

    numbers = {"limit": 1_000, "restoreRate": 1 / 3600, "retryAfterMs": None}  # a quarter: without Redis
    assert first.json()["extensions"]["cost"] == {"requested": 1, "remaining": 999, **numbers}
    assert second.json()["extensions"]["cost"] == {"requested": 101, "remaining": 898, **numbers}
    assert second.headers["ratelimit-policy"] == '"key";q=1000;w=3600000;qu="points", "partner";q=4000;w=14400000;qu="points"'
    key, partner = second.headers["ratelimit"].split(", ")
    assert key.startswith('"key";r=898;t=36') and partner.startswith('"partner";r=3898;t=36')


@pytest.mark.parametrize("body", [{"query": "{"}, {"query": "{ nothing }"}, {"query": "query A { a } query B { b }"}])
async def test_what_cannot_be_executed_costs_the_least(api: Api, body: Any) -> None:
    assert (await api.post(body)).json()["extensions"]["cost"]["requested"] == 1


async def test_over_the_limit_nothing_is_done_and_the_key_is_not_used_up(api: Api, tier: Any) -> None:
    body = {"query": mutation("authorizePayment"), "variables": {"input": api.wish()}}
    tier(key=Rate(10, 1, every_s=900))
    await api.post(VIEWER)

    refused = await api.post(body)

    (error,) = refused.json()["errors"]
    assert refused.status_code == 429
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 0 < error["extensions"]["retryAfterMs"] <= 3_600_000
    assert refused.json()["extensions"]["cost"]["retryAfterMs"] == error["extensions"]["retryAfterMs"]
    assert refused.json()["extensions"]["cost"]["remaining"] == 9
    assert int(refused.headers["retry-after"]) == -(-error["extensions"]["retryAfterMs"] // 1000)
    assert "data" not in refused.json()
    tier()
    done = (await api.post(body)).json()["data"]["authorizePayment"]
    assert (done["__typename"], done["replayed"]) == ("PaymentPayload", False)


async def test_a_partners_keys_share_its_rate(api: Api, tier: Any, make_key: Any) -> None:
    other = api.as_somebody(api.tenant, await make_key(api.tenant))
    tier(partner=Rate(2, 1, every_s=3600))

    statuses = [(await each.post(VIEWER)).status_code for each in (api, other, api, other)]

    assert statuses == [200, 200, 429, 429]


async def test_another_partner_has_a_rate_of_its_own(api: Api, tier: Any, other_tenant: Any, make_key: Any) -> None:
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    tier(partner=Rate(1, 1, every_s=3600))
    await api.post(VIEWER)

    assert (await api.post(VIEWER)).status_code == 429
    assert (await other.post(VIEWER)).status_code == 200


@pytest.mark.parametrize("capacity", [10**6, 50])
async def test_what_no_bucket_could_hold_is_refused_and_costs_nothing(api: Api, tier: Any, capacity: int) -> None:
    tier(key=Rate(capacity, 1, every_s=3600))
    pages = " ".join(f"a{index}: payments(first: 100) {{ nodes {{ id }} }}" for index in range(50))

    refused = await api.post({"query": f"{{ {pages} }}"})

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["extensions"]["code"] == "COST_EXCEEDED"
    assert refused.json()["extensions"]["cost"]["remaining"] == capacity // (4 if capacity > 5_000 else 1)


async def test_a_dry_run_tells_the_cost_and_does_nothing(api: Api, tier: Any, bank_line: Any) -> None:
    tier(key=Rate(1_000, 1, every_s=900))
    body = {"query": mutation("authorizePayment"), "variables": {"input": api.wish()}}

    answer = await api.post({**body, "extensions": {"dryRun": True}})

    assert answer.status_code == 200
    assert answer.json()["data"] is None
    assert "errors" not in answer.json()
    assert answer.json()["extensions"]["cost"]["requested"] == 10
    assert answer.json()["extensions"]["cost"]["remaining"] == 1_000
    assert bank_line.requests == 0
    assert await wishes_kept(api) == 0


async def test_a_dry_run_of_what_cannot_run_says_why(api: Api) -> None:
    answer = await api.post({"query": "{ nothing }", "extensions": {"dryRun": True}})

    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


@pytest.mark.parametrize("wrong", ["yes", 1, None, {}])
async def test_a_dry_run_that_is_neither_yes_nor_no_runs_nothing(api: Api, wrong: Any) -> None:
    answer = await api.post({**VIEWER, "extensions": {"dryRun": wrong}})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_more_requests_at_once_than_there_are_places_are_told_so(api: Api, tier: Any) -> None:
    tier(at_once=3)

    answers = await asyncio.gather(*(api.post(VIEWER) for _ in range(10)))

    statuses = [each.status_code for each in answers]
    refused = next(each for each in answers if each.status_code == 429)
    assert statuses.count(200) >= 3 and statuses.count(429) >= 1
    assert refused.json()["errors"][0]["extensions"] == {"code": "TOO_MANY_AT_ONCE", "retryAfterMs": 1000}
    assert refused.headers["retry-after"] == "1"


async def test_a_place_is_given_back_however_a_request_ends(api: Api, tier: Any) -> None:
    tier(at_once=1)

    for body in (VIEWER, b"no JSON", {"query": "{"}, {"query": "subscription { x }"}, VIEWER):
        assert (await api.post(body)).status_code != 429


async def test_a_busy_database_is_left_to_payments(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries are refused, unless the mutation is refused too: then there are far too many."""
    await api.post(VIEWER)
    monkeypatch.setattr(database_module.Database, "is_busy", property(lambda _: True))

    refused, payment = await api.post(VIEWER), await api.authorize()

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == str(limits_module.BUSY_RETRY_S)
    assert refused.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert payment["__typename"] == "PaymentPayload"
