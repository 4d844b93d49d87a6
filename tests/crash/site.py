"""A site: a bank, a database, an API and a worker that live, and others that are started to die; and partners who never give up."""

import asyncio
import secrets
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from app import keys
from app.embedded.ports import free_port
from app.settings import secret_bytes
from app.verification import verify
from bank.ledger import fetch_ledger
from domain.api_key import SHOWN_LENGTH, ApiKey, hash_api_key, new_api_key
from domain.failpoint import Failpoint
from domain.ids import IdKind, encode_id
from domain.partner import Mode
from domain.payment import Verb
from domain.scope import ALL_SCOPES
from domain.tier import TierName
from gateway.world import real_world
from persistence.api_keys import insert_api_key
from persistence.attempts import GIVEN_BACK
from persistence.database import Database
from persistence.partners import insert_partner
from tests.app.serving import CARD, NOWHERE, PAYMENT, SECRETS, id_of, mutation, settings_for
from tests.crash.nursery import Nursery
from tests.crash.processes import ApiProcess, Process, until
from tests.databases import DatabaseUrls

QUIET_BANK = {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0", "BANK_STATE": "memory"}
NEVER = "/nonexistent/go-on"  # a file that nobody makes: what stands there is meant to be killed
ROAD = {Verb.AUTHORIZE: (), Verb.CAPTURE: (), Verb.VOID: (), Verb.REFUND: (Verb.CAPTURE,)}  # what comes first, after authorizing
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nobody needs it here, and httpx would make one for each client
READ = f"query ($id: ID!) {{ payment(id: $id) {{ ...Payment }} }} {PAYMENT}"


@dataclass
class Partner:
    """A client of the API."""

    id: UUID
    secret: str = field(repr=False)
    site: "Site" = field(repr=False)

    async def wish(self, verb: Verb, **changes: Any) -> "Wish":
        """Something that can be fulfilled: a new order, or the verb on a payment that has come as far as it takes."""
        key = f"key-{secrets.token_hex(8)}"
        if verb is Verb.AUTHORIZE:
            order = {"orderId": f"order-{secrets.token_hex(8)}", "customerId": "customer-1"}
            amount = {"minorUnits": 100, "currency": "USD"}
            return Wish(self, verb, {"idempotencyKey": key, **order, "amount": amount, "source": {"card": CARD}, **changes})
        payment = (await (await self.wish(Verb.AUTHORIZE)).repeat(self.site.api))["payment"]
        for before in ROAD[verb]:
            await Wish(self, before, {"idempotencyKey": f"{key}-{before}", "paymentId": payment["id"]}).repeat(self.site.api)
        return Wish(self, verb, {"idempotencyKey": key, "paymentId": payment["id"]})

    async def wishes(self) -> list["Wish"]:
        """One of each verb."""
        return [await self.wish(verb) for verb in Verb]

    async def receipt(self, payment_id: str) -> Any:
        """A payment as it is now."""
        data = await until(lambda: self.post(self.site.api, {"query": READ, "variables": {"id": payment_id}}), "a receipt")
        return data["payment"]

    async def post(self, api: ApiProcess, body: dict[str, Any]) -> Any:
        """The data of an answer; None when the connection broke before there was one, or it was 503: try again."""
        async with _http() as http:
            try:
                response = await http.post(api.address, json=body, headers={"Authorization": f"Bearer {self.secret}"})
            except httpx.TransportError:
                return None
        if response.status_code == 503:
            return None
        answer = response.json()
        assert response.status_code == 200 and "errors" not in answer, answer
        return answer["data"]


@dataclass(frozen=True)
class Wish:
    """One operation that a partner asks for, again and again with the same key."""

    partner: Partner = field(repr=False)
    verb: Verb
    input: dict[str, Any]

    async def ask(self, api: ApiProcess) -> Any:
        """The answer to one request; None when there was none, or 503."""
        name = f"{self.verb.lower()}Payment"
        data = await self.partner.post(api, {"query": mutation(name), "variables": {"input": self.input}})
        return data and data[name]

    async def repeat(self, api: ApiProcess) -> Any:
        """The first answer that says how it ended, and not that the bank is still being asked."""

        async def outcome() -> Any:
            answer = await self.ask(api)
            return answer if answer and not (answer.get("payment") or {}).get("pendingOperation") else None

        return await until(outcome, f"an outcome for {self}")

    async def bank_key(self) -> str:
        """The key under which the bank is asked for it."""
        (attempt,) = await self.partner.site.owner_fetch(
            "select id from attempts where tenant_id = $1 and idempotency_key = $2", self.partner.id, self.input["idempotencyKey"]
        )
        return encode_id(IdKind.ATTEMPT, attempt["id"])

    async def effects(self) -> int:
        """How often the bank has done it."""
        return _effects(await self.partner.site.ledger())[await self.bank_key()]


class Site:
    """What lives: a bank, `api` and `worker`. What is started besides is meant to die."""

    def __init__(self, nursery: Nursery, urls: DatabaseUrls, folder: Path) -> None:
        self._nursery = nursery
        self.urls = urls
        self._folder = folder
        self._started = 0
        self._mortals: list[Process] = []
        self._ports = free_port(), free_port()
        door, control = (claim.number for claim in self._ports)
        self._start("bank", "--port", str(door), "--control-port", str(control), environment=QUIET_BANK)
        self.bank_url, self._control = f"http://127.0.0.1:{door}", f"http://127.0.0.1:{control}"

    @cached_property
    def api(self) -> ApiProcess:
        """The one that lives."""
        return self._api()

    @cached_property
    def worker(self) -> Process:
        """The one that lives. Who does not ask for it has none."""
        return self._start("work", environment=self._environment(worker_database_url=self.urls.worker))

    @cached_property
    def _cut_off_api(self) -> ApiProcess:
        return self._api(bank_url="http://127.0.0.1:1", outcome_wait_s=0.1)

    def start_api(self, failpoint: str = "", **settings: object) -> ApiProcess:
        """Another API; armed, it is going to die."""
        api = self._api(failpoint=failpoint, **settings)
        self._mortals.append(api)
        return api

    def start_worker(self, failpoint: str = "", **settings: object) -> Process:
        """Another worker."""
        return self.start_command("work", failpoint=failpoint, worker_database_url=self.urls.worker, **settings)

    def start_command(self, *arguments: str, failpoint: str = "", **settings: object) -> Process:
        """Any of our commands."""
        process = self._start(*arguments, environment=self._environment(failpoint=failpoint, **settings))
        self._mortals.append(process)
        return process

    def clear_away(self) -> None:
        """End what has been started to die and has not: a test that fails must not leave its processes to the next one."""
        for process in self._mortals:
            process.end()
        self._mortals.clear()

    def start_reconcile(self, partner: Partner, failpoint: str = "") -> Process:
        """An operator's reconciliation of one partner."""
        partner_id = encode_id(IdKind.PARTNER, partner.id)
        return self.start_command("reconcile", "--partner", partner_id, failpoint=failpoint, worker_database_url=self.urls.worker)

    @contextmanager
    def worker_frozen(self) -> Iterator[None]:
        """The worker that lives does nothing for a while, so that another one finds the work."""
        self.worker.freeze()
        try:
            yield
        finally:
            self.worker.thaw()

    @asynccontextmanager
    async def another_worker(self) -> AsyncIterator[Process]:
        """A worker that has just been started, for a while."""
        worker = self.start_worker()
        yield worker
        await worker.killed()

    def close(self) -> None:
        """Give the ports back."""
        for claim in self._ports:
            claim.close()

    async def partner(self) -> Partner:
        """A new partner with a key."""
        world, secret = real_world(), new_api_key(Mode.LIVE, secrets.randbits(256))
        partner_id = world.new_uuid()
        key = ApiKey(world.new_uuid(), partner_id, "test", secret[:SHOWN_LENGTH], ALL_SCOPES, datetime.now(UTC))
        pepper = keys.key_for(secret_bytes(settings_for(self.urls.app).pepper), keys.API_KEYS)
        owner = Database(self.urls.owner, pool_size=1)
        async with owner.without_tenant() as tx:
            await insert_partner(
                tx, partner_id=partner_id, name="FicMart", created_at=datetime.now(UTC), tier=TierName.ENTERPRISE
            )
            await insert_api_key(tx, key, hash_api_key(secret, pepper))
        await owner.close()
        return Partner(partner_id, secret, self)

    async def wishes_of_many(self) -> list[Wish]:
        """One of each verb, each another partner's: in a transaction a partner's requests wait for each other."""
        return [await (await self.partner()).wish(verb) for verb in Verb]

    async def leases_run_out(self, wishes: Iterable[Wish]) -> None:
        """What 20 seconds do to the leases of a process that died, and a rest to an attempt that was given back."""
        await self.owner_fetch(
            "update attempts set lease_until = now() where closed_at is null and tenant_id = any($1)", _tenants(wishes)
        )

    async def open_attempts(self, wishes: Iterable[Wish]) -> int:
        """How many attempts of these partners are open."""
        query = "select count(*) as open from attempts where closed_at is null and tenant_id = any($1)"
        return int((await self.owner_fetch(query, _tenants(wishes)))[0]["open"])

    async def nothing_is_open(self, wishes: Iterable[Wish]) -> None:
        """Return when no attempt of these partners is open any more."""

        async def is_so() -> bool:
            return await self.open_attempts(wishes) == 0

        await until(is_so, "nothing open any more")

    async def strand(self, wishes: Sequence[Wish]) -> None:
        """Ask for all of it, of an API that can't reach the bank and leaves it to recovery. The bank has surely not been asked."""
        answers = await asyncio.gather(*(wish.ask(self._cut_off_api) for wish in wishes))
        assert all(answer["payment"]["pendingOperation"] for answer in answers)
        given_back = "select count(*) from attempts where closed_at is null and tenant_id = any($1) and lease_token = $2"

        async def all_are() -> bool:
            return (await self.owner_fetch(given_back, _tenants(wishes), GIVEN_BACK))[0]["count"] == len(wishes)

        await until(all_are, "attempts that were given back")

    async def books(self, wishes: Iterable[Wish]) -> list[list[Any]]:
        """Everything that we have written down of these partners."""
        query = "select * from {} where tenant_id = any($1) order by tenant_id, id"
        return [
            await self.owner_fetch(query.format(name), _tenants(wishes))
            for name in ("payments", "attempts", "events", "audit_log")
        ]

    async def script(self, fault: str | None, times: int, **how: object) -> None:
        """What the bank does with the next requests (docs/bank-mock.md)."""
        if fault is None:
            return
        async with _http() as http:
            body = {"faults": [{"kind": fault, "count": times, **how}]}
            (await http.patch(f"{self._control}/chaos", json=body)).raise_for_status()

    async def bank_acted(self, wishes: Sequence[Wish], fault: str | None, deaths: int = 1) -> None:
        """Return when the bank has done what it does before such a fault leaves its client without an answer."""
        if fault not in ("hang_after_effect", "hang_up_window"):
            return
        keys = [await wish.bank_key() for wish in wishes]

        async def has() -> bool:
            ledger = await self.ledger()
            kept = Counter(each["idempotency_key"] for each in ledger["idempotency_keys"])
            if fault == "hang_after_effect":
                return all(kept[key] for key in keys)
            # It forgets, and does again what it can do again: the authorization.
            return sum(_effects(ledger)[key] for key in keys) == len(keys) + deaths - 1

        await until(has, "what the bank does")

    async def expire(self, authorization: str) -> None:
        """Let a hold run out at the bank."""
        async with _http() as http:
            (await http.post(f"{self._control}/authorizations/{authorization}/expire")).raise_for_status()

    async def captured_by_somebody_else(self, hold: str, amount: int) -> str:
        """The bank's reference of a capture that did not come from us."""
        async with _http() as http:
            body = {"authorization_id": hold, "amount": amount}
            answer = await http.post(f"{self.bank_url}/api/v1/captures", json=body, headers={"Idempotency-Key": f"teller-{hold}"})
        return str(answer.raise_for_status().json()["capture_id"])

    async def ledger(self) -> Any:
        """What the bank did."""
        return await fetch_ledger(self._control)

    async def verify(self, wishes: Iterable[Wish] | None = None, answers: Iterable[Any] = ()) -> None:
        """The invariants, for these partners, or for everything that ever happened at this site. Nothing of it may be open.

        `answers`: what clients were told.
        """
        tenants = None if wishes is None else _tenants(wishes)
        acknowledged = {id_of(answer["payment"]["id"]): frozenset({answer["payment"]["state"]}) for answer in answers}
        owner = Database(self.urls.owner, pool_size=1)
        found = await verify(
            owner,
            await self.ledger(),
            now=datetime.now(UTC),
            tenants=tenants,
            acknowledged=acknowledged,
            bank_is_ours=tenants is None,
        )
        await owner.close()
        assert found.is_right, found.violations

    async def owner_fetch(self, query: str, *arguments: Any) -> list[Any]:
        """A query as the owner of the tables, who sees all partners."""
        async with self._owner() as connection:
            return list(await connection.fetch(query, *arguments))

    @asynccontextmanager
    async def _owner(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.urls.owner)
        try:
            yield connection
        finally:
            await connection.close()

    def _api(self, **settings: object) -> ApiProcess:
        return ApiProcess(self._nursery, self._log("api"), environment=self._environment(**settings))

    def _start(self, *arguments: str, environment: dict[str, str]) -> Process:
        return Process(self._nursery, self._log(arguments[0]), *arguments, environment=environment)

    def _log(self, name: str) -> Path:
        self._started += 1
        return self._folder / f"{self._started}-{name}.log"

    def _environment(self, **settings: object) -> dict[str, str]:
        given = {
            "environment": "development",
            "database_url": self.urls.app,
            "redis_url": NOWHERE,
            "bank_url": self.bank_url,
            **SECRETS,
            **settings,
        }
        return {f"PARTNER_API_{name.upper()}": str(value) for name, value in given.items()}


def standing_at(failpoint: Failpoint) -> str:
    """Arms a failpoint at which everything stands still until the process is killed."""
    return f"{failpoint.value}:1:hold={NEVER}"


def _tenants(wishes: Iterable[Wish]) -> list[UUID]:
    return list({wish.partner.id for wish in wishes})


def _effects(ledger: Any) -> Counter[str]:
    books = ledger["authorizations"] + ledger["captures"] + ledger["voids"] + ledger["refunds"]
    return Counter(each["idempotency_key"] for each in books)


def _http() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=30, trust_env=False, verify=_NO_TLS)
