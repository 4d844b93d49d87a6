"""One PostgreSQL per run, a fresh database per module from a migrated template; a world, a bank and a gateway to play with."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app import keys
from app.embedded.ports import PortClaim
from app.embedded.postgres import TEST_SETTINGS, EmbeddedPostgres
from app.embedded.redis import EmbeddedRedis
from bank.client import BankClient, bank_http
from bank.mock import Bank, BankSettings, VirtualTime, create_bank
from domain.api_key import SHOWN_LENGTH, ApiKey, hash_api_key, new_api_key
from domain.card import CardDetails
from domain.money import Money
from domain.partner import mode_of
from domain.request import AuthorizeRequest, OperateRequest
from domain.scope import ALL_SCOPES
from domain.tier import TierName
from gateway.gateway import Gateway
from gateway.parts import Parts
from gateway.recovery import Recovery
from gateway.vault.key_service import LocalKeyService
from gateway.vault.master_keys import agree_on_master_key
from gateway.vault.vault import Vault
from gateway.world import World
from persistence.api_keys import insert_api_key
from persistence.database import Database
from persistence.partners import insert_partner
from tests.app.serving import Api, BankLine, serving, settings_for
from tests.databases import DatabaseUrls, drop_database, make_database, make_template
from tests.gateway.kept_cards import GOOD_CARD

PEPPER = b"p" * 32
MASTER_KEY = b"m" * 32
LONG_ROOMS = {"chaos", "crash", "simulation", "supervisor", "system"}
PATIENCE_S = 60.0  # no test is about how busy the machine is

_server: list[EmbeddedPostgres] = []


def _start_postgres() -> str:
    """The URL of this run's server, with the template in it."""
    if not _server:
        folder = Path(tempfile.mkdtemp(prefix="partner-api-tests-"))
        server = EmbeddedPostgres(folder, settings=TEST_SETTINGS)
        server.start()
        _server.append(server)
        asyncio.run(make_template(server.url))
    return _server[0].url


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is in these rooms is not for every day."""
    for item in items:
        if LONG_ROOMS & set(item.path.relative_to(Path(__file__).parent).parts):
            item.add_marker(pytest.mark.long)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """With xdist the controller starts the server, before its first worker."""
    node.workerinput["postgres_url"] = _start_postgres()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Figures that tests have recorded, such as how many schedules were walked."""
    figures = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "figure" and report.when == "call"
    ]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(figures))


def pytest_sessionfinish() -> None:
    """Whoever started the server stops it."""
    for server in _server:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    _server.clear()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The server of this run, as its superuser."""
    given = getattr(request.config, "workerinput", {}).get("postgres_url")
    return str(given) if given else _start_postgres()


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis of this module's own, on one port over restarts."""
    claim = PortClaim()
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), port=claim.number)
    server.start()
    yield server
    server.stop()
    claim.close()


@pytest.fixture(scope="module")
async def database_urls(postgres_url: str) -> AsyncIterator[DatabaseUrls]:
    """A database of this module's own."""
    urls = await make_database(postgres_url)
    yield urls
    await drop_database(postgres_url, urls)


@pytest.fixture(scope="module")
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The API's login."""
    opened = Database(database_urls.app, pool_wait_s=PATIENCE_S, answer_timeout_s=PATIENCE_S)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def owner(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The owner's login."""
    opened = Database(database_urls.owner)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def watch(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The worker's login."""
    opened = Database(database_urls.worker, pool_size=1)
    yield opened
    await opened.close()


@dataclass
class Here:
    """A world under control: time passes only by sleeping or by `pass_by`, chance is seeded."""

    time: datetime = datetime(2026, 6, 1, 12, tzinfo=UTC)
    chance: Random = field(default_factory=lambda: Random(1))
    slept: list[float] = field(default_factory=list)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds)
        await asyncio.sleep(0)

    @property
    def world(self) -> World:
        """For those who are handed a world."""
        return World(now=lambda: self.time, random=self.chance.random, random_bits=self.chance.getrandbits, sleep=self._sleep)


@pytest.fixture
def here() -> Here:
    """The world of this test. Its ids are its own, so that tests of one module can share a database."""
    return Here(chance=Random(secrets.randbits(64)))


@pytest.fixture
def bank() -> Iterator[Bank]:
    """A bank without chaos, in memory and in virtual time."""
    time = VirtualTime()
    made = create_bank(
        BankSettings.from_environment(
            {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0", "BANK_STATE": "memory", "BANK_SEED": "1"}
        ),
        clock=time.clock,
        sleep=time.sleep,
    )
    yield made
    made.close()


@dataclass
class Line:
    """The line to the bank: counts what goes over it, and can be told what happens to the next requests."""

    inner: httpx.AsyncBaseTransport
    requests: list[httpx.Request] = field(default_factory=list)
    accidents: list[Callable[[httpx.Request], Awaitable[httpx.Response]] | str] = field(default_factory=list)
    """For each next request: `lost answer`, `lost key` (does it, loses the bank's key, loses the answer), `refused`, `reset`."""

    @property
    def keys(self) -> list[str]:
        """The Idempotency-Keys of all requests, in order."""
        return [request.headers["idempotency-key"] for request in self.requests]


class LineTransport(httpx.AsyncBaseTransport):
    """The line as httpx wants it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        line = self._line
        line.requests.append(request)
        accident = line.accidents.pop(0) if line.accidents else None
        if callable(accident):
            return await accident(request)
        if accident == "refused":
            raise httpx.ConnectError("refused", request=request)
        if accident == "reset":
            raise httpx.ReadError("reset", request=request)
        if accident == "lost key":
            await _bare(line, request, key=secrets.token_hex(8))
            raise httpx.ReadTimeout("no answer", request=request)
        response = await line.inner.handle_async_request(request)
        if accident == "lost answer":
            await response.aread()
            raise httpx.ReadTimeout("no answer", request=request)
        return response


async def _bare(line: Line, request: httpx.Request, key: str) -> None:
    """The same request under another key: what it looks like when the bank did it and forgot the key."""
    copy = httpx.Request(request.method, request.url, content=request.content, headers={"Idempotency-Key": key})
    await (await line.inner.handle_async_request(copy)).aread()


@pytest.fixture
def line(bank: Bank) -> Line:
    """The line to this test's bank."""
    return Line(httpx.ASGITransport(app=bank.app))


@pytest.fixture
async def control(bank: Bank) -> AsyncIterator[httpx.AsyncClient]:
    """The bank's control address."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=bank.control), base_url="http://control") as client:
        yield client


class LocalWakeups:
    """Wake-ups within one process."""

    def __init__(self) -> None:
        self.announced: list[UUID] = []
        self._closed = asyncio.Event()

    def announce(self, attempt_ids: list[UUID]) -> None:
        self.announced += attempt_ids
        self._closed.set()
        self._closed = asyncio.Event()

    @contextmanager
    def expect(self, attempt_id: UUID) -> Iterator["LocalWakeups"]:  # noqa: ARG002
        yield self

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._closed.wait()


@pytest.fixture
async def vault(database: Database, here: Here) -> Vault:
    """A process's data keys. Its master key is the one that an API of a test is started with."""
    key_service = LocalKeyService(keys.ring_of(MASTER_KEY))
    await agree_on_master_key(database, key_service, here.time)
    return Vault(database, key_service, here.world.now, fingerprint_key=keys.key_for(PEPPER, keys.CARD_FINGERPRINTS))


@pytest.fixture
async def parts(database: Database, line: Line, here: Here, vault: Vault) -> AsyncIterator[Parts]:
    """What the gateway works with."""
    client = BankClient(bank_http("http://bank", LineTransport(line)))
    yield Parts(
        database=database,
        bank=client,
        world=here.world,
        vault=vault,
        fingerprint_secret=PEPPER,
        wakeups=LocalWakeups(),
    )
    await client.close()


@pytest.fixture
async def gateway(parts: Parts) -> AsyncIterator[Gateway]:
    """The front door, drained in the end."""
    made = Gateway(parts)
    yield made
    assert await made.close(drain_s=10) == 0, "a test leaves nothing under way"


@pytest.fixture
def recovery(parts: Parts, watch: Database) -> Recovery:
    """The worker's part."""
    return Recovery(parts, watch)


@pytest.fixture
async def tenant(owner: Database, here: Here) -> UUID:
    """A partner of this test's own."""
    partner_id = here.world.new_uuid()
    async with owner.without_tenant() as tx:
        await insert_partner(tx, partner_id=partner_id, name="FicMart", created_at=here.time, tier=TierName.ENTERPRISE)
    return partner_id


@pytest.fixture
async def other_tenant(owner: Database, here: Here) -> UUID:
    """Another partner."""
    partner_id = here.world.new_uuid()
    async with owner.without_tenant() as tx:
        await insert_partner(tx, partner_id=partner_id, name="Somebody else", created_at=here.time, tier=TierName.ENTERPRISE)
    return partner_id


@pytest.fixture
def make_key(owner: Database, here: Here) -> Callable[..., Awaitable[str]]:
    """Makes an API key for a tenant and returns its secret; what is not said is usual: all scopes, for ever, from anywhere."""

    async def make(tenant_id: UUID, **changes: Any) -> str:
        secret = new_api_key(mode_of(tenant_id), here.chance.getrandbits(256))
        key = ApiKey(here.world.new_uuid(), tenant_id, "test", secret[:SHOWN_LENGTH], ALL_SCOPES, here.time)
        key = replace(key, **changes)
        async with owner.tenant(tenant_id) as tx:
            await insert_api_key(tx, key, hash_api_key(secret, keys.key_for(PEPPER, keys.API_KEYS)))
        return secret

    return make


@pytest.fixture
def bank_line(line: Line) -> BankLine:
    """The line to this test's bank."""
    return BankLine(line.inner)


@pytest.fixture
async def api(
    database_urls: DatabaseUrls, here: Here, bank_line: BankLine, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> AsyncIterator[Api]:
    """A started API and its client."""
    async with serving(settings_for(database_urls.app), here.world, bank_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


@pytest.fixture
def wish() -> Callable[..., AuthorizeRequest]:
    """Makes requests to authorize; what is not said is fresh or usual."""

    def make(
        *,
        key: str | None = None,
        order: str | None = None,
        customer: str = "customer-1",
        amount: int = 1999,
        card: CardDetails = GOOD_CARD,
    ) -> AuthorizeRequest:
        return AuthorizeRequest(
            key or f"key-{secrets.token_hex(8)}", order or f"order-{secrets.token_hex(8)}", customer, Money(amount), card
        )

    return make


@pytest.fixture
def on() -> Callable[..., OperateRequest]:
    """Makes requests to capture, void or refund."""

    def make(payment_id: UUID | None, key: str | None = None) -> OperateRequest:
        return OperateRequest(key or f"key-{secrets.token_hex(8)}", payment_id)

    return make


@pytest.fixture
def rows(owner: Database, tenant: UUID) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Everything that is on record of the partner's payments."""

    async def read() -> dict[str, Any]:
        async with owner.tenant(tenant) as tx:
            return {
                table: (await tx.execute(text(f"select * from {table} where tenant_id = :t order by 1, 2"), {"t": tenant})).all()
                for table in ("payments", "attempts", "events", "event_sequences", "audit_log")
            }

    return read
