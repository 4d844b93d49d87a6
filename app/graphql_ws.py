"""GraphQL over WebSocket: the protocol `graphql-transport-ws`, of the npm package `graphql-ws`, and not its predecessor.

close   why                                                             a client should
1012    the process stops                                               connect again, and go on behind its last event
1013    the database is away                                            connect again in a moment
4400    a message that is none of the protocol's                        be mended
4401    no key or a bad one; a key that was revoked or has run out      use another key
4403    a good key that is not let in                                   ask our staff
4406    another subprotocol                                             speak graphql-transport-ws
4408    no connection_init in time                                      send it first
4409    an id that is in use on this connection                         count its ids up
4429    a second connection_init; too many connections with this key    keep to one
4513    it did not read what it was sent                                read faster, and go on behind its last event

Whatever is wrong with one operation is an `error` for that one; the others on the connection go on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, nullcontext
from enum import IntEnum
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.authentication import Authentication
from app.client_address import client_address
from app.limits import Limits, TurnedAway
from app.operation import Operation, Unservable
from app.origins import Origins
from app.results import Broken, Results
from domain.access import NOT_FOR_YOU, Refused, Unauthenticated
from domain.api_key import Network
from domain.caller import Caller
from persistence.database import DatabaseAway
from resolvers.context import Context

SUBPROTOCOL = "graphql-transport-ws"
MAX_MESSAGE_BYTES = 256 * 1024  # as of a request's body
INIT_S = 10.0  # for the first message; a client sends it with the first packet
PING_S = 20.0  # a proxy closes what is quiet for a minute; and a client that is gone is noticed
SEND_S = 10.0  # for the client to take a message when the network's buffers are full
CLOSE_S = 20.0  # and then for the buffers to take the close frame: who reads on by then learns why, others see the connection end
REASON_BYTES = 123  # what a close frame holds beside its code (RFC 6455 §5.5)
MAX_OPERATIONS = 50  # of a connection; a dashboard has a handful

log = logging.getLogger(__name__)


class Close(IntEnum):
    """Why a connection was closed; see this file's beginning."""

    TRY_AGAIN = 1013
    BAD_MESSAGE = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL = 4406
    INIT_TIMEOUT = 4408
    ID_IN_USE = 4409
    TOO_MANY = 4429
    TOO_SLOW = 4513


class _Closed(Exception):
    """This connection is to be closed by us."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES].decode(errors="ignore")


class Connections:
    """Serves WebSocket connections. `until_refused` ends when a caller is not let in any more, and says why."""

    def __init__(
        self,
        results: Results,
        authentication: Authentication,
        context_for: Callable[[Caller, str], Context],
        new_request_id: Callable[[], str],
        until_refused: Callable[[Caller], Awaitable[Unauthenticated]],
        limits: Limits,
        *,
        origins: Origins,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self.results = results
        self.authentication = authentication
        self._context_for = context_for
        self._new_request_id = new_request_id
        self.limits = limits
        self.until_refused = until_refused
        self._origins = origins
        self._trusted_proxies = trusted_proxies

    def context_of(self, caller: Caller) -> Context:
        """A new one for each operation. Raises Unservable where the caller can't be served here."""
        return self._context_for(caller, self._new_request_id())

    async def __call__(self, socket: WebSocket) -> None:
        """One connection, to its end."""
        speaks = SUBPROTOCOL in socket.scope["subprotocols"]
        await socket.accept(SUBPROTOCOL if speaks else None)
        try:
            if not speaks:
                raise _Closed(Close.SUBPROTOCOL, f"We speak {SUBPROTOCOL}.")
            await self._serve(Connection(self, socket))
        except _Closed as closed:
            await _close(socket, closed)
        except WebSocketDisconnect:
            pass

    async def _serve(self, connection: "Connection") -> None:
        caller = await connection.begin(lambda text: self._caller(text, connection.socket))
        with self.limits.stream(caller) as full:
            if full is not None:
                raise _Closed(Close.TOO_MANY, full.message)
            await connection.serve(caller)

    async def _caller(self, authorization: str, socket: WebSocket) -> Caller:
        try:
            caller = await self.authentication.caller(authorization, client_address(socket, self._trusted_proxies))
        except DatabaseAway as error:
            log.warning("the database is away: %s", error)
            raise _Closed(Close.TRY_AGAIN, "The service can't reach its database. Connect again in a moment.") from None
        if isinstance(caller, Refused):
            raise refused(caller.why)
        if not self._origins.lets_in(caller.partner, socket.headers.get("origin"), socket.headers.get("host")):
            raise refused(Unauthenticated.ORIGIN_NOT_ALLOWED)
        try:
            self.context_of(caller)
        except Unservable as error:  # there is no sandbox, say
            raise _Closed(Close.FORBIDDEN, error.message) from None
        return caller


def refused(why: Unauthenticated) -> _Closed:
    """The end of a connection that is not let in, or not any more."""
    return _Closed(Close.FORBIDDEN if why in NOT_FOR_YOU else Close.UNAUTHENTICATED, why.value)


class Connection:
    """One connection: its operations, each a task, and what it has been promised."""

    def __init__(self, house: Connections, socket: WebSocket) -> None:
        self.socket = socket
        self._house = house
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()

    async def begin(self, authenticate: Callable[[str], Awaitable[Caller]]) -> Caller:
        """The first message, which has the key."""
        try:
            async with asyncio.timeout(INIT_S):
                message = await self._receive()
        except TimeoutError:
            raise _Closed(Close.INIT_TIMEOUT, "Send connection_init first.") from None
        if message["type"] != "connection_init":
            raise _Closed(Close.UNAUTHENTICATED, "Send connection_init first.")
        payload = message.get("payload")
        authorization = payload.get("authorization") if isinstance(payload, dict) else None
        caller = await authenticate(authorization if isinstance(authorization, str) else "")
        await self._send({"type": "connection_ack"})
        return caller

    async def serve(self, caller: Caller) -> None:
        """Until either side ends it. Raises _Closed or WebSocketDisconnect."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._read(caller, group), self._ping(), self._watch(caller)):
                    group.create_task(work)
        except* (_Closed, WebSocketDisconnect) as ends:
            end = ends.exceptions[0]
            while isinstance(end, BaseExceptionGroup):
                end = end.exceptions[0]
            raise end from None

    async def _read(self, caller: Caller, group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._receive()
            match message:
                case {"type": "subscribe", "id": str(key), "payload": dict(payload)}:
                    await self._begin_operation(caller, key, payload, group)
                case {"type": "complete", "id": str(key)}:
                    if (task := self._operations.pop(key, None)) is not None:
                        task.cancel()
                case {"type": "ping"}:
                    await self._send({"type": "pong"})
                case {"type": "pong"}:
                    pass
                case {"type": "connection_init"}:
                    raise _Closed(Close.TOO_MANY, "Too many initialisation requests.")
                case _:
                    raise _Closed(Close.BAD_MESSAGE, f"This is no message of {SUBPROTOCOL}.")

    async def _begin_operation(self, caller: Caller, key: str, payload: dict[str, Any], group: asyncio.TaskGroup) -> None:
        if key in self._operations:
            raise _Closed(Close.ID_IN_USE, f"Subscriber for {key} already exists")
        if len(self._operations) >= MAX_OPERATIONS:
            message = f"A connection has up to {MAX_OPERATIONS} operations at a time. Complete one, or open another connection."
            await self._send_errors(key, [_error("TOO_MANY_OPERATIONS", message)])
            return
        query, variables, name = payload.get("query"), payload.get("variables"), payload.get("operationName")
        if not isinstance(query, str) or not isinstance(variables, dict | None) or not isinstance(name, str | None):
            raise _Closed(Close.BAD_MESSAGE, "A subscribe message's payload is { query, variables, operationName }.")
        if not query:
            await self._send_errors(key, [_error("BAD_REQUEST", '"query" is empty.')])
            return
        self._operations[key] = group.create_task(self._operate(caller, key, Operation(query, variables, name or None)))

    async def _operate(self, caller: Caller, key: str, operation: Operation) -> None:
        """One operation to its end. Whatever goes wrong in it ends it, and nothing else.

        What has one answer takes one of the partner's places, as over HTTP; a stream is none of his requests in flight.
        """
        limits = self._house.limits
        try:
            is_stream = limits.is_stream(operation.query, operation.operation_name)
            with nullcontext() if is_stream else limits.place(caller) as full:
                if full is not None:
                    await self._send_errors(key, [_error_of(full)])
                else:
                    await self._answer(caller, key, operation)
        except Broken as broken:
            await self._send_errors(key, broken.errors)
        finally:
            if self._operations.get(key) is asyncio.current_task():
                del self._operations[key]

    async def _answer(self, caller: Caller, key: str, operation: Operation) -> None:
        """Charge it, execute it, and send its results."""
        context = self._house.context_of(caller)
        admitted = await self._house.limits.admit(
            caller, operation.query, operation.operation_name, operation.variables, is_dry=False
        )
        if isinstance(admitted, TurnedAway):
            await self._send_errors(key, [_error_of(admitted)])
            return
        begins = b'{"id":' + orjson.dumps(key) + b',"type":"next","payload":'
        async with aclosing(self._house.results.of(caller, context, operation, admitted)) as results:
            async for result in results:
                if result.body:
                    await self._send_text(begins + result.body + b"}")
        if self._operations.pop(key, None) is not None:
            await self._send({"id": key, "type": "complete"})

    async def _send_errors(self, key: str, errors: Sequence[dict[str, Any]]) -> None:
        self._operations.pop(key, None)  # its id is free before the client hears of the end
        await self._send({"id": key, "type": "error", "payload": errors})

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            await self._send({"type": "ping"})

    async def _watch(self, caller: Caller) -> None:
        raise refused(await self._house.until_refused(caller))

    async def _receive(self) -> dict[str, Any]:
        message = await self.socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text = message.get("text")
        try:
            content = orjson.loads(text) if text is not None and len(text) <= MAX_MESSAGE_BYTES else None
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("type"), str):
            raise _Closed(Close.BAD_MESSAGE, f"This is no message of {SUBPROTOCOL}.")
        return content

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(message))

    async def _send_text(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(SEND_S), self._sending:
                await self.socket.send({"type": "websocket.send", "text": message.decode()})
        except TimeoutError:
            raise _Closed(Close.TOO_SLOW, "You did not read what you were sent. Go on behind your last event.") from None


def _error(code: str, message: str, **extensions: Any) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code, **extensions}}


def _error_of(turned_away: TurnedAway) -> dict[str, Any]:
    extensions = dict(turned_away.extensions)
    if turned_away.retry_after_ms is not None:
        extensions["retryAfterMs"] = turned_away.retry_after_ms
    return _error(turned_away.code, turned_away.message, **extensions)


async def _close(socket: WebSocket, closed: _Closed) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await socket.close(closed.code, closed.reason)
    except (TimeoutError, WebSocketDisconnect, RuntimeError):  # gone already
        log.debug("a connection was gone before it was closed: %s", closed.reason)
