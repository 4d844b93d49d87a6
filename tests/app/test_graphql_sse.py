"""GraphQL as server-sent events: the distinct connections mode of `graphql-sse`, and going on with Last-Event-ID."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from app import graphql_sse, limits
from app.cost import STREAM
from domain import caller as caller_module
from domain.access import Unauthenticated
from domain.tier import Rate, Tier, TierName
from tests.app.serving import Api, mutation
from tests.app.sockets import Stream, listening
from tests.conftest import PATIENCE_S

EVENTS = "subscription ($after: String) { transactionEvents(after: $after) { sequence type payment { id state } } }"
REVOKE = "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { __typename } }"
VIEWER = "{ viewer { partner { id } } }"
Follow = Callable[..., Stream]


@pytest.fixture
async def live(api: Api) -> AsyncIterator[str]:
    """The API's address."""
    async with listening(api.app) as address:
        yield address


@pytest.fixture
def follow(api: Api, live: str) -> Follow:
    """Opens a stream with the test's key."""

    def opened(query: str = EVENTS, **how: Any) -> Stream:
        return Stream(live, how.pop("key", api.key), query, **how)

    return opened


async def event_ids(api: Api) -> list[str]:
    """The ids of all the partner's events, in order."""
    return [each["id"] for each in (await api.ask("{ events(first: 100) { nodes { id } } }"))["events"]["nodes"]]


# --- Events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_what_happens_arrives_in_order_with_the_events_ids(api: Api, follow: Follow, method: str) -> None:
    payment = await api.payment()
    (first, *_) = await event_ids(api)

    async with follow(method=method, after=first) as stream:
        await api.operate("capture", payment["id"])
        messages = [await stream.receive() for _ in range(2)]

    assert stream.response.status_code == 200
    assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [each["event"] for each in messages] == ["next", "next"]
    events = [json.loads(each["data"])["data"]["transactionEvents"] for each in messages]
    assert [(each["sequence"], each["payment"]["state"]) for each in events] == [(2, "AUTHORIZED"), (3, "CAPTURED")]
    assert [each["id"] for each in messages] == (await event_ids(api))[1:], "though the client did not ask for them"


async def test_last_event_id_takes_the_place_of_after(api: Api, follow: Follow) -> None:
    """Whoever comes back repeats its request as it was; only the header knows how far it came."""
    payment = await api.payment()
    await api.operate("capture", payment["id"])
    first, second, _ = await event_ids(api)

    async with follow(headers={"Last-Event-ID": second}, after=first) as stream:
        result = await stream.next()

    assert result["data"]["transactionEvents"]["sequence"] == 3


async def test_a_stream_begins_with_the_event_that_it_begins_behind(api: Api, follow: Follow) -> None:
    """Whoever is cut off before the first event goes on there, and misses nothing."""
    payment = await api.payment()
    ids = await event_ids(api)

    async with follow() as stream:
        begins = await anext(line async for line in stream._lines if line.startswith("id: "))
    await api.operate("capture", payment["id"])  # while nobody is connected
    async with follow(headers={"Last-Event-ID": begins.removeprefix("id: ")}) as stream:
        result = await stream.next()

    assert begins == f"id: {ids[-1]}"
    assert result["data"]["transactionEvents"]["type"] == "PAYMENT_CAPTURED"


async def test_a_last_event_id_that_nobody_has_is_an_error_and_no_place_to_begin(api: Api, follow: Follow) -> None:
    await api.payment()

    async with follow(headers={"Last-Event-ID": "evt_00000000000000000000000005"}) as stream:
        result, end = await stream.next(), await stream.receive()

    assert result["errors"][0]["extensions"] == {"code": "INVALID_INPUT", "path": ["Last-Event-ID"]}
    assert end == {"event": "complete", "data": ""}


async def test_a_last_event_id_means_nothing_to_a_query(api: Api, follow: Follow) -> None:
    async with follow(VIEWER, headers={"Last-Event-ID": "nonsense"}) as stream:
        assert (await stream.next())["data"] == await api.ask(VIEWER)


async def test_subscribers_of_one_partner_share_what_they_ask_alike_and_nothing_else(
    api: Api, follow: Follow, other_tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    own, theirs = await api.payment(), await other.payment()
    first, their_first = (await event_ids(api))[0], (await event_ids(other))[0]
    fields = "{ sequence payment @include(if: $wide) { id } }"
    narrow = f"subscription ($after: String, $wide: Boolean!) {{ transactionEvents(after: $after) {fields} }}"

    async with (
        follow(narrow, after=first, wide=True) as one,
        follow(narrow, after=first, wide=True) as same,
        follow(narrow, after=first, wide=False) as less,
        follow(narrow, after=their_first, wide=True, key=other.key) as stranger,
    ):
        shown = [(await each.next())["data"]["transactionEvents"] for each in (one, same, less, stranger)]

    assert shown[0] == shown[1] == {"sequence": 2, "payment": {"id": own["id"]}}
    assert shown[2] == {"sequence": 2}
    assert shown[3] == {"sequence": 2, "payment": {"id": theirs["id"]}}


# --- Other operations, and bad ones -----------------------------------------------------------------------------------


async def test_queries_and_mutations_are_one_result_and_then_complete(api: Api, follow: Follow) -> None:
    async with follow(VIEWER) as stream:
        query, query_end = await stream.next(), await stream.receive()
    async with follow(mutation("authorizePayment"), input=api.wish()) as stream:
        made, made_end = await stream.next(), await stream.receive()
        after_it = await stream.receive()

    assert query["data"] == await api.ask(VIEWER)
    assert query["extensions"]["cost"]["requested"] >= 1
    assert made["data"]["authorizePayment"]["payment"]["state"] == "AUTHORIZED"
    assert query_end == made_end == {"event": "complete", "data": ""}
    assert after_it is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("subscription {", "Syntax Error"),
        ("{ nothing }", "Cannot query field"),
        ("subscription A { transactionEvents { id } } subscription B { transactionEvents { id } }", "several operations"),
        ("subscription { transactionEvents(types: [NONE]) { id } }", "EventType"),
    ],
)
async def test_what_is_wrong_with_an_operation_is_its_result(follow: Follow, query: str, says: str) -> None:
    async with follow(query) as stream:
        result, end = await stream.next(), await stream.receive()

    assert stream.response.status_code == 200
    assert says in result["errors"][0]["message"]
    assert end == {"event": "complete", "data": ""}


async def test_a_mutation_by_get_is_refused(api: Api, follow: Follow, bank_line: Any) -> None:
    async with follow(mutation("authorizePayment"), method="GET", input=api.wish()) as stream:
        await stream.response.aread()

    assert stream.response.status_code == 405
    assert stream.response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    assert bank_line.requests == 0


async def test_without_a_good_key_there_is_no_stream(follow: Follow) -> None:
    async with follow(key="gp_live_nonsense") as stream:
        await stream.response.aread()

    assert stream.response.status_code == 401
    assert stream.response.headers["content-type"].startswith("application/graphql-response+json")
    assert stream.response.json()["errors"][0]["extensions"]["reason"] == "MALFORMED_KEY"


async def test_only_the_cost_is_told_to_whoever_asks_for_it(api: Api) -> None:
    response = await api.post({"query": EVENTS, "extensions": {"dryRun": True}}, Accept="text/event-stream")

    assert f'"requested":{STREAM}' in response.text
    assert response.text.endswith("event: complete\ndata:\n\n")


async def test_a_stream_that_breaks_ends_with_an_error_that_shows_nothing(
    api: Api, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> Any:
        raise RuntimeError("secret")
        yield

    monkeypatch.setattr(api.app.state.house.feed, "follow", broken)
    async with follow() as stream:
        result = await stream.next()

    assert result["errors"][0]["extensions"]["code"] == "INTERNAL_ERROR"
    assert "secret" not in str(result)


# --- The connection ---------------------------------------------------------------------------------------------------


async def test_a_quiet_stream_is_pinged(follow: Follow, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_sse, "PING_S", 0.01)

    async with follow() as stream:
        reading = asyncio.create_task(stream.receive())
        while "ping" not in stream.comments:  # noqa: ASYNC110 - what is awaited is a line on the wire
            await asyncio.sleep(0)
        reading.cancel()


async def test_a_revoked_key_ends_its_stream_and_says_so(
    api: Api, follow: Follow, make_key: Callable[..., Awaitable[str]]
) -> None:
    key_id = (await api.ask("{ viewer { apiKey { id } } }"))["viewer"]["apiKey"]["id"]
    colleague = api.as_somebody(api.tenant, await make_key(api.tenant))
    async with follow() as stream:
        await colleague.ask(REVOKE, input={"idempotencyKey": api.fresh("key"), "apiKeyId": key_id})
        result = await stream.next()
        while "errors" not in result:  # the revocation itself may be an event
            result = await stream.next()
        ending = await stream.receive(), await stream.receive()

    error = result["errors"][0]
    assert error["extensions"] == {"code": "UNAUTHENTICATED", "reason": "REVOKED_KEY"}
    assert error["message"] == Unauthenticated.REVOKED_KEY.value
    assert ending == ({"event": "complete", "data": ""}, None)


async def test_a_server_that_stops_ends_the_stream_without_completing_it(api: Api) -> None:
    async with listening(api.app) as address:
        stream = await Stream(address, api.key, EVENTS).__aenter__()

    assert await stream.receive() is None
    assert any("stops" in each for each in stream.comments)
    await stream.__aexit__(None, None, None)


async def test_a_client_that_leaves_frees_its_place(api: Api, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STREAMS_OF_A_KEY", 1)

    async with follow(), follow() as second:
        await second.response.aread()
    while api.app.state.event_streams.limits.streams:  # noqa: ASYNC110 - the server hears of the end a moment later
        await asyncio.sleep(0)
    async with follow() as third:
        served = third.response.status_code

    assert second.response.status_code == 429
    assert second.response.headers["retry-after"]
    assert second.response.json()["errors"][0]["extensions"]["code"] == "TOO_MANY_STREAMS"
    assert served == 200


async def test_a_partner_has_so_many_streams_with_all_its_keys(
    api: Api, follow: Follow, make_key: Callable[..., Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_STREAMS_OF_A_PARTNER", 1)

    async with follow(), follow(key=await make_key(api.tenant)) as second:
        pass

    assert second.response.status_code == 429


async def test_a_stream_that_the_rate_does_not_allow_is_refused_before_it_begins(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Rate(STREAM - 1, 1, every_s=3600)
    monkeypatch.setattr(caller_module, "TIERS", {TierName.ENTERPRISE: Tier(small, small, 1, 1)})

    async with follow() as stream:
        await stream.response.aread()

    assert stream.response.json()["errors"][0]["extensions"]["code"] == "COST_EXCEEDED"


async def test_events_over_the_limit_are_late_and_not_lost(api: Api, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    async def pace(caller: Any) -> None:
        waits.append(caller.tenant_id)

    monkeypatch.setattr(api.app.state.event_streams.limits, "pace", pace)
    payment = await api.payment()
    await api.operate("capture", payment["id"])
    (first, *_) = await event_ids(api)

    async with follow(after=first) as stream:
        sequences = [(await stream.next())["data"]["transactionEvents"]["sequence"] for _ in range(2)]

    assert sequences == [2, 3]
    assert waits == [api.tenant], "the first event is in the price of the subscription"


async def test_a_client_that_does_not_read_is_cut_off(api: Api, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = asyncio.Event()

    def error(code: str, *told: Any, **more: Any) -> Any:
        if code == "TOO_SLOW":
            given_up.set()
        return original(code, *told, **more)

    original = graphql_sse._error
    monkeypatch.setattr(graphql_sse, "_error", error)
    monkeypatch.setattr(graphql_sse, "SEND_S", 0.05)
    monkeypatch.setattr(graphql_sse, "PING_S", 0.0)
    monkeypatch.setattr(graphql_sse, "PING", b": " + b"x" * 65_536 + b"\n\n")
    host, _, port = live.partition("/")[0].partition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        body = json.dumps({"query": EVENTS}).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {api.key}\r\nAccept: text/event-stream\r\n"
        client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await asyncio.wait_for(given_up.wait(), PATIENCE_S)
        told = await _rest_of(client)

    assert b"TOO_SLOW" in told
    assert b"event: complete" not in told, "whoever comes back goes on"


async def _rest_of(client: socket.socket) -> bytes:
    """What a client finds that reads only after it was given up."""
    client.setblocking(False)
    loop, told = asyncio.get_running_loop(), b""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            while chunk := await loop.sock_recv(client, 1 << 20):
                told = (told + chunk)[-1000:]
                if b"TOO_SLOW" in told:
                    break
    return told


async def test_a_dashboard_of_another_origin_may_go_on_with_last_event_id(api: Api) -> None:
    preflight = await api.http.options(
        "/graphql",
        headers={
            "Origin": "https://dashboard.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,last-event-id",
        },
    )

    assert preflight.status_code == 200
    assert "last-event-id" in preflight.headers["access-control-allow-headers"].lower()


async def test_a_subscription_without_the_right_accept_is_told_what_to_do(api: Api) -> None:
    response = await api.post({"query": EVENTS})

    assert response.status_code == 400
    assert "Accept: text/event-stream" in response.json()["errors"][0]["message"]
    assert "graphql-transport-ws" in response.json()["errors"][0]["message"]
