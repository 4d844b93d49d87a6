"""The API on a real socket, in this process: for clients that follow streams, over WebSocket or as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import httpx
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.graphql_ws import SUBPROTOCOL
from app.server import server_of
from tests.conftest import PATIENCE_S


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    """Serve it as `partner-api serve` does; the address, without a scheme. Its lifespan is somebody else's."""
    server = server_of(app, outcome_wait_s=PATIENCE_S, port=0, lifespan="off")
    server.install_signal_handlers = lambda: None
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0)
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/graphql"
    finally:
        server.should_exit = True
        await serving


class Wire:
    """A client that shows each message."""

    def __init__(self, address: str, subprotocol: str | None = SUBPROTOCOL, **how: Any) -> None:
        self._opening = connect(f"ws://{address}", subprotocols=[subprotocol] if subprotocol else None, ping_interval=None, **how)
        self.socket: ClientConnection

    async def __aenter__(self) -> Self:
        self.socket = await self._opening
        return self

    async def __aexit__(self, *why: object) -> None:
        with suppress(ConnectionClosed):  # which it is, when the server was first
            await self.socket.close()

    async def send(self, message: Any) -> None:
        """A message, as JSON unless it is text already."""
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        """The next message that is no ping."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = json.loads(await self.socket.recv())
                if message != {"type": "ping"}:
                    return message

    async def init(self, key: str) -> None:
        """Show a key, and be let in."""
        await self.send({"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, name: str = "1", **variables: Any) -> None:
        """Begin an operation."""
        await self.send({"type": "subscribe", "id": name, "payload": {"query": query, "variables": variables}})

    async def closed(self) -> tuple[int, str]:
        """How the server ended it; what it sent before is not looked at."""
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.wait_closed()
        return self.socket.close_code or 0, self.socket.close_reason or ""


class Stream:
    """An event stream, and each of its messages. Opened by entering; `status` and `headers` are there then."""

    def __init__(
        self,
        address: str,
        key: str,
        query: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> None:
        self._http = httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S)
        sent = {"Accept": "text/event-stream", "Authorization": f"Bearer {key}", **(headers or {})}
        asked = {"query": query, "variables": variables}
        how: dict[str, Any] = {"json": asked}
        if method == "GET":
            how = {"params": {"query": query, "variables": json.dumps(variables)}}
        self._opening = self._http.stream(method, f"http://{address}", headers=sent, **how)
        self._lines: AsyncIterator[str]
        self.response: httpx.Response
        self.comments: list[str] = []

    async def __aenter__(self) -> Self:
        self.response = await self._opening.__aenter__()
        self._lines = self.response.aiter_lines()
        return self

    async def __aexit__(self, *why: Any) -> None:
        await self._opening.__aexit__(*why)
        await self._http.aclose()

    async def receive(self) -> dict[str, str] | None:
        """The next message with data or a name, by its fields; None: the stream has ended."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                name, _, value = line.partition(":")
                if line.startswith(":"):
                    self.comments.append(value.strip())
                elif line:
                    fields[name] = value.removeprefix(" ")
                elif "event" in fields or "data" in fields:
                    return fields
        return None

    async def next(self) -> Any:
        """The data of the next message, which is a result."""
        message = await self.receive()
        assert message is not None
        assert message["event"] == "next", message
        return json.loads(message["data"])
