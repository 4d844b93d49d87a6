"""The ASGI application: wiring, start and stop."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app import keys
from app.authentication import Authentication
from app.failpoints import reach_for
from app.graphql import build_schema
from app.graphql_http import DATABASE_RETRY_S, GraphQLEndpoint, Unservable
from app.key_in_url import RefuseKeysInUrls
from app.key_watch import KeyWatch
from app.last_used import LastUsed
from app.limiter import Limiter
from app.limits import Limits
from app.metrics import MEDIA_TYPE as METRICS_MEDIA_TYPE
from app.metrics import Metrics
from app.request_id import HEADER, RequestId
from app.settings import ServeSettings, secret_bytes
from bank.breaker import BreakerState
from bank.client import BankClient, bank_http
from domain.caller import Caller
from domain.partner import Mode
from gateway.gateway import Gateway
from gateway.keyring import Keyring
from gateway.parts import Parts
from gateway.sealing import CardSeal
from gateway.world import World, real_world
from persistence.buckets import RedisBuckets
from persistence.database import Database, DatabaseAway
from persistence.revision import NotMigrated, check_revision
from persistence.wakeups import RedisWakeups
from resolvers.context import Context

DRAIN_S = 15.0  # what is under way at the bank gets its answer: a call ends after 14 s at the latest
START_S = 30.0  # a database that is not there by then will not come by waiting
START_RETRY_S = 0.5
NO_SANDBOX = "This is a test key, and this installation has no sandbox. Ask for one, or use a live key."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class House:
    """Everything that a process of ours holds open. `sandbox` is what test keys work with; None: there is no bank for them."""

    parts: Parts
    sandbox: Parts | None
    wakeups: RedisWakeups

    @property
    def of_each_mode(self) -> list[Parts]:
        """The parts of each mode that is served."""
        return [self.parts] if self.sandbox is None else [self.parts, self.sandbox]

    def breakers(self) -> dict[str, BreakerState]:
        """How each mode's bank is asked just now."""
        return {each.mode.value.lower(): each.breaker.state(each.world.now()) for each in self.of_each_mode}


@dataclass(frozen=True, slots=True)
class Transports:
    """How the banks are reached, where it is not over the network. Tests hand in their own."""

    bank: httpx.AsyncBaseTransport | None = None
    sandbox: httpx.AsyncBaseTransport | None = None


OVER_THE_NETWORK = Transports()


@contextlib.asynccontextmanager
async def open_house(settings: ServeSettings, world: World, transports: Transports = OVER_THE_NETWORK) -> AsyncIterator[House]:
    """Open the database, Redis and the clients of both banks; check the database; close all in the end.

    Raises DatabaseAway when the database is not there within START_S, NotMigrated, and BypassesRowSecurity.
    """
    database = Database(settings.database_url.get_secret_value())
    wakeups = RedisWakeups(settings.redis_url.get_secret_value())
    pepper, master_key = secret_bytes(settings.pepper), secret_bytes(settings.master_key)
    parts = Parts(
        database=database,
        bank=BankClient(bank_http(settings.bank_url, transports.bank, reach=world.reach)),
        world=world,
        seal=CardSeal(keys.key_for(master_key, keys.CARD_SEALS)),
        fingerprint_secret=keys.key_for(pepper, keys.FINGERPRINTS),
        wakeups=wakeups,
    )
    sandbox = None
    if settings.sandbox_bank_url is not None:
        sandbox = Parts(
            database=database,
            bank=BankClient(bank_http(settings.sandbox_bank_url, transports.sandbox, reach=world.reach)),
            world=world,
            seal=parts.seal,
            fingerprint_secret=parts.fingerprint_secret,
            wakeups=wakeups,
            mode=Mode.TEST,
        )
    house = House(parts, sandbox, wakeups)
    try:
        await _check(database)
        async with wakeups:
            yield house
    finally:
        for each in house.of_each_mode:
            await each.bank.close()
        await database.close()


async def _check(database: Database) -> None:
    tries = int(START_S / START_RETRY_S)
    for left in range(tries, 0, -1):
        try:
            await database.check_login()
            await check_revision(database)
        except DatabaseAway:
            if left == 1:
                raise
            await asyncio.sleep(START_RETRY_S)
        else:
            return


def create_app(settings: ServeSettings, *, world: World | None = None, transports: Transports = OVER_THE_NETWORK) -> Starlette:
    """The API. Tests hand in a world of their own, and the banks' ASGI apps as their transports."""
    here = world or real_world(reach_for(settings.failpoint))
    pepper = keys.key_for(secret_bytes(settings.pepper), keys.API_KEYS)
    schema = build_schema()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        limiter = Limiter(RedisBuckets(settings.redis_url.get_secret_value()), time.monotonic)
        async with open_house(settings, here, transports) as house, limiter:
            database = house.parts.database
            gateways = {each.mode: Gateway(each, outcome_wait_s=settings.outcome_wait_s) for each in house.of_each_mode}

            keyring = Keyring(
                database,
                here,
                pepper=pepper,
                fingerprint_secret=house.parts.fingerprint_secret,
                announce=house.wakeups.announce_access,
            )

            def context_for(caller: Caller, request_id: str) -> Context:
                if caller.mode not in gateways:
                    raise Unservable(403, NO_SANDBOX, code="NO_SANDBOX")
                return Context(
                    caller=caller,
                    gateway=gateways[caller.mode],
                    database=database,
                    world=here,
                    keyring=keyring,
                    request_id=request_id,
                )

            last_used = LastUsed(database, here.now)
            authentication = Authentication(database, pepper, now=here.now, monotonic=time.monotonic, used=last_used.note)
            watch = KeyWatch(database, now=here.now, monotonic=time.monotonic, wait=here.wait)
            for remembers in (authentication, watch):
                house.wakeups.hear_access(remembers.changed)
            limits = Limits(schema._schema, limiter, lambda: database.is_busy)
            app.state.house, app.state.limiter = house, limiter
            app.state.metrics = Metrics(limits, limiter, database, house.breakers)
            app.state.last_used = last_used
            app.state.key_watch = watch
            app.state.graphql = GraphQLEndpoint(
                schema,
                authentication,
                context_for,
                lambda: f"err_{here.random_bits(64):016x}",
                lambda: database.is_crowded,
                limits,
                settings.trusted_proxies,
            )
            log.info("serving")
            async with last_used.writing():
                yield
            left = await asyncio.gather(*(gateway.close(DRAIN_S) for gateway in gateways.values()))
            log.info("stopped; %d payments are left to recovery", sum(left))

    return Starlette(routes=_routes(), middleware=_middleware(settings, here), lifespan=lifespan)


def _routes() -> list[Route]:
    return [
        Route("/", lambda _: RedirectResponse("/graphql"), methods=["GET"]),
        Route("/graphql", _graphql, methods=["GET", "POST"]),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]


def _middleware(settings: ServeSettings, world: World) -> list[Middleware]:
    return [
        Middleware(RequestId, random_bits=world.random_bits),
        Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
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
