"""Endpoints by API: made, changed, deleted; a secret shown once; bad wishes refused with their places."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from app import webhook_shapes
from app.cost import STREAM
from domain.scope import ALL_SCOPES, Scope
from domain.webhook import MAX_ENDPOINTS
from domain.webhook_request import MAX_DOCUMENT_LENGTH
from domain.webhook_signature import read_secret
from gateway.webhook_courier import Courier
from persistence.database import Database
from tests.app.serving import Api, BankLine, serving, settings_for
from tests.app.webhooks.conftest import DELIVERY, Receiver, deliveries_of, do, endpoint_now

URL = "https://hooks.example/in"
EVENTS = "{ events(first: 100) { nodes { id type subjectId } } }"
LOG = "{ auditLog(first: 1) { nodes { action subject note } } }"


async def make(api: Api, **wish: Any) -> Any:
    """An endpoint."""
    return (await do(api, "createWebhookEndpoint", **{"url": URL, **wish}))["webhookEndpoint"]


async def test_a_new_endpoint_shows_its_secret_once(api: Api) -> None:
    wish = {"idempotencyKey": api.fresh("key"), "url": URL, "description": "shop", "types": ["PAYMENT_CAPTURED"]}

    made = await do(api, "createWebhookEndpoint", **wish)
    again = await do(api, "createWebhookEndpoint", **wish)

    assert read_secret(made["secret"]) is not None
    assert again == {**made, "secret": None, "replayed": True}
    assert made["webhookEndpoint"] == {
        **made["webhookEndpoint"],
        "url": URL,
        "description": "shop",
        "types": ["PAYMENT_CAPTURED"],
        "document": None,
        "disabledAt": None,
        "disabledReason": None,
        "previousSecretUntil": None,
        "health": {"circuit": "CLOSED", "trips": 0, "disabledAtTrips": 10, "openUntil": None},
    }
    assert await endpoint_now(api, made["webhookEndpoint"]["id"]) == made["webhookEndpoint"]


async def test_each_change_is_an_event_and_an_entry_of_the_audit_log(api: Api) -> None:
    made = await make(api)
    log = [(await api.ask(LOG))["auditLog"]["nodes"][0]]
    for name, wish in (
        ("updateWebhookEndpoint", {"description": "x"}),
        ("updateWebhookEndpoint", {"enabled": False}),
        ("rotateWebhookSecret", {}),
        ("deleteWebhookEndpoint", {}),
    ):
        await do(api, name, webhookEndpointId=made["id"], **wish)
        log.append((await api.ask(LOG))["auditLog"]["nodes"][0])

    events = (await api.ask(EVENTS))["events"]["nodes"]
    assert [each["type"].removeprefix("WEBHOOK_ENDPOINT_") for each in events] == [
        "CREATED",
        "UPDATED",
        "DISABLED",
        "UPDATED",
        "DELETED",
    ]
    assert {each["subjectId"] for each in [*events, *({"subjectId": entry["subject"]} for entry in log)]} == {made["id"]}
    assert [each["action"].removeprefix("webhook_endpoint.") for each in log] == [
        "created",
        "updated",
        "updated",
        "secret_rotated",
        "deleted",
    ]


async def test_a_change_leaves_alone_what_it_does_not_name(api: Api) -> None:
    made = await make(api, description="shop", types=["PAYMENT_CAPTURED"], document="subscription { transactionEvents { id } }")

    moved = await do(api, "updateWebhookEndpoint", webhookEndpointId=made["id"], url="https://other.example/")
    widened = await do(api, "updateWebhookEndpoint", webhookEndpointId=made["id"], types=None, document=None, enabled=None)

    assert moved["webhookEndpoint"] == {**made, "url": "https://other.example/"}
    assert widened["webhookEndpoint"] == {**made, "url": "https://other.example/", "types": None, "document": None}


async def test_a_disabled_endpoint_can_be_enabled(api: Api) -> None:
    made = await make(api)

    off = await do(api, "updateWebhookEndpoint", webhookEndpointId=made["id"], enabled=False)
    test = await do(api, "sendTestEvent", webhookEndpointId=made["id"])
    on = await do(api, "updateWebhookEndpoint", webhookEndpointId=made["id"], enabled=True)

    assert off["webhookEndpoint"]["disabledReason"] == "BY_PARTNER"
    assert (test["__typename"], test["code"]) == ("WebhookEndpointDisabledError", "WEBHOOK_ENDPOINT_DISABLED")
    assert on["webhookEndpoint"] == made


BAD: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "http": ({"url": "http://hooks.example/"}, ["input", "url"], "https"),
    "credentials": ({"url": "https://user:pw@hooks.example/"}, ["input", "url"], "credentials"),
    "a private address": ({"url": "https://10.0.0.1/"}, ["input", "url"], "public internet"),
    "a mapped address": ({"url": "https://[::ffff:10.0.0.1]/"}, ["input", "url"], "public internet"),
    "a short address": ({"url": "https://127.1/"}, ["input", "url"], "usually written"),
    "the desk": ({"url": "https://localhost/"}, ["input", "url"], "full name"),
    "no types": ({"types": []}, ["input", "types"], "empty"),
    "no idempotency key": ({"idempotencyKey": ""}, ["input", "idempotencyKey"], "empty"),
    "a long description": ({"description": "x" * 256}, ["input", "description"], "255"),
    "no document": ({"document": ""}, ["input", "document"], "Syntax Error"),
    "not GraphQL": ({"document": "{"}, ["input", "document"], "Syntax Error"),
    "a query": ({"document": "{ viewer { partner { id } } }"}, ["input", "document"], "one subscription"),
    "a mutation": (
        {"document": 'mutation { voidPayment(input: {idempotencyKey: "x", paymentId: "pay_x"}) { __typename } }'},
        ["input", "document"],
        "one subscription",
    ),
    "a mutation beside": (
        {"document": "subscription a { transactionEvents { id } } mutation b { __typename }"},
        ["input", "document"],
        "one subscription",
    ),
    "an argument": ({"document": 'subscription { transactionEvents(after: "x") { id } }'}, ["input", "document"], "without"),
    "a variable": (
        {"document": "subscription ($x: Boolean!) { transactionEvents { id @include(if: $x) } }"},
        ["input", "document"],
        "without",
    ),
    "a fragment at the root": (
        {"document": "subscription { ...F } fragment F on Subscription { transactionEvents { id } }"},
        ["input", "document"],
        "without",
    ),
    "an unknown field": ({"document": "subscription { transactionEvents { money } }"}, ["input", "document"], "money"),
    "a card's number": (
        {"document": "subscription { transactionEvents { payment { card { number } } } }"},
        ["input", "document"],
        "number",
    ),
    "a card's number in it": (
        {"document": 'subscription { transactionEvents { id(x: "4111 1111 1111 1111") } }'},
        ["input", "document"],
        "long number",
    ),
    "a long document": ({"document": "#" * (MAX_DOCUMENT_LENGTH + 1)}, ["input", "document"], str(MAX_DOCUMENT_LENGTH)),
}


@pytest.mark.parametrize("name", ["createWebhookEndpoint", "updateWebhookEndpoint"])
async def test_each_bad_wish_is_refused_with_its_place(strict_api: Api, name: str) -> None:
    """Outside of development."""
    usual = {"url": URL} if name == "createWebhookEndpoint" else {"webhookEndpointId": "whe_x"}

    answers = {case: await do(strict_api, name, **{**usual, **wish}) for case, (wish, _, _) in BAD.items()}

    assert {case: (each["__typename"], each["path"]) for case, each in answers.items()} == {
        case: ("InvalidInputError", path) for case, (_, path, _) in BAD.items()
    }
    assert {case: said for case, (_, _, said) in BAD.items() if said not in answers[case]["message"]} == {}
    assert "4111" not in str(answers)


@pytest.fixture
async def strict_api(
    database_urls: Any, here: Any, bank_line: BankLine, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> AsyncIterator[Api]:
    """An API that is not on a desk."""
    async with serving(settings_for(database_urls.app), here.world, bank_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


async def test_a_document_that_costs_too_much_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_shapes, "MAX_SHAPE_COST", STREAM - 1)

    answer = await do(api, "createWebhookEndpoint", url=URL, document="subscription { transactionEvents { id } }")

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", ["input", "document"])
    assert f"costs {STREAM} points" in answer["message"]


async def test_there_are_at_most_twenty(api: Api) -> None:
    for _ in range(MAX_ENDPOINTS - 1):
        await make(api)

    both = await asyncio.gather(do(api, "createWebhookEndpoint", url=URL), do(api, "createWebhookEndpoint", url=URL))

    codes = [each.get("code") for each in both]
    assert sorted(codes, key=str) == ["LIMIT_REACHED", None]


@pytest.mark.parametrize("name", ["createWebhookEndpoint", "updateWebhookEndpoint", "rotateWebhookSecret", "sendTestEvent"])
async def test_who_may_not_read_events_gets_none_by_webhook_either(
    api: Api, make_key: Callable[..., Awaitable[str]], name: str
) -> None:
    made = await make(api)
    blind = api.as_somebody(api.tenant, await make_key(api.tenant, scopes=ALL_SCOPES - {Scope.EVENTS_READ}))
    wish = {"url": URL} if name == "createWebhookEndpoint" else {"webhookEndpointId": made["id"]}

    answer = await do(blind, name, **wish)

    assert (answer["__typename"], answer["code"]) == ("InsufficientScopeError", "INSUFFICIENT_SCOPE")


@pytest.mark.parametrize(
    "name",
    ["updateWebhookEndpoint", "deleteWebhookEndpoint", "rotateWebhookSecret", "sendTestEvent", "replayWebhookDeliveries"],
)
async def test_another_partners_endpoint_is_as_unknown_as_none(
    api: Api, other_tenant: UUID, make_key: Callable[[UUID], Awaitable[str]], name: str
) -> None:
    made = await make(api)
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    extra = {"which": {"failedSince": "2026-01-01T00:00:00Z"}} if name == "replayWebhookDeliveries" else {}

    answers = [await do(other, name, webhookEndpointId=each, **extra) for each in (made["id"], "whe_x", "pay_x")]

    assert {(each["__typename"], tuple(each["path"])) for each in answers} == {("NotFoundError", ("input", "webhookEndpointId"))}
    assert (await endpoint_now(api, made["id"]))["id"] == made["id"]


async def test_a_document_shapes_what_is_sent_with_the_scopes_of_its_key(
    api: Api, receiver: Receiver, courier: Courier, make_key: Callable[..., Awaitable[str]]
) -> None:
    document = "subscription { transactionEvents { what: type payment { orderId amount { formatted } } } }"
    made = await do(api, "createWebhookEndpoint", url=receiver.url(), types=["PAYMENT_CREATED"], document=document)
    payment = await api.payment()

    await courier.run_once()

    (message,) = receiver.received
    assert message.content["type"] == "payment.created"
    assert message.content["data"] == {
        "what": "PAYMENT_CREATED",
        "payment": {"orderId": payment["orderId"], "amount": {"formatted": "$19.99"}},
    }
    assert made["webhookEndpoint"]["document"] == document


async def test_deliveries_are_listed_below_their_endpoints_in_pages(
    api: Api, here: Any, receiver: Receiver, courier: Courier
) -> None:
    ones = []
    for number in range(2):
        here.pass_by(1)
        ones.append(await make(api, url=receiver.url(f"/{number}"), types=["PAYMENT_CREATED"]))
    for _ in range(3):
        here.pass_by(1)
        await api.payment()
    await courier.run_once()
    query = f"""query ($after: String) {{ webhookEndpoints {{ nodes {{ id deliveries(first: 2, after: $after) {{
        nodes {{ ...Delivery event {{ id type }} }} pageInfo {{ hasNextPage hasPreviousPage endCursor }}
    }} }} }} }} {DELIVERY}"""

    newest = (await api.ask(query))["webhookEndpoints"]["nodes"]
    rest = (await api.ask(query, after=newest[0]["deliveries"]["pageInfo"]["endCursor"]))["webhookEndpoints"]["nodes"]
    all_of_them = await deliveries_of(api)

    assert [each["id"] for each in newest] == [each["id"] for each in reversed(ones)]
    assert [len(each["deliveries"]["nodes"]) for each in newest] == [2, 2]
    assert [each["deliveries"]["pageInfo"]["hasNextPage"] for each in newest] == [True, True]
    assert len(rest[0]["deliveries"]["nodes"]) == 1
    assert not rest[0]["deliveries"]["pageInfo"]["hasNextPage"]
    assert len(all_of_them) == 6
    assert all(node["event"]["id"] == node["messageId"] for each in newest for node in each["deliveries"]["nodes"])


async def test_a_list_of_endpoints_and_their_deliveries_takes_as_many_statements_for_ten_as_for_one(
    api: Api, receiver: Receiver, courier: Courier, statements: Callable[[], list[str]]
) -> None:
    query = "{ webhookEndpoints(first: 100) { nodes { id deliveries { nodes { id event { id } } } } } }"
    counts = []
    for number in (1, 9):
        for _ in range(number):
            await make(api, url=receiver.url(), types=["PAYMENT_CREATED"])
        await api.payment()
        seen = statements()
        before = len(seen)
        found = (await api.ask(query))["webhookEndpoints"]["nodes"]
        counts.append(len(seen) - before)

    assert len(found) == 10
    assert counts[0] == counts[1]


@pytest.fixture
def statements(api: Api) -> Any:
    """What is asked of the database from now on."""
    seen: list[str] = []
    engine = api.app.state.house.parts.database.engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield lambda: seen
    event.remove(engine, "before_cursor_execute", note)


async def test_deliveries_are_found_by_state_type_and_time(api: Api, here: Any, receiver: Receiver, courier: Courier) -> None:
    receiver.answers["/bad"] = (500, {}, b"")
    good, bad = [
        await make(api, url=receiver.url(path), types=["PAYMENT_CREATED", "PAYMENT_AUTHORIZED"]) for path in ("/good", "/bad")
    ]
    await api.payment()
    here.pass_by(60)
    later = here.time.isoformat()
    await api.payment()
    await courier.run_once()

    async def count(**where: Any) -> int:
        return len(await deliveries_of(api, **where))

    assert await count() == 8
    assert await count(webhookEndpointId=good["id"]) == 4
    assert await count(states=["PENDING"]) == 4
    assert await count(states=["PENDING"], webhookEndpointId=good["id"]) == 0
    assert await count(types=["PAYMENT_CREATED"]) == 4
    assert await count(createdAfter=later) == 4
    assert await count(createdBefore=later, webhookEndpointId=bad["id"], types=["PAYMENT_AUTHORIZED"]) == 1
    assert await count(webhookEndpointId="pay_x") == 0


async def test_no_secret_is_in_the_database_nor_in_a_log(
    api: Api, receiver: Receiver, courier: Courier, owner: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    made = await do(api, "createWebhookEndpoint", url=receiver.url())
    rotated = await do(api, "rotateWebhookSecret", webhookEndpointId=made["webhookEndpoint"]["id"])
    await api.payment()
    await courier.run_once()
    secrets = [made["secret"].removeprefix("whsec_"), rotated["secret"].removeprefix("whsec_")]
    keys = [key for each in (made, rotated) if (key := read_secret(each["secret"]))]

    connection = await owner.engine.raw_connection()
    driver: Any = connection.driver_connection
    tables = [row["name"] for row in await driver.fetch("select tablename as name from pg_tables where schemaname = 'public'")]
    rows = [row["row"] for table in tables for row in await driver.fetch(f"select {table}::text as row from {table}")]
    connection.close()

    assert len(rows) > 20
    needles = [*secrets, *(key.hex() for key in keys)]
    assert not [row for row in rows for needle in needles if needle in row]
    assert not [needle for needle in needles if needle in caplog.text]
    assert len(keys) == 2


async def test_a_document_is_executed_with_the_scopes_that_were_saved_with_it(
    api: Api, receiver: Receiver, courier: Courier, owner: Database
) -> None:
    await make(api, url=receiver.url(), types=["PAYMENT_CREATED"], document="subscription { transactionEvents { id } }")
    async with owner.tenant(api.tenant) as tx:
        await tx.execute(text("update webhook_endpoints set scopes = '{}' where tenant_id = :tenant"), {"tenant": api.tenant})
    await api.payment()

    await courier.run_once()

    (message,) = receiver.received
    assert message.content["data"] is None
    assert [each["extensions"]["code"] for each in message.content["errors"]] == ["FORBIDDEN"]
