"""Connections to the bank: aiohttp's, under httpx's interface. What matters here is the line between *never sent* and *sent*.

httpx's own pool looks at every connection for every request, so with a thousand calls in flight it costs more than all the rest;
aiohttp's cost does not grow. The adapter is our own because of that line: another one reports a server that hangs up without an
answer as a connection that was never made, and a hold that the bank may have made would not be looked for.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from weakref import WeakSet

import aiohttp
import httpx
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from bank.resolver import Resolver
from domain.failpoint import Failpoint, Reach, pass_on

POOL_WAIT_S = 5.0  # for one of our own connections to become free; nothing was sent
CONNECT_TIMEOUT_S = 2.0  # name, TCP and TLS: a bank that does not take a connection in this time is away; nothing was sent
READ_TIMEOUT_S = 12.0  # far above the bank's 2 s: hanging up is what loses keys (contract §7.1); below its own 15 s
TOTAL_TIMEOUT_S = 14.0  # a bank that drips its answer must not outlive the lease
KEEP_ALIVE_S = 3.0  # below every server's own, so that a request rarely meets a connection that is being closed
MAX_CONNECTIONS = 1_000  # what two seconds of the bank's latency hold at 500 calls a second; it serves fewer


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds. Tests have less of it."""

    pool_s: float = POOL_WAIT_S
    connect_s: float = CONNECT_TIMEOUT_S
    read_s: float = READ_TIMEOUT_S
    total_s: float = TOTAL_TIMEOUT_S
    keep_alive_s: float = KEEP_ALIVE_S


class SpokeUnasked(aiohttp.ClientError):
    """A kept connection has bytes that no request of ours asked for, or has ended. It was closed, and nothing was sent on it."""


NEVER_SENT: tuple[type[httpx.TransportError], ...] = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

# What an exception of aiohttp's means. The most specific class counts; what is not here, and not below one that is, counts as
# sent. aiohttp raises the first group while it makes a connection, before it hands it to the request.
MEANINGS: Mapping[type[BaseException], type[httpx.TransportError]] = {
    aiohttp.ClientConnectorError: httpx.ConnectError,  # refused, unreachable; with its kin: no such name, no TLS, a wrong certificate
    aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
    aiohttp.InvalidUrlClientError: httpx.ConnectError,
    aiohttp.NonHttpUrlClientError: httpx.ConnectError,
    SpokeUnasked: httpx.ConnectError,
    # From here on the bank may have the request. We follow no redirect; if one were followed, it had been answered.
    aiohttp.InvalidUrlRedirectClientError: httpx.RemoteProtocolError,
    aiohttp.NonHttpUrlRedirectClientError: httpx.RemoteProtocolError,
    aiohttp.ClientResponseError: httpx.RemoteProtocolError,  # what came is not HTTP, or too much of it
    aiohttp.ClientPayloadError: httpx.RemoteProtocolError,  # the answer broke off
    aiohttp.ServerDisconnectedError: httpx.RemoteProtocolError,  # closed, without an answer
    aiohttp.ClientConnectionResetError: httpx.WriteError,
    TimeoutError: httpx.ReadTimeout,
    Exception: httpx.ReadError,
}


def meaning_of(error: type[BaseException]) -> type[httpx.TransportError]:
    """httpx's word for an exception of aiohttp's."""
    return next(MEANINGS[each] for each in error.__mro__ if each in MEANINGS)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Connections to one bank, for one event loop. `reach` is told of the places where a crash test may end the process.

    Enforces all of the timeouts itself, the total included, and follows neither redirects nor cookies nor the environment's
    proxies. It never sends a request twice.
    """

    def __init__(
        self, *, reach: Reach = pass_on, patience: Patience = Patience(), max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self._reach = reach
        self._patience = patience
        self._free = asyncio.Semaphore(max_connections)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send once, and return when the status and the headers are there. Raises httpx.TransportError only."""
        total_s = self._patience.total_s - await self._take(request)
        try:
            answer = await self._send(request, await request.aread(), total_s)
            try:
                await self._reach(Failpoint.BANK_ANSWER_BEGUN)
                return httpx.Response(
                    answer.status, headers=answer.raw_headers, stream=_Body(answer, self._free.release), request=request
                )
            except BaseException:
                answer.close()
                raise
        except Exception as error:
            self._free.release()
            raise _as_httpx(error) from None  # its own words may repeat what the other side has said
        except BaseException:
            self._free.release()
            raise

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        if self._session is not None:
            await self._session.close()

    async def _take(self, request: httpx.Request) -> float:
        """Wait for a free connection, and return the seconds that it took."""
        if not self._free.locked():
            await self._free.acquire()
            return 0.0
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._patience.pool_s):
                await self._free.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection became free", request=request) from None
        return loop.time() - began

    async def _send(self, request: httpx.Request, body: bytes, total_s: float) -> aiohttp.ClientResponse:
        session = self._open_session()
        url = URL(str(request.url), encoded=True)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        timeout = aiohttp.ClientTimeout(
            total=total_s,
            connect=self._patience.connect_s,
            sock_read=self._patience.read_s,
            ceil_threshold=float("inf"),  # or it rounds 14 s up to a whole second of the loop's clock
        )
        while True:
            try:
                return await session.request(
                    request.method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
                )
            except SpokeUnasked:
                continue  # with another connection: kept ones are finite, a new one is never asked for what it has said

    def _open_session(self) -> aiohttp.ClientSession:
        """The session, made at its first use: it belongs to the event loop that runs then."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # the semaphore has counted already, and tells waiting for a connection from making one
                keepalive_timeout=self._patience.keep_alive_s,
                resolver=Resolver(),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,  # a proxy in the environment must not see card numbers
                request_class=_request_class(self._reach),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),  # httpx has set what there is to say
            )
        return self._session


class _Body(httpx.AsyncByteStream):
    """The answer's bytes as they are on the wire, without the transfer's framing."""

    def __init__(self, answer: aiohttp.ClientResponse, free: Callable[[], None]) -> None:
        self._answer = answer
        self._free: Callable[[], None] | None = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except Exception as error:
            raise _as_httpx(error) from None

    async def aclose(self) -> None:
        """Give the connection back, or close it if the answer has not been read to its end."""
        self._answer.release()
        if self._free is not None:
            self._free()
            self._free = None


def _as_httpx(error: Exception) -> httpx.TransportError:
    meaning = meaning_of(type(error))("the call to the bank failed")
    meaning.add_note(type(error).__name__)  # for whoever has to find out why; a class's name can't hold a card
    return meaning


def _request_class(reach: Reach) -> type[aiohttp.ClientRequest]:
    """A request that looks at its connection before it writes, and says when all of it has left us."""
    used: WeakSet[ResponseHandler] = WeakSet()

    class Request(aiohttp.ClientRequest):
        async def send(self, conn: Connection) -> aiohttp.ClientResponse:
            # aiohttp takes whatever comes on an idle connection, such as a proxy's 408 before it hangs up, for the answer to the
            # next request (its issue 13656). Here it would be another payment's. A connection that has ended is found out too.
            protocol = conn.protocol
            assert protocol is not None, "a connection comes with its protocol"
            if protocol in used and (protocol.should_close or _is_readable(protocol.transport)):
                raise SpokeUnasked
            used.add(protocol)
            return await super().send(conn)

        async def write_bytes(self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None) -> None:
            await super().write_bytes(writer, conn, content_length)
            if reach is not pass_on and await _is_written(conn):
                await reach(Failpoint.BANK_REQUEST_SENT)

    return Request


def _is_readable(transport: asyncio.Transport | None) -> bool:
    """Whether the kernel has something for us that the event loop has not read yet: bytes, or the end."""
    if transport is None or transport.is_closing():
        return True
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def _is_written(conn: Connection) -> bool:
    """Wait until the kernel has all of it; what it can't take at once stays with us. False: the connection ended before."""
    while (transport := conn.transport) is not None and not transport.is_closing():
        if transport.get_write_buffer_size() == 0:
            return True
        await asyncio.sleep(0)
    return False
