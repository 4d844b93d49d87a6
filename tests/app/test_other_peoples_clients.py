"""Clients that others wrote: Python's `gql` subscribes, is cut off in the middle, and goes on without a gap."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.app.serving import Api, DatabaseLine
from tests.app.sockets import listening

EVENTS = "subscription ($after: String) { transactionEvents(after: $after) { id sequence type } }"


@pytest.fixture
async def wires(api: Api) -> AsyncIterator[DatabaseLine]:
    """The line between the clients and the API, which can be cut."""
    async with listening(api.app) as address:
        relay = DatabaseLine(f"ws://{address}")
        await relay.restore()
        yield relay
        await relay.cut()


def client_of(api: Api, wires: DatabaseLine) -> Client:
    """A client as its documentation has it."""
    transport = WebsocketsTransport(
        url=f"ws://127.0.0.1:{wires.port}/graphql",
        init_payload={"authorization": f"Bearer {api.key}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    return Client(transport=transport)


async def follow(session: Any, after: str, seen: list[Any], until: Callable[[], Awaitable[bool]]) -> None:
    """Note the events behind one."""
    async with aclosing(session.subscribe(GraphQLRequest(EVENTS, variable_values={"after": after}))) as results:
        async for result in results:
            seen.append(result["transactionEvents"])
            if await until():
                return


async def test_gql_subscribes_is_cut_off_and_goes_on_without_a_gap(api: Api, wires: DatabaseLine) -> None:
    payment = await api.payment()
    (first, *_) = (await api.ask("{ events(first: 1) { nodes { id sequence } } }"))["events"]["nodes"]
    seen = [first]

    async def cut() -> bool:
        await wires.cut()
        return False

    async def all_four() -> bool:
        return len(seen) == 4

    session = await client_of(api, wires).connect_async()
    with pytest.raises(TransportConnectionFailed):
        await follow(session, first["id"], seen, cut)
    await session.client.close_async()
    await api.operate("capture", payment["id"])  # while nobody is connected
    await wires.restore()
    await api.operate("refund", payment["id"])
    async with client_of(api, wires) as session:
        await follow(session, seen[-1]["id"], seen, all_four)

    assert [event["sequence"] for event in seen] == [1, 2, 3, 4]


async def test_gql_raises_what_is_wrong_with_an_operation_and_its_connection_goes_on(api: Api, wires: DatabaseLine) -> None:
    async with client_of(api, wires) as session:
        stream = session.subscribe(GraphQLRequest(EVENTS, variable_values={"after": "evt_nothing"}))
        with pytest.raises(TransportQueryError, match="no event of yours"):
            await anext(stream)
        await stream.aclose()

        answer = await session.execute(GraphQLRequest("{ viewer { partner { name } } }"))

    assert answer == {"viewer": {"partner": {"name": "FicMart"}}}
