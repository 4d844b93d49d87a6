"""GraphQL over WebSocket: the protocol's rules, and that one operation's trouble is its own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from websockets.exceptions import ConnectionClosed

from app import graphql_ws, limits
from app.cost import STREAM
from app.graphql_ws import MAX_OPERATIONS, SUBPROTOCOL
from domain import caller as caller_module
from domain.access import Unauthenticated
from domain.partner import Mode, tenant_of
from domain.tier import Rate, Tier, TierName
from persistence.database import Database, DatabaseAway
from tests.app.serving import Api
from tests.app.sockets import Wire, listening
from tests.conftest import PATIENCE_S

EVENTS = "subscription ($after: String) { transactionEvents(after: $after) { id sequence type payment { id state } } }"
REVOKE = "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { __typename } }"
VIEWER = "{ viewer { partner { id } } }"


@pytest.fixture
async def live(api: Api) -> AsyncIterator[str]:
    """The API's address."""
    async with listening(api.app) as address:
        yield address


@pytest.fixture
async def wire(api: Api, live: str) -> AsyncIterator[Wire]:
    """A connection that was let in."""
    async with Wire(live) as opened:
        await opened.init(api.key)
        yield opened


# --- Events -----------------------------------------------------------------------------------------------------------


async def test_what_happens_to_a_payment_arrives_in_order(api: Api, wire: Wire) -> None:
    before = await api.payment()
    (first,) = (await api.ask("{ events(first: 1) { nodes { id } } }"))["events"]["nodes"]
    await wire.subscribe(EVENTS, after=first["id"])

    await api.operate("capture", before["id"])
    await api.operate("refund", before["id"])
    messages = [await wire.receive() for _ in range(3)]

    assert {message["type"] for message in messages} == {"next"}
    events = [message["payload"]["data"]["transactionEvents"] for message in messages]
    assert [each["type"] for each in events] == ["PAYMENT_AUTHORIZED", "PAYMENT_CAPTURED", "PAYMENT_REFUNDED"]
    assert [each["sequence"] for each in events] == [2, 3, 4]
    assert [each["payment"]["state"] for each in events] == ["AUTHORIZED", "CAPTURED", "REFUNDED"]
    assert (await api.ask("{ events { nodes { id } } }"))["events"]["nodes"][1:] == [{"id": each["id"]} for each in events]


async def test_only_the_wanted_types_arrive(api: Api, wire: Wire) -> None:
    payment = await api.payment()
    (first,) = (await api.ask("{ events(first: 1) { nodes { id } } }"))["events"]["nodes"]
    query = "subscription ($after: String) { transactionEvents(after: $after, types: [PAYMENT_VOIDED]) { sequence } }"
    await wire.subscribe(query, after=first["id"])

    await api.operate("void", payment["id"])

    assert (await wire.receive())["payload"]["data"] == {"transactionEvents": {"sequence": 3}}


async def test_another_partners_event_is_no_place_to_go_on(
    api: Api, wire: Wire, other_tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    await other.payment()
    (theirs, *_) = (await other.ask("{ events { nodes { id } } }"))["events"]["nodes"]

    answers = []
    for name, after in enumerate((theirs["id"], "evt_00000000000000000000000005", "evt_", "", "pay_1")):
        await wire.subscribe(EVENTS, str(name), after=after)
        answers.append(await wire.receive())

    assert [answer["type"] for answer in answers] == ["error"] * 5
    assert {error["extensions"]["code"] for answer in answers for error in answer["payload"]} == {"INVALID_INPUT"}
    assert len({str(answer["payload"]) for answer in answers}) == 1, "it is answered as one that nobody has"


async def test_nobody_hears_of_another_partners_events(
    api: Api, wire: Wire, other_tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    own = await api.payment()
    (first, *_) = (await api.ask("{ events { nodes { id } } }"))["events"]["nodes"]
    await wire.subscribe(EVENTS, after=first["id"])
    assert (await wire.receive())["payload"]["data"]["transactionEvents"]["sequence"] == 2

    await other.payment()
    await api.operate("capture", own["id"])

    assert (await wire.receive())["payload"]["data"]["transactionEvents"]["payment"]["id"] == own["id"]


# --- Operations are each other's strangers ----------------------------------------------------------------------------


async def test_queries_and_mutations_are_served_too(api: Api, wire: Wire) -> None:
    await wire.subscribe(VIEWER, "a")

    answers = [await wire.receive(), await wire.receive()]

    assert [(each["id"], each["type"]) for each in answers] == [("a", "next"), ("a", "complete")]
    assert answers[0]["payload"]["data"] == await api.ask(VIEWER)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("subscription {", "Syntax Error"),
        ("{ nothing }", "Cannot query field"),
        ("", "query"),
        ("subscription A { transactionEvents { id } } subscription B { transactionEvents { id } }", "several operations"),
        ("subscription { transactionEvents(types: [NONE]) { id } }", "EventType"),
    ],
)
async def test_a_bad_operation_is_its_own_error_and_others_go_on(api: Api, wire: Wire, query: str, says: str) -> None:
    await wire.subscribe(query, "bad")
    error = await wire.receive()
    await wire.subscribe(VIEWER, "bad")
    fine = await wire.receive()

    assert (error["id"], error["type"]) == ("bad", "error")
    assert says in error["payload"][0]["message"]
    assert fine["type"] == "next"


async def test_a_stream_that_breaks_ends_with_an_error_and_not_as_if_it_were_complete(
    api: Api, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> Any:
        raise RuntimeError("secret")
        yield

    monkeypatch.setattr(api.app.state.house.feed, "follow", broken)
    await wire.subscribe(EVENTS)

    message = await wire.receive()

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "INTERNAL_ERROR"
    assert "secret" not in str(message)


async def test_a_key_without_the_scope_is_told_before_the_stream_begins(api: Api, live: str, owner: Database) -> None:
    async with owner.tenant(api.tenant) as tx:
        await tx.execute(text("update api_keys set scopes = '{payments:read}' where tenant_id = :tenant"), {"tenant": api.tenant})

    async with Wire(live) as wire:
        await wire.init(api.key)
        await wire.subscribe(EVENTS)
        message = await wire.receive()

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"] == {"code": "FORBIDDEN", "scope": "events:read"}


async def test_complete_ends_a_stream_and_frees_its_id(api: Api, wire: Wire) -> None:
    await wire.subscribe(EVENTS)
    await wire.send({"type": "complete", "id": "1"})
    await wire.subscribe(VIEWER)

    assert (await wire.receive())["type"] == "next"
    assert (await wire.receive())["type"] == "complete"


async def test_a_connection_has_so_many_operations_and_no_more(wire: Wire) -> None:
    for number in range(MAX_OPERATIONS):
        await wire.subscribe(EVENTS, str(number))
    await wire.subscribe(EVENTS, "one more")

    message = await wire.receive()

    assert (message["id"], message["type"]) == ("one more", "error")
    assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"


# --- The connection ---------------------------------------------------------------------------------------------------


async def test_a_ping_is_answered(wire: Wire) -> None:
    await wire.send({"type": "ping"})

    assert await wire.receive() == {"type": "pong"}


@pytest.mark.parametrize("payload", [None, {}, {"authorization": "Bearer gp_live_nonsense"}, {"authorization": 5}, "x"])
async def test_without_a_good_key_the_connection_is_closed(live: str, payload: Any) -> None:
    async with Wire(live) as wire:
        await wire.send({"type": "connection_init", "payload": payload})

        code, reason = await wire.closed()

    assert code == 4401
    assert "API key" in reason


@pytest.mark.parametrize(
    "message",
    ["nonsense", "null", "[]", '{"type": 5}', '{"type": "start"}', '{"type": "subscribe"}', b"\x00", '{"type":"complete"}'],
)
async def test_what_is_no_message_of_the_protocol_closes_the_connection(wire: Wire, message: Any) -> None:
    await wire.send(message)

    assert (await wire.closed())[0] == 4400


async def test_the_first_message_has_to_come_soon(live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_ws, "INIT_S", 0.01)

    async with Wire(live) as wire:
        assert (await wire.closed())[0] == 4408


async def test_an_operation_before_the_first_message_is_refused(live: str) -> None:
    async with Wire(live) as wire:
        await wire.subscribe(VIEWER)

        assert (await wire.closed())[0] == 4401


async def test_a_second_first_message_is_refused(api: Api, wire: Wire) -> None:
    await wire.send({"type": "connection_init", "payload": {"authorization": f"Bearer {api.key}"}})

    assert (await wire.closed())[0] == 4429


async def test_a_reason_fits_its_frame_whatever_the_client_wrote(wire: Wire) -> None:
    """A close frame holds 123 bytes of it, and characters may take four each."""
    for _ in range(2):
        await wire.subscribe(EVENTS, "é€😀" * 60)

    code, reason = await wire.closed()

    assert code == 4409
    assert reason.startswith("Subscriber for é€😀")


async def test_while_the_database_is_away_a_client_is_told_to_come_again(
    api: Api, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise DatabaseAway("test")

    monkeypatch.setattr(api.app.state.connections.authentication, "caller", away)
    async with Wire(live) as wire:
        await wire.send({"type": "connection_init", "payload": {"authorization": f"Bearer {api.key}"}})

        assert (await wire.closed())[0] == 1013


async def test_an_id_in_use_is_refused(wire: Wire) -> None:
    await wire.subscribe(EVENTS, "same")
    await wire.subscribe(EVENTS, "same")

    assert await wire.closed() == (4409, "Subscriber for same already exists")


@pytest.mark.parametrize("subprotocol", [None, "graphql-ws"])
async def test_other_subprotocols_are_refused(live: str, subprotocol: str | None) -> None:
    async with Wire(live, subprotocol) as wire:
        assert await wire.closed() == (4406, f"We speak {SUBPROTOCOL}.")


async def test_the_server_pings_a_quiet_connection(api: Api, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_ws, "PING_S", 0.01)

    async with Wire(live) as wire:
        await wire.init(api.key)

        assert await wire.socket.recv() == '{"type":"ping"}'


async def test_too_many_connections_with_one_key_are_refused(api: Api, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STREAMS_OF_A_KEY", 1)

    async with Wire(live) as first:
        await first.init(api.key)
        async with Wire(live) as second:
            await second.send({"type": "connection_init", "payload": {"authorization": f"Bearer {api.key}"}})
            assert await second.receive() == {"type": "connection_ack"}
            refused, _ = await second.closed()
    while api.app.state.connections.limits.streams:  # noqa: ASYNC110 - the server hears of the end a moment later
        await asyncio.sleep(0)
    async with Wire(live) as third:
        await third.init(api.key)
        await third.subscribe(VIEWER)
        served = await third.receive()

    assert refused == 4429
    assert served["type"] == "next"


def narrow_socket(address: str) -> socket.socket:
    """A connection whose kernel keeps little that nobody reads."""
    host, _, port = address.partition("/")[0].partition(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((host, int(port)))
    return made


async def test_a_client_that_does_not_read_is_cut_off_and_can_go_on(api: Api, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off = asyncio.Event()

    async def close(to: Any, closed: Any) -> None:
        cut_off.set()
        await original(to, closed)

    original = graphql_ws._close
    monkeypatch.setattr(graphql_ws, "_close", close)
    monkeypatch.setattr(graphql_ws, "SEND_S", 0.05)
    wide = "query { " + " ".join(f"f{number}: __schema {{ types {{ name description }} }}" for number in range(40)) + " }"

    async with Wire(live, max_queue=1, sock=narrow_socket(live)) as wire:
        await wire.init(api.key)
        for number in range(30):
            await wire.subscribe(wide, str(number))
        await asyncio.wait_for(cut_off.wait(), PATIENCE_S)
        with suppress(ConnectionClosed):
            while True:  # it reads again, and finds out why
                await wire.socket.recv()
        code, _ = await wire.closed()

    assert code == 4513


async def test_a_revoked_key_ends_its_streams_and_nobody_elses(
    api: Api, live: str, wire: Wire, make_key: Callable[..., Awaitable[str]]
) -> None:
    payment = await api.payment()
    (first, *_) = (await api.ask("{ events { nodes { id } } }"))["events"]["nodes"]
    key_id = (await api.ask("{ viewer { apiKey { id } } }"))["viewer"]["apiKey"]["id"]
    colleague = api.as_somebody(api.tenant, await make_key(api.tenant))
    async with Wire(live) as other:
        await other.init(colleague.key)
        for each in (wire, other):
            await each.subscribe(EVENTS, after=first["id"])
            assert (await each.receive())["type"] == "next"

        await colleague.ask(REVOKE, input={"idempotencyKey": api.fresh("key"), "apiKeyId": key_id})
        ending = await wire.closed()
        await colleague.operate("capture", payment["id"])
        goes_on = [(await other.receive())["payload"]["data"]["transactionEvents"]["type"] for _ in range(2)]

    assert ending == (4401, Unauthenticated.REVOKED_KEY.value)
    assert goes_on == ["API_KEY_REVOKED", "PAYMENT_CAPTURED"]


async def test_a_test_key_without_a_sandbox_is_told_so(api: Api, live: str, make_key: Callable[..., Awaitable[str]]) -> None:
    async with Wire(live) as wire:
        key = await make_key(tenant_of(api.tenant, Mode.TEST))
        await wire.send({"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}})

        code, reason = await wire.closed()

    assert code == 4403
    assert "sandbox" in reason


async def test_a_subscription_by_post_is_told_where_to_go(api: Api) -> None:
    response = await api.post({"query": EVENTS}, Accept="application/graphql-response+json")

    assert response.status_code == 400
    assert "ubscription" in response.json()["errors"][0]["message"]


# --- Limits -----------------------------------------------------------------------------------------------------------


async def test_an_operation_says_what_it_cost(wire: Wire) -> None:
    await wire.subscribe(VIEWER)

    assert (await wire.receive())["payload"]["extensions"]["cost"]["requested"] >= 1


async def test_an_operation_that_is_turned_away_is_its_own_error(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Rate(STREAM - 1, 1, every_s=3600)
    monkeypatch.setattr(caller_module, "TIERS", {TierName.ENTERPRISE: Tier(small, small, 1, 1)})

    await wire.subscribe(EVENTS)
    message = await wire.receive()
    await wire.subscribe(VIEWER)
    fine = await wire.receive()

    assert message["type"] == "error"
    (error,) = message["payload"]
    assert error["extensions"]["code"] == "COST_EXCEEDED"
    assert fine["type"] == "next"


async def test_events_over_the_limit_are_late_and_not_lost(api: Api, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    async def pace(caller: Any) -> None:
        waits.append(caller.tenant_id)
        await asyncio.sleep(0)

    monkeypatch.setattr(api.app.state.connections.limits, "pace", pace)
    payment = await api.payment()
    (first, *_) = (await api.ask("{ events { nodes { id } } }"))["events"]["nodes"]
    async with Wire(live) as wire:
        await wire.init(api.key)
        await wire.subscribe(EVENTS, after=first["id"])
        await api.operate("capture", payment["id"])
        await api.operate("refund", payment["id"])
        sequences = [(await wire.receive())["payload"]["data"]["transactionEvents"]["sequence"] for _ in range(3)]

    assert sequences == [2, 3, 4]
    assert waits == [api.tenant] * 2, "the first event is in the price of the subscription"


async def test_requests_in_flight_are_counted_on_a_socket_too_and_streams_are_not(
    api: Api, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    ample = Rate(10**6, 1)
    monkeypatch.setattr(caller_module, "TIERS", {TierName.ENTERPRISE: Tier(ample, ample, 1, 1)})
    caller = await api.app.state.connections.authentication.caller(f"Bearer {api.key}", ip_address("127.0.0.1"))

    for name in ("stream", "another"):
        await wire.subscribe(EVENTS, name)
    await wire.subscribe(VIEWER, "fits")
    fits = [await wire.receive(), await wire.receive()]
    with api.app.state.connections.limits.place(caller):
        await wire.subscribe(VIEWER, "too many")
        refused = await wire.receive()

    assert [each["type"] for each in fits] == ["next", "complete"]
    assert (refused["id"], refused["type"]) == ("too many", "error")
    assert refused["payload"][0]["extensions"]["code"] == "TOO_MANY_AT_ONCE"


async def test_a_server_that_stops_says_that_it_comes_again(api: Api) -> None:
    async with listening(api.app) as address:
        wire = await Wire(address).__aenter__()
        await wire.init(api.key)
        await wire.subscribe(EVENTS)

    assert (await wire.closed())[0] == 1012
