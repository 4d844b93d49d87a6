"""An API on a desk, a receiver on a socket of its own, and the worker's courier between the two."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
import standardwebhooks
import standardwebhooks.webhooks
import uvicorn
from sqlalchemy import text

from app.graphql import build_schema
from app.public_errors import PublicErrors
from app.webhook_http import WebhookHttp, WebhookPatience
from app.webhook_shapes import Shaper
from app.webhooks import secrets_of
from gateway.webhook_courier import Courier
from persistence.database import Database
from tests.app.serving import Api, BankLine, serving, settings_for

ENDPOINT = """
fragment Endpoint on WebhookEndpoint {
  id url description types document disabledAt disabledReason previousSecretUntil createdAt updatedAt savedBy
  health { circuit trips disabledAtTrips openUntil }
}
"""
DELIVERY = """
fragment Delivery on WebhookDelivery {
  id webhookEndpointId messageId type state deadReason createdAt nextAttemptAt endedAt attemptCount
  attempts { number at status failure durationMs answerStart }
}
"""
ERROR = """
fragment Error on UserError { __typename code message path ... on InvalidInputError { problems { path message } } }
"""
PAYLOADS = {
    "createWebhookEndpoint": "webhookEndpoint { ...Endpoint } secret replayed",
    "updateWebhookEndpoint": "webhookEndpoint { ...Endpoint } replayed",
    "rotateWebhookSecret": "webhookEndpoint { ...Endpoint } secret replayed",
    "deleteWebhookEndpoint": "webhookEndpointId replayed",
    "sendTestEvent": "delivery { ...Delivery } replayed",
    "replayWebhookDeliveries": "count through replayed",
}


def change(name: str) -> str:
    """A mutation's document."""
    wish, selection = f"{name[0].upper()}{name[1:]}", PAYLOADS[name]
    fragments = "".join(text for key, text in (("...Endpoint", ENDPOINT), ("...Delivery", DELIVERY)) if key in selection)
    return f"""mutation ($input: {wish}Input!) {{ {name}(input: $input) {{
        __typename ... on {wish}Payload {{ {selection} }} ... on UserError {{ ...Error }}
    }} }} {fragments} {ERROR}"""


async def do(api: Api, name: str, **wish: Any) -> Any:
    """A mutation's answer."""
    return (await api.ask(change(name), input={"idempotencyKey": api.fresh("key"), **wish}))[name]


async def deliveries_of(api: Api, **where: Any) -> list[Any]:
    """All deliveries, oldest first."""
    query = f"""query ($filter: WebhookDeliveryFilter) {{
        webhookDeliveries(first: 100, filter: $filter) {{ nodes {{ ...Delivery }} }}
    }} {DELIVERY}"""
    return list(reversed((await api.ask(query, filter=where))["webhookDeliveries"]["nodes"]))


async def endpoint_now(api: Api, endpoint_id: str) -> Any:
    """An endpoint as it is now."""
    return (await api.ask(f"query ($id: ID!) {{ node(id: $id) {{ ...Endpoint }} }} {ENDPOINT}", id=endpoint_id))["node"]


@dataclass
class Received:
    """A message as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A server on a socket. It answers what `answers` has for a path, or 204."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: dict[str, list[tuple[int, dict[str, str], bytes]] | tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    hung: asyncio.Event = field(default_factory=asyncio.Event)  # somebody waits for ever
    free: asyncio.Event = field(default_factory=asyncio.Event)  # ends the waiting

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [each for each in self.received if each.path == path]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append(Received(scope["path"], headers, body))
        if scope["path"].startswith("/hang"):
            self.hung.set()
            await self.free.wait()
        answer = self.answers.get(scope["path"], (204, {}, b""))
        status, extra, content = (answer.pop(0) if answer else (204, {}, b"")) if isinstance(answer, list) else answer
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), value.encode()) for name, value in extra.items()]
                + ([] if status == 204 else [(b"content-length", str(len(content)).encode())]),
            }
        )
        await send({"type": "http.response.body", "body": content})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of this test's own."""
    made = Receiver()
    listener = socket.create_server(("127.0.0.1", 0))
    made.port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(made, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1))
    serving_task = asyncio.create_task(server.serve([listener]))
    yield made
    made.free.set()
    server.should_exit = True
    await serving_task
    listener.close()


@pytest.fixture
async def api(
    database_urls: Any, here: Any, bank_line: BankLine, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> AsyncIterator[Api]:
    """A started API on a desk, where receivers may be on the desk, too."""
    settings = settings_for(database_urls.app, environment="development")
    async with serving(settings, here.world, bank_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


def courier_for(api: Api, watch: Database, post: WebhookHttp) -> Courier:
    """A worker's courier, with the secrets of this API."""
    parts = api.app.state.house.parts
    shaper = Shaper(build_schema(), parts.database, parts.world, PublicErrors(lambda: "err_0"))
    return Courier(parts.database, watch, parts.world, secrets_of(api.app.state.house), post=post, shape=shaper)


@pytest.fixture
async def post(here: Any) -> AsyncIterator[WebhookHttp]:
    """What sends."""
    made = WebhookHttp(lambda: here.time, development=True, patience=WebhookPatience(connect_s=2.0, total_s=2.0))
    yield made
    await made.close()


@pytest.fixture
async def courier(
    api: Api, watch: Database, post: WebhookHttp, owner: Database, receiver: Receiver, other_tenant: UUID
) -> AsyncIterator[Courier]:
    """The worker's part. A worker delivers whatever is due, so a test leaves nothing for the next one's."""
    made = courier_for(api, watch, post)
    yield made
    receiver.free.set()
    await made.settle()
    for tenant_id in (api.tenant, other_tenant):
        async with owner.tenant(tenant_id) as tx:
            await tx.execute(text("delete from webhook_deliveries where tenant_id = :tenant"), {"tenant": tenant_id})


def verify(secret: str, message: Received) -> Any:
    """What the official library reads out of a message, at the time at which it was sent: the library has a clock of its own."""
    sent_at = datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), UTC)
    with mock.patch.object(standardwebhooks.webhooks, "datetime", wraps=datetime) as clock:
        clock.now.return_value = sent_at
        return standardwebhooks.Webhook(secret).verify(message.body, message.headers)
