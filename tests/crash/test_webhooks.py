"""A worker dies over deliveries: leased and unsent, sent and not written down, written and not committed. None is lost, each has one id."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from domain.failpoint import Failpoint
from domain.payment import Verb
from tests.crash.processes import until
from tests.crash.site import Partner, Site
from tests.crash.table import WEBHOOKS
from tests.databases import execute

CREATE = """mutation ($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { __typename } }"""
DELIVERIES = """{ webhookDeliveries { nodes { messageId state attemptCount } } }"""
LEASES_RUN_OUT = "update webhook_deliveries set leased_until = now() where tenant_id = '{tenant}' and leased_until is not null"
PAYMENTS = 3


@dataclass
class Receiver:
    """Takes whatever comes."""

    port: int = 0
    ids: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = dict(line.lower().split(": ", 1) for line in head.decode().splitlines()[1:] if line)
                await reader.readexactly(int(headers["content-length"]))
                self.ids.append(headers["webhook-id"])
                writer.write(b"HTTP/1.1 204 Fine\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


async def subscribed(site: Site, receiver: Receiver) -> Partner:
    """A partner whose events go there."""
    partner = await site.partner()
    url = f"http://127.0.0.1:{receiver.port}/"
    wish = {"idempotencyKey": "endpoint", "url": url, "types": ["PAYMENT_CREATED"]}
    data = await until(lambda: partner.post(site.api, {"query": CREATE, "variables": {"input": wish}}), "an endpoint")
    assert data["createWebhookEndpoint"]["__typename"] == "CreateWebhookEndpointPayload"
    return partner


async def deliveries(site: Site, partner: Partner) -> list[Any]:
    data = await until(lambda: partner.post(site.api, {"query": DELIVERIES}), "deliveries")
    return list(data["webhookDeliveries"]["nodes"])


@pytest.mark.parametrize(("failpoint", "passing"), WEBHOOKS)
async def test_a_delivery_survives_its_worker(site: Site, failpoint: Failpoint, passing: int) -> None:
    async with receiving() as receiver:
        partner = await subscribed(site, receiver)
        with site.worker_frozen():
            for _ in range(PAYMENTS):
                await (await partner.wish(Verb.AUTHORIZE)).repeat(site.api)
            victim = site.start_worker(f"{failpoint.value}:{passing}")
            await victim.fell_at(failpoint)
            left = await deliveries(site, partner)
            sent_by_victim = Counter(receiver.ids)
            await execute(site.urls.owner, LEASES_RUN_OUT.format(tenant=partner.id))
            async with site.another_worker():

                async def all_are_delivered() -> bool:
                    return {each["state"] for each in await deliveries(site, partner)} == {"DELIVERED"}

                await until(all_are_delivered, "the delivery of all")
    done = await deliveries(site, partner)

    assert len(left) == len(done) == PAYMENTS
    assert {each["state"] for each in left} == {"PENDING"}, "nothing of it was committed"
    assert set(receiver.ids) == {each["messageId"] for each in done}
    assert {each["attemptCount"] for each in done} == {1}, "what was not written down was no attempt"
    assert all(count <= 2 for count in Counter(receiver.ids).values())
    assert (sum(sent_by_victim.values()) > 0) == (failpoint is not Failpoint.WEBHOOKS_LEASED)
