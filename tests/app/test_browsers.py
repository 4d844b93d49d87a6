"""Browsers: queries by GET, the explorer, and dashboards of other origins."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.app.serving import Api, mutation

RESPONSE_JSON, JSON = "application/graphql-response+json", "application/json"
VIEWER = "{ viewer { partner { name } } }"
AUTHORIZE = mutation("authorizePayment")


def get(api: Api, query: str, **parameters: str) -> Any:
    """A GET, as a browser's or a cache's."""
    address = "/graphql?" + "&".join(f"{name}={quote(value)}" for name, value in {"query": query, **parameters}.items())
    return api.http.get(address, headers=api.authorization)


async def test_a_query_can_be_asked_by_get(api: Api) -> None:
    document = "query A { viewer { apiKey { id } } } query B($id: ID!) { node(id: $id) { __typename } }"

    response = await get(api, document, operationName="B", variables='{"id": "pay_0"}', extensions="{}")

    assert response.status_code == 200
    assert response.json()["data"] == {"node": None}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_mutation_cannot(api: Api, bank_line: Any, method: str) -> None:
    """A link must not move money."""
    address = f"/graphql?query={quote(AUTHORIZE)}&variables={quote(json.dumps({'input': api.wish()}))}"

    response = await api.http.request(method, address, headers=api.authorization)

    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert method == "HEAD" or response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    assert bank_line.requests == 0


async def test_a_mutation_in_the_body_of_a_head_request_is_not_done(api: Api, bank_line: Any) -> None:
    body = json.dumps({"query": AUTHORIZE, "variables": {"input": api.wish()}})

    response = await api.http.request("HEAD", "/graphql", content=body, headers={"Content-Type": JSON, **api.authorization})

    assert response.status_code == 400
    assert bank_line.requests == 0


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "query=",
        f"query={quote(VIEWER)}&variables=x",
        f"query={quote(VIEWER)}&variables=[1]",
        f"query={quote(VIEWER)}&variables=%22x%22",
        f"query={quote(VIEWER)}&extensions=x",
        f"query={quote(VIEWER)}&extensions=1",
        f"query={quote(VIEWER)}&variables=%FF",
    ],
)
async def test_a_get_that_is_no_request_is_a_400(api: Api, parameters: str) -> None:
    response = await api.http.get(f"/graphql?{parameters}", headers={"Accept": RESPONSE_JSON, **api.authorization})

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_browser_gets_the_explorer_without_a_key(api: Api) -> None:
    response = await api.http.get("/graphql", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "graphiql" in response.text.lower()


async def test_a_browser_that_asks_a_query_gets_its_answer(api: Api) -> None:
    headers = {"Accept": "text/html, application/json", **api.authorization}

    response = await api.http.get(f"/graphql?query={quote(VIEWER)}", headers=headers)

    assert response.json()["data"]


async def test_the_root_leads_to_the_explorer(api: Api) -> None:
    response = await api.http.get("/")

    assert response.headers["location"] == "/graphql"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_another_method_is_a_405(api: Api, method: str) -> None:
    response = await api.http.request(method, "/graphql", headers=api.authorization)

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) >= {"GET", "POST"}


async def test_a_dashboard_of_another_origin_may_ask(api: Api) -> None:
    origin = {"Origin": "https://dashboard.example"}

    preflight = await api.http.options(
        "/graphql",
        headers={
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    response = await api.post({"query": VIEWER}, **origin)
    refused = await api.post({"query": VIEWER}, Authorization="", **origin)

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert {"authorization", "content-type"} <= set(preflight.headers["access-control-allow-headers"].lower().split(", "))
    for each in (response, refused):
        assert each.headers["access-control-allow-origin"] == "*"
        assert each.headers["access-control-expose-headers"] == "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id"
        assert "access-control-allow-credentials" not in each.headers
