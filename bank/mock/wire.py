"""The connection: one request's side of it, what can be noticed about it, and the ways an answer fails to arrive.

What a plain ASGI server can't do, which is to close the socket without an answer, needs the transport;
`bank.mock.serve` hands it over in the scope. Without one (in tests) `AnswerDropped` is raised instead.
"""

import asyncio
import socket
import struct
from typing import Any, Final

from starlette.types import Message, Receive, Scope, Send

from bank.mock.answers import Answer
from bank.mock.chaos import Sleep
from bank.mock.errors import AnswerDropped, Undecodable

TRANSPORT: Final = "bank.transport"
# The largest honest body has some 200 bytes; without a limit one request could fill the memory.
MAX_BODY_BYTES: Final = 1_048_576
# Gives the event loop a turn to hand the first half of a body to the kernel before the connection is cut.
_FLUSH_S: Final = 0.02
# SO_LINGER on, zero seconds: closing sends RST, not FIN.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, sleep: Sleep) -> None:
        self._receive = receive
        self._send = send
        self._sleep = sleep
        self._transport: Any = scope.get("extensions", {}).get(TRANSPORT)
        self._client_left = False

    async def read_body(self) -> bytes:
        """All of the body; raises `Undecodable` past the limit."""
        body: bytes = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._client_left = True
                return body
            body += message.get("body") or b""
            if len(body) > MAX_BODY_BYTES:
                raise Undecodable("the body is too large")
            if not message.get("more_body", False):
                return body

    def client_has_left(self) -> bool:
        """Whether `http.disconnect` is waiting on the receive channel; call it after `read_body`.

        One step of `receive()` without waiting: either it has a message at once, or it would have to wait, which
        means that the client is still there. A task per request would find out the same for twenty times the cost.
        """
        if not self._client_left:
            step = self._receive().__await__()
            try:
                next(step)
            except StopIteration as done:
                message: Message = done.value
                self._client_left = message["type"] == "http.disconnect"
            else:
                step.close()
        return self._client_left

    async def send(self, answer: Answer) -> None:
        """The whole answer, in one go."""
        await self._start(answer)
        await self._send({"type": "http.response.body", "body": answer.body})

    async def drip(self, answer: Answer, pause_s: float) -> None:
        """The answer, byte by byte."""
        await self._start(answer)
        for place in range(len(answer.body)):
            await self._send({"type": "http.response.body", "body": answer.body[place : place + 1], "more_body": True})
            await self._sleep(pause_s)
        await self._send({"type": "http.response.body", "body": b""})

    async def reset_mid_body(self, answer: Answer) -> None:
        """The head, half of the body that the head promises, and a reset."""
        await self._start(answer)
        half = answer.body[: len(answer.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await self._sleep(_FLUSH_S)
        await self.drop(reset=True)

    async def hang(self, bound_s: float) -> None:
        """Wait until the client hangs up, or for `bound_s`."""
        leaving = asyncio.ensure_future(self._until_client_leaves())
        bound = asyncio.ensure_future(self._sleep(bound_s))
        try:
            await asyncio.wait({leaving, bound}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            bound.cancel()

    async def drop(self, *, reset: bool = False) -> None:
        """Close the connection with no (further) answer; over no real connection, raise `AnswerDropped`."""
        if self._transport is None:
            if self._client_left:
                return
            raise AnswerDropped("the bank closed the connection")
        if reset:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
        await self._until_client_leaves()

    async def _start(self, answer: Answer) -> None:
        length = (b"content-length", b"%d" % len(answer.body))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, length]})

    async def _until_client_leaves(self) -> None:
        while not self._client_left:
            self._client_left = (await self._receive())["type"] == "http.disconnect"
