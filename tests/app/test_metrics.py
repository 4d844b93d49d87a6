"""What Prometheus is told: how requests came out, what they cost, and in which mode the limits are. Never who asked."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.app.serving import Api

VIEWER = {"query": "{ viewer { apiKey { id } } }"}


async def figures(api: Api) -> dict[str, float]:
    """Every figure, by its name and its label's value."""
    response = await api.http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        " ".join([sample.name.removeprefix("partner_api_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_requests_and_their_cost_are_counted(api: Api) -> None:
    await api.post(VIEWER)
    await api.payment()
    await api.post(b"no JSON")
    await api.post(VIEWER, Authorization="Bearer nobody")
    await api.post({**VIEWER, "extensions": {"dryRun": True}})

    seen = await figures(api)

    assert seen["requests_total answered"] == 3
    assert seen["requests_total refused"] == 1
    assert seen["requests_total not_let_in"] == 1
    assert seen["cost_points_total"] == 11
    assert seen["requests_under_way"] == 0


async def test_what_is_turned_away_says_why(api: Api) -> None:
    pages = " ".join(f"a{index}: payments(first: 100) {{ nodes {{ id }} }}" for index in range(50))

    await api.post({"query": f"{{ {pages} }}"})

    assert (await figures(api))["turned_away_total COST_EXCEEDED"] == 1


async def test_without_redis_the_limits_say_so(api: Api) -> None:
    await api.post(VIEWER)

    seen = await figures(api)

    assert seen["limits_shared"] == 0
    assert (seen["limiter_own_charges_total"], seen["limiter_shared_charges_total"]) == (1, 0)


async def test_the_state_of_the_bank_and_the_database_is_told(api: Api) -> None:
    seen = await figures(api)

    assert seen["bank_breaker live"] == 0
    assert seen["database_line"] == 0


async def test_no_figure_tells_who_asked(api: Api, here: Any) -> None:
    await api.payment()

    text = (await api.http.get("/metrics")).text

    assert str(api.tenant) not in text
    assert api.key[8:] not in text
    assert "customer" not in text
