"""The ASGI application: wiring, start and stop."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping

import strawberry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from app import keys
from app.authentication import Authentication
from app.failpoints import reach_for
from app.graphql import build_schema
from app.graphql_http import GraphQLEndpoint
from app.graphql_sse import LAST_EVENT_ID, EventStreams
from app.graphql_ws import Connections
from app.house import OVER_THE_NETWORK, House, Transports, open_house
from app.key_in_url import RefuseKeysInUrls
from app.key_watch import KeyWatch
from app.last_used import LastUsed
from app.limiter import Limiter
from app.limits import Limits
from app.metrics import MEDIA_TYPE as METRICS_MEDIA_TYPE
from app.metrics import Metrics
from app.operation import Unservable
from app.origins import Origins
from app.public_errors import DATABASE_RETRY_S, PublicErrors
from app.quota import Quotas
from app.request_id import HEADER, RequestId, new_request_id
from app.results import Results
from app.settings import ServeSettings, secret_bytes
from app.webhooks import webhooks_of
from bank.breaker import BreakerState
from domain.caller import Caller
from domain.partner import Mode
from domain.tier import Rate
from gateway.gateway import Gateway
from gateway.issuing import Issuing
from gateway.keyring import Keyring
from gateway.register import Register
from gateway.wallet import Wallet
from gateway.webhooks import Webhooks
from gateway.world import World, real_world
from persistence.buckets import RedisBuckets
from persistence.database import DatabaseAway
from persistence.revision import NotMigrated, check_revision
from persistence.wakeups import ACCESS_CHANNEL
from resolvers.context import Context

DRAIN_S = 15.0  # what is under way at the bank gets its answer: a call ends after 14 s at the latest
START_S = 30.0  # a database that is not there by then will not come by waiting
START_RETRY_S = 0.5
NO_SANDBOX = "This is a test key, and this installation has no sandbox. Ask for one, or use a live key."

log = logging.getLogger(__name__)


def create_app(settings: ServeSettings, *, world: World | None = None, transports: Transports = OVER_THE_NETWORK) -> Starlette:
    """The API. Tests hand in a world of their own, and the banks' ASGI apps as their transports."""
    here = world or real_world(reach_for(settings.failpoint))
    return Starlette(
        routes=_routes(),
        middleware=_middleware(here),
        lifespan=lambda app: _open_doors(app, settings, here, transports),
    )


@contextlib.asynccontextmanager
async def _open_doors(app: Starlette, settings: ServeSettings, here: World, transports: Transports) -> AsyncIterator[None]:
    """What requests and connections are served with, for as long as the process serves."""
    pepper, schema = keys.key_for(secret_bytes(settings.pepper), keys.API_KEYS), build_schema()
    limiter = Limiter(RedisBuckets(settings.redis_url.get_secret_value()), time.monotonic, here.now)
    async with open_house(settings, here, transports) as house, limiter:
        database = house.parts.database
        gateways = {each.mode: Gateway(each, outcome_wait_s=settings.outcome_wait_s) for each in house.of_each_mode}
        webhooks = webhooks_of(house, settings, schema)
        context_for = _contexts(house, here, limiter, pepper, gateways, webhooks)
        last_used = LastUsed(database, here.now)
        authentication = Authentication(database, pepper, now=here.now, monotonic=time.monotonic, used=last_used.note)
        watch = KeyWatch(database, now=here.now, monotonic=time.monotonic, wait=here.wait)
        for remembers in (authentication, watch):
            house.wakeups.hear(ACCESS_CHANNEL, remembers.changed)
        quotas = Quotas(database, here.now, time.monotonic)
        limits = Limits(schema._schema, limiter, quotas, lambda: database.is_busy)
        app.state.house, app.state.limiter, app.state.quotas = house, limiter, quotas
        app.state.metrics = Metrics(limits, limiter, database, house.breakers)
        app.state.last_used, app.state.key_watch = last_used, watch
        _hang_doors(app, settings, here, schema, authentication, context_for, watch, limits)
        log.info("serving")
        async with last_used.writing():
            yield
        await quotas.settled()
        left = await asyncio.gather(*(gateway.close(DRAIN_S) for gateway in gateways.values()))
        log.info("stopped; %d payments are left to recovery", sum(left))


def _hang_doors(
    app: Starlette,
    settings: ServeSettings,
    here: World,
    schema: strawberry.Schema,
    authentication: Authentication,
    context_for: Callable[[Caller, str], Context],
    watch: KeyWatch,
    limits: Limits,
) -> None:
    """What answers over HTTP, as event streams, and over WebSocket."""
    public_error = PublicErrors(lambda: f"err_{here.random_bits(64):016x}")
    results = Results(schema, limits, public_error)
    origins = Origins(settings.allowed_origins)
    app.state.event_streams = EventStreams(results, limits, watch.until_refused)
    app.state.graphql = GraphQLEndpoint(
        schema,
        authentication,
        context_for,
        public_error,
        lambda: app.state.house.parts.database.is_crowded,
        limits,
        app.state.event_streams,
        origins,
        settings.trusted_proxies,
    )
    app.state.connections = Connections(
        results,
        authentication,
        context_for,
        lambda: new_request_id(here.random_bits),
        watch.until_refused,
        limits,
        origins=origins,
        trusted_proxies=settings.trusted_proxies,
    )


def _contexts(
    house: House,
    world: World,
    limiter: Limiter,
    pepper: bytes,
    gateways: Mapping[Mode, Gateway],
    webhooks: Webhooks,
) -> Callable[[Caller, str], Context]:
    """Makes what each request carries to its resolvers."""
    database, secret = house.parts.database, house.parts.fingerprint_secret
    keyring = _keyring(house, pepper)
    register = Register(database, world, secret)
    wallet = Wallet(database, world, house.parts.vault, secret)
    issuing = {each.mode: Issuing(each) for each in house.of_each_mode}

    def context_for(caller: Caller, request_id: str) -> Context:
        if caller.mode not in gateways:
            raise Unservable(403, NO_SANDBOX, code="NO_SANDBOX")

        async def bucket() -> tuple[int, Rate]:
            return (await limiter.charge(caller, 0)).tightest

        return Context(
            caller=caller,
            gateway=gateways[caller.mode],
            database=database,
            world=world,
            keyring=keyring,
            register=register,
            wallet=wallet,
            webhooks=webhooks,
            issuing=issuing[caller.mode],
            request_id=request_id,
            feed=house.feed,
            bucket=bucket,
        )

    return context_for


def _keyring(house: House, pepper: bytes) -> Keyring:
    parts = house.parts
    return Keyring(
        parts.database,
        parts.world,
        pepper=pepper,
        fingerprint_secret=parts.fingerprint_secret,
        announce=house.wakeups.announce_access,
    )


def _routes() -> list[BaseRoute]:
    return [
        Route("/", lambda _: RedirectResponse("/graphql"), methods=["GET"]),
        Route("/graphql", _graphql, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", _connection),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]


def _middleware(world: World) -> list[Middleware]:
    return [
        Middleware(RequestId, random_bits=world.random_bits),
        Middleware(
            CORSMiddleware,
            allow_origins=["*"],  # whether the origin may use the key is told when the key is known: see app.origins
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", LAST_EVENT_ID],
            expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy", HEADER],
        ),
        Middleware(RefuseKeysInUrls),
    ]


async def _graphql(request: Request) -> Response:
    endpoint: GraphQLEndpoint = request.app.state.graphql
    metrics: Metrics = request.app.state.metrics
    response = await endpoint(request)
    metrics.answered(response.status_code)
    return response


async def _connection(socket: WebSocket) -> None:
    connections: Connections = socket.app.state.connections
    await connections(socket)


async def _metrics(request: Request) -> Response:
    """This process's figures for Prometheus."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.exposition(), media_type=METRICS_MEDIA_TYPE)


async def _healthz(_: Request) -> Response:
    """The process is alive; it asks nobody else."""
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> Response:
    """Whether payments can be taken: needs the database; Redis and the bank are reported, but payments are accepted without."""
    house: House = request.app.state.house
    limits = "shared" if request.app.state.limiter.is_shared else "each process's own"
    redis = "ok" if house.wakeups.connected else "away"
    bank = "ok" if house.parts.breaker.state(house.parts.world.now()) is BreakerState.CLOSED else "away"
    database = "ok"
    try:
        await check_revision(house.parts.database)
    except DatabaseAway:
        database = "away"
    except NotMigrated:
        database = "of an older version"
    if database != "ok":
        body = {"status": "unavailable", "database": database, "redis": redis, "bank": bank, "limits": limits}
        return JSONResponse(body, 503, {"Retry-After": str(DATABASE_RETRY_S)})
    return JSONResponse({"status": "ready", "database": database, "redis": redis, "bank": bank, "limits": limits})
