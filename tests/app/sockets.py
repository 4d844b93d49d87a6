"""The API on a real socket, in this process: for clients that speak WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.graphql_ws import MAX_MESSAGE_BYTES, SUBPROTOCOL
from tests.conftest import PATIENCE_S


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    """Serve it as `partner-api serve` does; the address, without a scheme. Its lifespan is somebody else's."""
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_config=None, ws="websockets-sansio", ws_max_size=MAX_MESSAGE_BYTES, ws_ping_interval=None
    )
    server = uvicorn.Server(config)
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
