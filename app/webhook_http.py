"""Sends webhooks: aiohttp's connections, which go to public addresses and nowhere else.

Whoever names the URL is a stranger, and so is whoever answers. The host is checked by `domain.webhook_url` on every attempt. A name is
resolved here, and refused if any of its addresses is not public; what was checked is what is connected to, for the socket itself is
made only for an address that may be called: there is no second look-up to be cheated with, and no other way to a connection. No
redirect is followed, no proxy of the environment used, no cookie kept, and of an answer only the beginning is read.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bank.resolver import Resolver
from domain.webhook import Failure, Reply, shown
from domain.webhook_schedule import read_retry_after
from domain.webhook_url import may_be_called, read_url

CONNECT_TIMEOUT_S = 5.0  # name, TCP and TLS, from one continent to another
TOTAL_TIMEOUT_S = 15.0  # a receiver stores the message and answers; what takes longer belongs behind its answer
KEEP_ALIVE_S = 10.0  # below every server's own, and long enough for the next event of a busy partner
KNOWN_URLS = 10_000  # that were read before: some 2 kB each at most
READ_BYTES = 1_024  # of an answer: its beginning is shown, no more is needed to know its status
USER_AGENT = "partner-api-webhooks/1"
HEADERS = {"Content-Type": "application/json", "User-Agent": USER_AGENT}


class AddressRefused(OSError):
    """A name that leads, or an address that belongs, to where webhooks must not go."""


@dataclass(frozen=True, slots=True)
class WebhookPatience:
    """How long to wait for what, in seconds. Tests have less of it."""

    connect_s: float = CONNECT_TIMEOUT_S
    total_s: float = TOTAL_TIMEOUT_S


class WebhookHttp:
    """Connections to receivers, for one event loop. `development` lets them go to the desk itself.

    Tests hand in how names are looked up, and which certificates are good.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        development: bool,
        look_up: Callable[..., list[Any]] = socket.getaddrinfo,
        tls: ssl.SSLContext | None = None,
        patience: WebhookPatience = WebhookPatience(),
    ) -> None:
        self._now = now
        self._development = development
        self._read = lru_cache(KNOWN_URLS)(lambda url: read_url(url, development=development))
        self._resolver = CheckingResolver(Resolver(look_up), development=development)
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(
            total=patience.total_s,
            connect=patience.connect_s,
            ceil_threshold=float("inf"),  # or it rounds 15 s up to a whole second of the loop's clock
        )
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one message. Whatever happens is a Reply."""
        began = asyncio.get_running_loop().time()
        target = self._read(url)
        if isinstance(target, str):  # it was good when it was saved: the rules have changed, or the installation
            return Reply(None, Failure.ADDRESS_REFUSED, 0)
        try:
            status, answer, retry_after = await self._post(url, headers, body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, UnicodeError) as error:
            return Reply(None, failure_of(error), self._since(began))
        if 200 <= status < 300:
            return Reply(status, None, self._since(began), shown(answer))
        return Reply(status, Failure.STATUS, self._since(began), shown(answer), read_retry_after(retry_after, self._now()))

    async def close(self) -> None:
        """Close all connections, those in use too, and forget where names lead."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str | None]:
        try:
            return await self._post_once(url, headers, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            # A kept connection that its server was just closing. If the message has arrived after all, it has the same id.
            if isinstance(error, aiohttp.ClientConnectorError) or self._session is None:  # there is no server; or we are closing
                raise
            return await self._post_once(url, headers, body)

    async def _post_once(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str | None]:
        session = self._open_session()
        async with session.post(
            URL(url, encoded=True), headers={**HEADERS, **headers}, data=body, timeout=self._timeout, allow_redirects=False
        ) as answer:
            start = await answer.content.read(READ_BYTES)
            if not answer.content.at_eof():
                answer.close()  # reading on would be at the receiver's pleasure
            return answer.status, start, answer.headers.get("Retry-After")

    def _open_session(self) -> aiohttp.ClientSession:
        """The session, made at its first use: it belongs to the event loop that runs then."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # the courier has counted already
                keepalive_timeout=KEEP_ALIVE_S,
                resolver=self._resolver,
                socket_factory=self._make_socket,
                ssl=self._tls or True,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a bomb stays packed
                trust_env=False,
                skip_auto_headers=("Accept", "Accept-Encoding"),
            )
        return self._session

    def _make_socket(self, address: Any) -> socket.socket:
        """The last door: aiohttp asks for a socket for each address that it is about to connect to, and connects to no other."""
        family, kind, protocol, _, place = address
        if not is_allowed(place[0], development=self._development):
            raise AddressRefused("this address must not be called")
        return socket.socket(family, kind, protocol)

    @staticmethod
    def _since(began: float) -> int:
        return round((asyncio.get_running_loop().time() - began) * 1000)


class CheckingResolver(AbstractResolver):
    """Names to addresses. One that leads to any that must not be called is refused: a good one among them proves nothing."""

    def __init__(self, inner: AbstractResolver, *, development: bool) -> None:
        self._inner = inner
        self._development = development

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises AddressRefused, and OSError when there is none."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_allowed(each["host"], development=self._development) for each in found):
            raise AddressRefused("this name must not be called")
        return found

    async def close(self) -> None:
        """Close what is below."""
        await self._inner.close()


def is_allowed(text: str, *, development: bool) -> bool:
    """Whether an address, as the system spells it, may be called. What can't be read may not."""
    try:
        return may_be_called(ip_address(text), development=development)
    except ValueError:
        return False


def failure_of(error: BaseException) -> Failure:
    """What an exception of aiohttp's means for the log."""
    causes = [error, error.__cause__, getattr(error, "os_error", None)]
    if any(isinstance(each, AddressRefused) for each in causes):
        return Failure.ADDRESS_REFUSED
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Failure.NAME_UNKNOWN
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Failure.TLS_FAILED
        case TimeoutError():
            return Failure.TIMED_OUT
        case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
            return Failure.NOT_CONNECTED
        case _:
            return Failure.BROKEN_OFF
