"""Webhooks, put together: the door that partners' wishes go through, and the worker's courier."""

import contextlib
from collections.abc import AsyncIterator

import strawberry

from app.graphql import build_schema
from app.house import House
from app.public_errors import PublicErrors
from app.settings import ServeSettings
from app.webhook_http import WebhookHttp
from app.webhook_shapes import Shaper, Shapes
from gateway.webhook_courier import Courier
from gateway.webhook_secrets import WebhookSecrets
from gateway.webhooks import Webhooks
from persistence.database import Database
from persistence.wakeups import EVENTS_CHANNEL


def webhooks_of(house: House, settings: ServeSettings, schema: strawberry.Schema) -> Webhooks:
    """What changes endpoints, for the tenants of both modes."""
    parts = house.parts
    return Webhooks(
        parts.database,
        parts.world,
        secrets_of(house),
        fingerprint_secret=parts.fingerprint_secret,
        development=settings.is_development,
        problems_of=Shapes(schema).problems_of,
    )


@contextlib.asynccontextmanager
async def open_courier(house: House, settings: ServeSettings, watch: Database) -> AsyncIterator[Courier]:
    """What delivers, woken by each event that is committed. `watch` is a database with the worker's login."""
    parts = house.parts
    public_errors = PublicErrors(lambda: f"err_{parts.world.random_bits(64):016x}")
    post = WebhookHttp(parts.world.now, development=settings.is_development)
    courier = Courier(
        parts.database,
        watch,
        parts.world,
        secrets_of(house),
        post=post,
        shape=Shaper(build_schema(), parts.database, parts.world, public_errors),
    )
    house.wakeups.hear(EVENTS_CHANNEL, courier.wake)
    try:
        yield courier
    finally:
        await post.close()


def secrets_of(house: House) -> WebhookSecrets:
    """The secrets of endpoints, which the vault keeps."""
    return WebhookSecrets(house.parts.vault)
