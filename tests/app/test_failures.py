"""What goes wrong on our side: bugs are masked and found by an id; weather is a 503 that says when to come back."""

import asyncio
import re
from typing import Any

import pytest
from sqlalchemy import text

from gateway.gateway import Gateway, Overloaded
from persistence.database import Database
from persistence.revision import REVISION
from tests.app.serving import Api, DatabaseLine, mutation

VIEWER = "{ viewer { partner { name } } }"
AUTHORIZE = mutation("authorizePayment")


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


async def test_a_request_that_would_wait_in_vain_for_a_connection_is_refused_unread(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "is_crowded", True)

    response = await api.post(b"this is not even JSON")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["errors"][0]["extensions"] == {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": 5000}
    assert (await api.http.get("/readyz")).status_code == 200, "a crowd is no reason to send everybody away"


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
    assert (await api.http.get("/readyz")).json() == {
        "status": "ready",
        "database": "ok",
        "redis": "away",
        "bank": "ok",
        "limits": "each process's own",
    }


async def test_a_database_of_an_older_version_is_not_called_away(api: Api, owner: Database) -> None:
    """An operator who reads `away` would look at the network, and not at the migrations."""
    async with owner.without_tenant() as tx:
        await tx.execute(text("update alembic_version set version_num = 'older'"))

    ready = await api.http.get("/readyz")

    async with owner.without_tenant() as tx:
        await tx.execute(text("update alembic_version set version_num = :now"), {"now": REVISION})
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unavailable",
        "database": "of an older version",
        "redis": "away",
        "bank": "ok",
        "limits": "each process's own",
    }


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
