"""GraphQL over server-sent events: the distinct connections mode of the npm package `graphql-sse`. One operation, one stream.

event: next          one result; `id:` is the id of the event that it is about, and where `Last-Event-ID` goes on
event: complete      there is no more, and asking again would not help
: ping               nothing happens; it keeps proxies from closing the connection

Without `complete` the stream was cut, by us or on the way: ask again with `Last-Event-ID`. What is wrong with the request as HTTP has it
(no good key, no JSON, over the limits) is answered with a status, before a stream begins. What is wrong with the operation is a `next` with
errors, then `complete`: so the protocol wants it, for a browser's EventSource shows no other answer.

A stream begins with the id that it begins behind, so that whoever is cut off before the first event misses nothing either.

Last-Event-ID takes the place of the argument `after`: whoever comes back repeats the request as it was, with the `after` that it once
began behind; only the header knows how far it came since.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from typing import Any

import orjson
from graphql import OperationType
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.limits import Charged, Limits, TurnedAway
from app.operation import READING, Operation, Unservable, read_operation
from app.results import Broken, Result, Results
from domain.access import NOT_FOR_YOU, Unauthenticated
from domain.caller import Caller
from resolvers.context import Context

EVENT_STREAM = "text/event-stream"
LAST_EVENT_ID = "Last-Event-ID"
PING_S = 20.0  # a proxy closes what is quiet for a minute
SEND_S = 10.0  # for the client to take a message when the network's buffers are full
LAST_WORD_S = 20.0  # and then to read on and learn why it ends
RETRY_MS = 1_000  # after which a browser comes back; all of a process that stops must not come in the same moment as one
COMPLETE = b"event: complete\ndata:\n\n"
PING = b": ping\n\n"
STOPPING = b": the process stops; come back with Last-Event-ID\n\n"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events until it has a buffer full of them
}

log = logging.getLogger(__name__)


class EventStreams:
    """Begins event streams. `until_refused` ends when a caller is not let in any more, and says why. `stop` ends them all."""

    def __init__(self, results: Results, limits: Limits, until_refused: Callable[[Caller], Awaitable[Unauthenticated]]) -> None:
        self.results = results
        self.limits = limits
        self.until_refused = until_refused
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        """End all streams, so that their clients go on elsewhere: the process takes no requests any more."""
        self.stopping.set()

    async def begin(self, request: Request, caller: Caller, context: Context) -> "EventStream | TurnedAway":
        """Read the operation and charge it. Raises Unservable."""
        if request.method == "HEAD":
            raise Unservable(405, "A stream has no HEAD; use GET or POST.", code="METHOD_NOT_ALLOWED", Allow="GET, POST")
        operation = await read_operation(request)
        kind = self.limits.kind(operation.query, operation.operation_name)
        if kind is OperationType.MUTATION and request.method in READING:
            message = "Mutations are not allowed when using GET; use POST."
            raise Unservable(405, message, code="METHOD_NOT_ALLOWED", Allow="POST")
        context.last_event_id = request.headers.get(LAST_EVENT_ID) or None
        with ExitStack() as held:  # a stream has one of the key's streams, everything else one of the partner's places
            is_stream = kind is OperationType.SUBSCRIPTION
            full = held.enter_context(self.limits.stream(caller) if is_stream else self.limits.place(caller))
            if full is not None:
                return full
            admitted = await self.limits.admit(
                caller, operation.query, operation.operation_name, operation.variables, is_dry=operation.is_dry
            )
            if isinstance(admitted, TurnedAway):
                return admitted
            return EventStream(self, caller, context, operation, admitted, held.pop_all())
        raise AssertionError("nothing in there is suppressed")


class EventStream(Response):
    """One operation's results as they come."""

    def __init__(
        self,
        house: EventStreams,
        caller: Caller,
        context: Context,
        operation: Operation,
        charged: Charged,
        held: ExitStack,
    ) -> None:
        super().__init__(headers={**HEADERS, **charged.headers, "Content-Type": f"{EVENT_STREAM}; charset=utf-8"})
        del self.headers["content-length"]
        self._house = house
        self._caller, self._context = caller, context
        self._operation, self._charged = operation, charged
        self._held = held
        self._sending = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as Starlette calls it
        """The stream, to its end."""
        with self._held:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            last_word = await self._first_end(receive, send)
            try:
                async with asyncio.timeout(LAST_WORD_S):
                    await send({"type": "http.response.body", "body": last_word})
            except TimeoutError:  # it reads nothing; the kernel drops the connection: see app.server
                log.debug("a client did not read how its stream ended")

    async def _first_end(self, receive: Receive, send: Send) -> bytes:
        """Wait until anything ends the stream. What is to be said about that."""

        async def body(message: bytes) -> None:
            async with self._sending, asyncio.timeout(SEND_S):
                await send({"type": "http.response.body", "body": message, "more_body": True})

        ends = [
            asyncio.create_task(end)
            for end in (self._write(body), self._ping(body), self._watch(), self._until_gone(receive), self._until_stopped())
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        except TimeoutError:
            return _next([_error("TOO_SLOW", "You did not read what you were sent. Come back with Last-Event-ID.")])
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _write(self, body: Callable[[bytes], Awaitable[None]]) -> bytes:
        await body(b"retry: %d\n\n" % RETRY_MS)
        if self._charged.is_dry:
            return _next_result(Result(orjson.dumps({"data": None, "extensions": self._charged.extensions}))) + COMPLETE
        try:
            async with aclosing(self._house.results.of(self._caller, self._context, self._operation, self._charged)) as results:
                async for result in results:
                    await body(_next_result(result))
        except Broken as broken:
            return _next(broken.errors) + (b"" if broken.is_weather else COMPLETE)
        return COMPLETE

    async def _ping(self, body: Callable[[bytes], Awaitable[None]]) -> bytes:
        while True:
            await asyncio.sleep(PING_S)
            await body(PING)

    async def _watch(self) -> bytes:
        why = await self._house.until_refused(self._caller)
        return _next([_error("FORBIDDEN" if why in NOT_FOR_YOU else "UNAUTHENTICATED", why.value, reason=why.name)]) + COMPLETE

    async def _until_stopped(self) -> bytes:
        await self._house.stopping.wait()
        return STOPPING

    @staticmethod
    async def _until_gone(receive: Receive) -> bytes:
        while (await receive())["type"] != "http.disconnect":
            pass
        return b""


def _error(code: str, message: str, **extensions: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code, **extensions}}


def _next(errors: list[dict[str, Any]]) -> bytes:
    return b"event: next\ndata: " + orjson.dumps({"errors": errors}) + b"\n\n"


def _next_result(result: Result) -> bytes:
    """orjson writes no line breaks, so the data is one line. An id alone is kept by a client, and shown to nobody."""
    event_id = b"" if result.event_id is None else b"id: " + result.event_id.encode() + b"\n"
    return event_id + b"\n" if not result.body else b"event: next\n" + event_id + b"data: " + result.body + b"\n\n"
