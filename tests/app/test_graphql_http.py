"""GraphQL over HTTP: media types, statuses, bodies, limits, and what goes wrong on either side."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from graphql import get_introspection_query
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import graphql
from app.graphql_http import MAX_BODY_BYTES
from gateway.gateway import Gateway, Overloaded
from tests.app.serving import Api, DatabaseLine, mutation, raw
from tests.domain.examples import card_numbers

RESPONSE_JSON, JSON = "application/graphql-response+json", "application/json"
VIEWER = "{ viewer { partner { name } } }"
LIST = "query ($a: PaymentFilter) { payments(filter: $a) { nodes { id } } }"
AUTHORIZE = mutation("authorizePayment")


def get(api: Api, query: str, **parameters: str) -> Any:
    """A GET, as a browser's or a cache's."""
    address = "/graphql?" + "&".join(f"{name}={quote(value)}" for name, value in {"query": query, **parameters}.items())
    return api.http.get(address, headers=api.authorization)


# --- What is asked and answered ---------------------------------------------------------------------------------------


async def test_a_query_is_answered(api: Api) -> None:
    response = await api.post({"query": VIEWER})

    assert response.status_code == 200
    assert response.json() == {"data": {"viewer": {"partner": {"name": "FicMart"}}}}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        ("APPLICATION/JSON", JSON),
        (RESPONSE_JSON, RESPONSE_JSON),
        (f"{RESPONSE_JSON};charset=utf-8", RESPONSE_JSON),
        (f"{RESPONSE_JSON}, {JSON};q=0.9", RESPONSE_JSON),
        (f"{JSON}, {RESPONSE_JSON}", JSON),
        (f"text/html, {RESPONSE_JSON}", RESPONSE_JSON),
        ("text/html, */*;q=0.1", JSON),
    ],
)
async def test_the_answers_media_type_is_the_first_that_both_speak(api: Api, accept: str, media_type: str) -> None:
    response = await api.post({"query": VIEWER}, Accept=accept)

    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/html", "image/png, text/plain", "application/xml"])
async def test_a_client_that_speaks_none_of_them_is_told_which_there_are(api: Api, accept: str) -> None:
    response = await api.post({"query": VIEWER}, Accept=accept)

    assert response.status_code == 406
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"
    assert RESPONSE_JSON in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "INVALID_INPUT"),
        ({"query": "{ nothing }"}, "INVALID_INPUT"),
        ({"query": "query ($id: ID!) { payment(id: $id) { id } }"}, "INVALID_INPUT"),
        ({"query": "query A { viewer { apiKey { id } } } query B { viewer { apiKey { id } } }"}, "INVALID_INPUT"),
    ],
    ids=["syntax", "validation", "variables", "operations"],
)
async def test_a_document_that_cannot_be_executed_is_a_400_except_for_old_clients(api: Api, body: Any, code: str) -> None:
    """`application/json` answers 200, because such clients take anything else for a broken connection."""
    new = await api.post(body, Accept=RESPONSE_JSON)
    old = await api.post(body, Accept=JSON)

    assert (new.status_code, old.status_code) == (400, 200)
    assert new.json() == old.json()
    assert list(new.json()) == ["errors"], "there is no data when nothing was executed"
    assert all(error["extensions"]["code"] == code for error in new.json()["errors"])


@pytest.mark.parametrize("media_type", [JSON, RESPONSE_JSON])
async def test_a_refused_argument_is_a_200_with_null_data_and_a_path(api: Api, media_type: str) -> None:
    response = await api.post({"query": "{ payments(first: 101) { nodes { id } } }"}, Accept=media_type)

    (error,) = response.json()["errors"]
    assert response.status_code == 200
    assert response.json()["data"] is None
    assert error["path"] == ["payments"]
    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["first"]}


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", 'Application/JSON; charset="UTF-8"', "application/json;"]
)
async def test_json_in_utf_8_is_taken(api: Api, content_type: str) -> None:
    response = await api.post({"query": VIEWER}, Content_Type=content_type)

    assert response.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=latin-1",
    ],
)
async def test_another_media_type_is_a_415(api: Api, content_type: str) -> None:
    """It also keeps forms of other origins out: a browser asks before it sends JSON."""
    response = await api.post({"query": VIEWER}, Content_Type=content_type)

    assert response.status_code == 415
    assert response.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


BAD_BODIES = {
    "empty": b"",
    "null": b"null",
    "text": b'"x"',
    "a number": b"1",
    "a batch of numbers": b"[1]",
    "an empty batch": b"[]",
    "a batch": b'[{"query": "{ __typename }"}, {"query": "{ __typename }"}]',
    "no query": b"{}",
    "null for a query": b'{"query": null}',
    "an empty query": b'{"query": ""}',
    "a number for a query": b'{"query": 1}',
    "an object for a query": b'{"query": {"a": 1}}',
    "invalid UTF-8": b'{"query": "\xff\xfe"}',
    "a lone surrogate": b'{"query": "{ __typename }", "variables": {"a": "\\ud800"}}',
    "UTF-16": '{"query": "{ __typename }"}'.encode("utf-16"),
    "very deep": b'{"query": "{ __typename }", "variables": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not JSON": b"query { __typename }",
    "half of it": b'{"query": "{ __type',
    "NaN": b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    "variables that are a list": b'{"query": "{ __typename }", "variables": [1]}',
    "variables that are text": b'{"query": "{ __typename }", "variables": "{}"}',
    "variables that are false": b'{"query": "{ __typename }", "variables": false}',
    "operationName that is a number": b'{"query": "{ __typename }", "operationName": 1}',
    "operationName that is a list": b'{"query": "{ __typename }", "operationName": []}',
    "extensions that are text": b'{"query": "{ __typename }", "extensions": "x"}',
    "extensions that are a list": b'{"query": "{ __typename }", "extensions": []}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
@pytest.mark.parametrize("media_type", [JSON, RESPONSE_JSON])
async def test_a_body_that_is_no_request_is_a_400_with_a_sentence(api: Api, body: bytes, media_type: str) -> None:
    response = await api.post(body, Accept=media_type)

    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert error["message"].endswith(".")


@pytest.mark.parametrize("deep", ["[", '{"a":'])
async def test_deep_json_is_answered_whatever_its_depth(api: Api, deep: str) -> None:
    close = {"[": "]", '{"a":': "}"}[deep]
    for depth in (10, 500, 1000, 1020, 1023, 1030):
        value = f"{deep * depth}1{close * depth}"
        body = f'{{"query": "{LIST}", "variables": {{"a": {value}}}}}'

        response = await api.post(body.encode())

        assert response.status_code in (200, 400)
        assert response.json()["errors"][0]["extensions"]["code"] in ("INVALID_INPUT", "BAD_REQUEST")


async def test_null_means_the_same_as_left_out(api: Api) -> None:
    response = await api.post({"query": VIEWER, "variables": None, "operationName": None, "extensions": None})

    assert response.json()["data"]


async def test_an_empty_operation_name_means_the_same_as_none(api: Api) -> None:
    response = await api.post({"query": VIEWER, "operationName": ""})

    assert response.json()["data"]


async def test_unknown_members_and_variables_that_nobody_uses_are_ignored(api: Api) -> None:
    response = await api.post({"query": VIEWER, "variables": {"x": 1}, "extensions": {"y": 2}, "z": 3})

    assert response.json()["data"]


async def test_a_body_that_is_too_large_is_a_413(api: Api) -> None:
    fits = {"query": VIEWER, "x": ""}
    fits["x"] = "x" * (MAX_BODY_BYTES - len(json.dumps(fits)))

    at_the_limit = await api.post(fits)
    beyond = await api.post({**fits, "x": fits["x"] + "x"})

    assert at_the_limit.status_code == 200
    assert beyond.status_code == 413
    assert beyond.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_a_body_without_end_is_not_read_to_its_end(api: Api) -> None:
    chunk = {"type": "http.request", "body": b" " * 65_536, "more_body": True}
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {api.key}".encode())]

    start, _ = await raw(api.app, {"headers": headers}, *[chunk] * 5)

    assert start["status"] == 413


async def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_error_of_ours(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {api.key}".encode())]

    start, _ = await raw(
        api.app,
        {"headers": headers},
        {"type": "http.request", "body": b'{"query"', "more_body": True},
        {"type": "http.disconnect"},
    )

    assert start["status"] == 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- GET --------------------------------------------------------------------------------------------------------------


async def test_a_query_can_be_asked_by_get(api: Api) -> None:
    document = "query A { viewer { apiKey { id } } } query B($id: ID!) { node(id: $id) { __typename } }"

    response = await get(api, document, operationName="B", variables='{"id": "pay_0"}', extensions="{}")

    assert response.status_code == 200
    assert response.json() == {"data": {"node": None}}


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


# --- Which operation --------------------------------------------------------------------------------------------------

TWO = (
    "query A { viewer { partner { name } } } mutation B($input: VoidPaymentInput!) { voidPayment(input: $input) { __typename } }"
)


async def test_with_two_operations_the_named_one_runs(api: Api) -> None:
    response = await api.post({"query": TWO, "operationName": "A"})

    assert response.json() == {"data": {"viewer": {"partner": {"name": "FicMart"}}}}


@pytest.mark.parametrize("name", [None, "", "C", "a", "__typename"])
async def test_with_two_operations_and_none_of_them_named_nothing_runs(api: Api, name: str | None) -> None:
    response = await api.post({"query": TWO, "operationName": name}, Accept=RESPONSE_JSON)

    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["operationName"]}


@pytest.mark.parametrize("document", ["fragment F on Query { viewer { apiKey { id } } }", "# nothing"])
async def test_a_document_without_an_operation_is_refused(api: Api, document: str) -> None:
    response = await api.post({"query": document}, Accept=RESPONSE_JSON)

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_a_subscription_that_there_is_not_is_refused(api: Api) -> None:
    response = await api.post({"query": "subscription { transactionEvents { id } }"}, Accept=RESPONSE_JSON)

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] in ("INVALID_INPUT", "BAD_REQUEST")


# --- Browsers of other origins ----------------------------------------------------------------------------------------


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
        assert each.headers["access-control-expose-headers"] == "Retry-After"
        assert "access-control-allow-credentials" not in each.headers


# --- Limits -----------------------------------------------------------------------------------------------------------


def nested(depth: int) -> str:
    """A document of this depth. It need not make sense: depth is told whatever the fields are."""
    return "{ viewer " * depth + "{ id }" + " }" * depth


def fragments(count: int) -> str:
    """Each fragment spreads the next one twice: 2^count ways through a document of a few kB."""
    chain = " ".join(f"fragment F{index} on Query {{ ...F{index + 1} ...F{index + 1} }}" for index in range(count))
    return f"{{ ...F0 }} {chain} fragment F{count} on Query {{ __typename }}"


REFUSED_DOCUMENTS = {
    "too deep": (nested(16), "depth"),
    "deeper than the parser goes": (nested(2000), "nested too deeply"),
    "a literal deeper than the parser goes": ("{ payment(id: " + "[" * 2000 + "]" * 2000 + ") { id } }", "nested too deeply"),
    "too many aliases": ("{" + " ".join(f"a{index}: viewer {{ apiKey {{ id }} }}" for index in range(51)) + "}", "51 aliases"),
    "too many aliases in a fragment": (
        "{ ...F } fragment F on Query {" + " ".join(f"a{index}: __typename" for index in range(51)) + "}",
        "51 aliases",
    ),
    "too many tokens": ("{" + "__typename " * 5000 + "}", "tokens"),
    "a fragment that spreads itself": ("{ ...F } fragment F on Query { ...F }", "within itself"),
    "two that spread each other": ("{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }", "within itself"),
}


@pytest.mark.parametrize(("document", "reason"), REFUSED_DOCUMENTS.values(), ids=REFUSED_DOCUMENTS.keys())
async def test_a_document_beyond_a_limit_is_refused_with_the_reason(api: Api, document: str, reason: str) -> None:
    response = await api.post({"query": document}, Accept=RESPONSE_JSON)

    assert response.status_code == 400
    assert any(reason in error["message"] for error in response.json()["errors"])
    assert all(error["extensions"]["code"] == "INVALID_INPUT" for error in response.json()["errors"])


async def test_what_tools_ask_is_within_the_limits(api: Api) -> None:
    data = await api.ask(get_introspection_query())

    assert data["__schema"]["queryType"]["name"] == "Query"


async def test_fifty_aliases_are_within_the_limits(api: Api) -> None:
    data = await api.ask("{" + " ".join(f"a{index}: __typename" for index in range(50)) + "}")

    assert len(data) == 50


@pytest.mark.xfail(reason="the depth rule of Strawberry 0.341 looks the fragment up before it is known to exist", strict=True)
async def test_a_fragment_that_does_not_exist_is_the_clients_mistake(api: Api) -> None:
    response = await api.post({"query": "{ ...Missing }"}, Accept=RESPONSE_JSON)

    assert response.status_code == 400
    assert "Unknown fragment 'Missing'." in [error["message"] for error in response.json()["errors"]]


@pytest.mark.xfail(reason="both limiting rules of Strawberry 0.341 walk every path through the fragments", strict=True)
async def test_the_work_of_checking_a_document_grows_with_its_length_and_not_with_its_paths() -> None:
    """A document of 2 kB with 30 such fragments would keep a process busy for hours."""
    schema = graphql.build_schema()

    async def calls(count: int) -> int:
        made = 0

        def note(_: Any, event: str, __: Any) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(note)
        try:
            await schema.execute(fragments(count))
        finally:
            sys.setprofile(None)
        return made

    await calls(1)

    assert await calls(12) < 2 * await calls(8)


# --- What goes wrong on our side --------------------------------------------------------------------------------------

AUTHORIZE_AND_VOID = (
    "mutation ($a: AuthorizePaymentInput!, $b: VoidPaymentInput!) { authorizePayment(input: $a) { __typename } "
    "voidPayment(input: $b) { __typename } }"
)


async def test_a_bug_shows_an_id_and_is_logged_under_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("resolvers.viewer.get_partner", broken)

    response = await api.post({"query": VIEWER})

    assert response.status_code == 500
    (error,) = response.json()["errors"]
    error_id = error["extensions"]["errorId"]
    assert re.fullmatch(r"err_[0-9a-f]{16}", error_id)
    assert error["extensions"] == {"code": "INTERNAL_ERROR", "errorId": error_id}
    assert error["message"] == f"Something went wrong on our side. Quote {error_id} and we will find out what."
    assert error["path"] == ["viewer"]
    assert "secret" not in response.text
    (record,) = [record for record in caplog.records if error_id in record.getMessage()]
    assert record.exc_info
    assert "the secret of the house" in caplog.text


async def test_a_bug_in_one_field_leaves_the_others_their_data(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError

    wish, void = api.wish(), {"idempotencyKey": api.fresh("key"), "paymentId": "pay_0"}
    monkeypatch.setattr(Gateway, "operate", broken)

    response = await api.post({"query": AUTHORIZE_AND_VOID, "variables": {"a": wish, "b": void}})

    assert response.status_code == 200
    assert response.json()["data"] == {"authorizePayment": {"__typename": "PaymentPayload"}, "voidPayment": None}
    assert response.json()["errors"][0]["path"] == ["voidPayment"]


async def test_a_bug_before_the_execution_is_masked_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("app.graphql._insist_on_one", broken)

    response = await api.post({"query": VIEWER})

    assert response.status_code == 500
    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL_ERROR"
    assert "secret" not in response.text


async def test_two_bugs_have_two_ids(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("resolvers.viewer.get_partner", broken)

    first, second = [(await api.errors(VIEWER))[0]["extensions"]["errorId"] for _ in range(2)]

    assert first != second


async def test_a_house_that_is_full_says_when_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise Overloaded("10000 payments are under way")

    monkeypatch.setattr(Gateway, "_make_room", full)

    response = await api.post({"query": AUTHORIZE, "variables": {"input": api.wish()}})

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["errors"][0]["extensions"] == {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": 5000}


async def test_weather_in_one_field_leaves_the_others_their_data(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> None:
        raise Overloaded

    monkeypatch.setattr(Gateway, "operate", full)
    void = {"idempotencyKey": api.fresh("key"), "paymentId": "pay_0"}

    response = await api.post({"query": AUTHORIZE_AND_VOID, "variables": {"a": api.wish(), "b": void}})

    assert response.status_code == 200
    assert response.json()["data"] == {"authorizePayment": {"__typename": "PaymentPayload"}, "voidPayment": None}
    assert response.json()["errors"][0]["extensions"] == {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": 5000}


async def test_without_its_database_the_api_says_503_and_comes_back_by_itself(
    api_on_a_line: Api, database_line: DatabaseLine
) -> None:
    api = api_on_a_line
    wish = api.wish()
    await api.ask(VIEWER)

    await database_line.cut()
    away = [await api.post({"query": AUTHORIZE, "variables": {"input": wish}}), await api.post({"query": VIEWER})]
    health, ready = await api.http.get("/healthz"), await api.http.get("/readyz")
    await database_line.restore()
    back = await api.ask(AUTHORIZE, input=wish)

    for response in away:
        assert response.status_code == 503
        assert response.headers["retry-after"] == "2"
        (error,) = response.json()["errors"]
        assert error["extensions"] == {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": 2000}
        assert "same idempotency key" in error["message"]
    assert (health.status_code, ready.status_code) == (200, 503)
    assert ready.headers["retry-after"] == "2"
    assert back["authorizePayment"]["payment"]["state"] == "AUTHORIZED"
    assert back["authorizePayment"]["replayed"] is False
    assert (await api.http.get("/readyz")).json() == {"status": "ready", "database": "ok", "redis": "away"}


@pytest.mark.xfail(
    reason="is_weather does not know asyncpg's InternalClientError, which is what such a connection raises",
    strict=False,  # when the message is late it is read in time
)
async def test_a_connection_that_heard_of_a_crash_while_it_was_idle_is_replaced(
    api_on_a_line: Api, database_line: DatabaseLine
) -> None:
    """Postgres says so before it closes the connection; a request may come between the two."""
    await api_on_a_line.ask(VIEWER)

    database_line.announce_a_crash()
    for _ in range(10):  # the message has to arrive, and nothing tells when
        await asyncio.sleep(0)
    response = await api_on_a_line.post({"query": "{ payments { nodes { id } } }"})

    assert response.status_code in (200, 503)


async def test_an_unknown_key_without_the_database_is_a_503_too(api_on_a_line: Api, database_line: DatabaseLine) -> None:
    """Nobody knows whether the key is good, so it is not called bad."""
    await database_line.cut()

    response = await api_on_a_line.post({"query": VIEWER})

    assert response.status_code == 503


async def test_the_health_of_the_process_needs_nobody_else(api: Api) -> None:
    response = await api.http.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


# --- No card comes back -----------------------------------------------------------------------------------------------

cvvs = st.text("0123456789", min_size=3, max_size=4).filter(
    lambda cvv: cvv not in ("200", "201", "203", "400", "2000", "5000", "1999")
)
WISH = {
    "idempotencyKey": "k",
    "orderId": "o",
    "customerId": "c",
    "amount": {"minorUnits": 1, "currency": "USD"},
    "source": {"card": {"number": "", "cvv": "", "expiryMonth": 12, "expiryYear": 2030}},
}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of everything in the input, inner things too."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))


PLACES = list(leaves(WISH))


def placed(wish: Any, path: tuple[str, ...], value: Any) -> Any:
    """The input with a value put somewhere."""
    if not path:
        return value
    inner = wish.get(path[0], {}) if isinstance(wish, dict) else {}
    return {**(wish if isinstance(wish, dict) else {}), path[0]: placed(inner, path[1:], value)}


def as_literal(value: Any) -> str:
    """A value as a document has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {as_literal(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_literal(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@st.composite
def spoilt_requests(draw: st.DrawFn) -> tuple[Any, str, str]:
    """A request that holds a card and is wrong in some way; its number and its CVV."""
    number, cvv = draw(card_numbers), draw(cvvs)
    wish = placed(placed(WISH, ("source", "card", "number"), number), ("source", "card", "cvv"), cvv)
    shapes = [
        number,
        int(number),
        [number],
        {"x": number},
        {"number": number, "cvv": cvv},
        cvv,
        int(cvv),
        [cvv],
        None,
        True,
        number + ".5",
    ]
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES))
        if draw(st.booleans()):
            path = (*path, draw(st.sampled_from(["extra", "cvc", "number", "a1"])))
        wish = placed(wish, path, draw(st.sampled_from(shapes)))
    document = (
        f"mutation {{ authorizePayment(input: {as_literal(wish)}) {{ __typename ... on UserError {{ code message path }} }} }}"
    )
    match draw(st.sampled_from(["variables", "literals", "broken", "other"])):
        case "variables":
            body: Any = {
                "query": AUTHORIZE,
                "variables": {"input": wish} if draw(st.booleans()) else {"input": wish, number: cvv},
            }
        case "literals":
            body = {"query": document}
        case "broken":
            start, length = draw(st.integers(0, len(document))), draw(st.integers(0, 5))
            put = draw(
                st.sampled_from(
                    ["", " ", '"', "{", "}", "(", ")", ":", "$", "@", "...", f' "{cvv}" ', f" {number} ", '"""', "\\"]
                )
            )
            body = {"query": document[:start] + put + document[start + length :]}
        case _:
            query = draw(
                st.sampled_from(
                    [
                        VIEWER,
                        "{ payment(id: %s) { id } }",
                        "{ payments(first: %s) { nodes { id } } }",
                        "{ orderPayment(orderId: %s) { reason } }",
                    ]
                )
            )
            body = {
                "query": query.replace("%s", as_literal(draw(st.sampled_from(shapes)))),
                "operationName": draw(st.sampled_from([None, number])),
            }
    return body, number, cvv


def shows(text: str, number: str, cvv: str) -> bool:
    """Whether a text holds the number, or the CVV as a number of its own."""
    return number in text or re.search(rf"(?<![\w.]){cvv}(?![\w.])", text) is not None


async def test_no_card_number_and_no_cvv_comes_back_or_is_logged_whatever_is_sent(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Malformed in every way that hypothesis finds, in variables and in literals."""
    caplog.set_level(logging.INFO)
    loop, answered = asyncio.get_running_loop(), 0

    def exchange(body: Any) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(api.post(body), loop).result(timeout=10)

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt_requests())
    def check(spoilt: tuple[Any, str, str]) -> None:
        nonlocal answered
        body, number, cvv = spoilt
        caplog.clear()

        response = exchange(body)

        said = re.sub(r'"locations":\[[^\]]*\]', "", response.text)
        said = re.sub(r"(pay|err|att)_\w+", "", said)
        assert response.status_code < 500, response.text
        assert not shows(said, number, cvv), said
        assert not shows("\n".join(record.getMessage() for record in caplog.records), number, cvv), caplog.text
        answered += 1

    await asyncio.to_thread(check)

    assert answered >= 300
