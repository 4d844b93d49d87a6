"""GraphQL over HTTP: media types, statuses, bodies, and which operation is meant."""

import json
import logging
from typing import Any

import pytest

from app.operation import MAX_BODY_BYTES
from tests.app.serving import Api, raw

RESPONSE_JSON, JSON = "application/graphql-response+json", "application/json"
VIEWER = "{ viewer { partner { name } } }"
LIST = "query ($a: PaymentFilter) { payments(filter: $a) { nodes { id } } }"


async def test_a_query_is_answered(api: Api) -> None:
    response = await api.post({"query": VIEWER})

    assert response.status_code == 200
    assert response.json()["data"] == {"viewer": {"partner": {"name": "FicMart"}}}


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
    assert new.json()["errors"] == old.json()["errors"]
    assert "data" not in new.json(), "there is no data when nothing was executed"
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


TWO = (
    "query A { viewer { partner { name } } } mutation B($input: VoidPaymentInput!) { voidPayment(input: $input) { __typename } }"
)


async def test_with_two_operations_the_named_one_runs(api: Api) -> None:
    response = await api.post({"query": TWO, "operationName": "A"})

    assert response.json()["data"] == {"viewer": {"partner": {"name": "FicMart"}}}


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
