"""The API without sockets: the ASGI application over a real Postgres and the mock bank, and a client of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from starlette.applications import Starlette
from starlette.types import Message

from app.house import Transports
from app.main import create_app
from app.settings import ServeSettings
from domain.ids import IdKind, decode_id_of
from gateway.world import World

SECRETS = {"pepper": "cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHA=", "master_key": "bW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW0="}
NOWHERE = "redis://127.0.0.1:1/0"  # nothing listens there: without Redis everything works, later
CARD = {"number": "4111111111111111", "cvv": "123", "expiryMonth": 12, "expiryYear": 2030}
PAYMENT = """
fragment Payment on Payment {
  id reference orderId customerId state createdAt needsReview reviewReasons
  amount { minorUnits currency formatted }
  card { brand lastFour }
  history { state at }
  bankReferences { authorization capture void refund }
  decline { code message }
  pendingOperation { verb since attempts }
}
"""
ERROR = """
fragment Error on UserError {
  __typename code message path
  ... on InvalidInputError { problems { path message } }
  ... on InvalidTransitionError { paymentId currentState }
  ... on OrderAlreadyPaidError { paymentId currentState }
}
"""


def mutation(name: str) -> str:
    """A payment mutation's document."""
    wish = f"{name[0].upper()}{name[1:]}Input"
    return (
        f"mutation ($input: {wish}!) {{ {name}(input: $input) {{ "
        f"__typename ... on PaymentPayload {{ replayed payment {{ ...Payment }} }} ... on UserError {{ ...Error }} }} }}"
        f"{PAYMENT}{ERROR}"
    )


@dataclass
class Api:
    """A client with a key. Names that nobody cares about are counted up."""

    http: httpx.AsyncClient
    app: Starlette
    key: str
    tenant: UUID
    count: int = field(default=0)

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def as_somebody(self, tenant: UUID, key: str) -> "Api":
        """The same API with another partner's key."""
        return Api(self.http, self.app, key, tenant, self.count + 1_000_000)

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        """POST /graphql; bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **self.authorization}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post("/graphql", content=content, headers={name: value for name, value in sent.items() if value})

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        response = await self.post({"query": query, "variables": variables})
        answer = response.json()
        assert "errors" not in answer, answer
        assert response.status_code == 200
        return answer["data"]

    async def errors(self, query: str, **variables: Any) -> Any:
        """The errors of an answer that has some."""
        return (await self.post({"query": query, "variables": variables})).json()["errors"]

    def fresh(self, what: str) -> str:
        """A name that was not used before."""
        self.count += 1
        return f"{what}-{self.tenant.hex[-12:]}-{self.count}"

    def wish(self, **changes: Any) -> dict[str, Any]:
        """A good input of authorizePayment; `card` changes the card's fields, `amount` the minor units."""
        card = {**CARD, **changes.pop("card", {})}
        amount = changes.pop("amount", 1999)
        return {
            "idempotencyKey": self.fresh("key"),
            "orderId": self.fresh("order"),
            "customerId": "customer-1",
            "amount": {"minorUnits": amount, "currency": "USD"},
            "source": {"card": card},
        } | changes

    async def authorize(self, **changes: Any) -> Any:
        """authorizePayment's answer."""
        return (await self.ask(mutation("authorizePayment"), input=self.wish(**changes)))["authorizePayment"]

    async def operate(self, verb: str, payment: str, key: str | None = None) -> Any:
        """The answer of `capture`, `void` or `refund`."""
        wish = {"idempotencyKey": key or self.fresh("key"), "paymentId": payment}
        return (await self.ask(mutation(f"{verb}Payment"), input=wish))[f"{verb}Payment"]

    async def payment(self, **changes: Any) -> Any:
        """A new payment, AUTHORIZED unless the changes have it otherwise."""
        answer = await self.authorize(**changes)
        assert answer["__typename"] == "PaymentPayload", answer
        return answer["payment"]


def id_of(text: str) -> UUID:
    """The inner id of a payment."""
    value = decode_id_of(IdKind.PAYMENT, text)
    assert value is not None
    return value


def settings_for(database_url: str, **changes: Any) -> ServeSettings:
    """Settings of a test's API."""
    given: dict[str, Any] = {"database_url": database_url, "redis_url": NOWHERE, "bank_url": "http://bank", **SECRETS, **changes}
    return ServeSettings(**given)


@asynccontextmanager
async def serving(
    settings: ServeSettings, world: World, bank: httpx.AsyncBaseTransport, sandbox: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """The application, started, and a client of it."""
    app = create_app(settings, world=world, transports=Transports(bank, sandbox))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api")
    async with app.router.lifespan_context(app), client:
        yield app, client


async def raw(app: Starlette, scope: dict[str, Any], *messages: Message) -> list[Message]:
    """What the application sends for these messages of a server's."""
    given, sent = list(messages), list[Message]()

    async def receive() -> Message:
        return given.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    base = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/graphql"}
    await app({**base, "raw_path": b"/graphql", "query_string": b"", "headers": [], "state": {}, **scope}, receive, send)
    return sent


class BankLine(httpx.AsyncBaseTransport):
    """The line to the mock bank; it can be cut."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.is_cut = False
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.is_cut:
            raise httpx.ConnectError("cut", request=request)
        return await self._inner.handle_async_request(request)


class DatabaseLine:
    """A relay in front of Postgres: cut, it refuses connections and breaks those that there are."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._target = parts.hostname, parts.port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def restore(self) -> None:
        """Let connections through, at the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """The database is away."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def announce_a_crash(self) -> None:
        """What a dying Postgres says on each connection, before it closes them a moment later."""
        fields = b"SFATAL\0VFATAL\0C57P02\0Mterminating connection because of crash of another server process\0\0"
        for client in self._clients:
            client.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    def url(self, url: str) -> str:
        """The URL through this line."""
        host, port = self._target
        return url.replace(f"{host}:{port}", f"127.0.0.1:{self.port}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._clients.add(writer)
        other: asyncio.StreamWriter | None = None
        try:
            back, other = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, other))
                group.create_task(_copy(back, writer))
        except* OSError:
            pass
        finally:
            for each in (writer, other):
                if each is not None:
                    each.transport.abort()
            self._open.discard(task)
            self._clients.discard(writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
