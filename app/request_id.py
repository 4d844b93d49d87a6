"""Each request gets an id of ours: it is in the answer's `X-Request-Id` and in the audit log. One that a client sends is not taken
over: it could be anything, a card number too.
"""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-Id"
RANDOM_BITS = 80  # among all requests of a century no two are alike


def new_request_id(random_bits: Callable[[int], int]) -> str:
    """A new one: `req_` and 20 hexadecimal digits."""
    return f"req_{random_bits(RANDOM_BITS):020x}"


class RequestId:
    """Pure ASGI: sets `request.state.request_id`, and the header of the answer. `random_bits(n)` gives n of them."""

    def __init__(self, app: ASGIApp, random_bits: Callable[[int], int]) -> None:
        self._app = app
        self._random_bits = random_bits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = new_request_id(self._random_bits)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message.setdefault("headers", [])
                MutableHeaders(scope=message).append(HEADER, request_id)
            await send(message)

        await self._app(scope, receive, send_with_id)
