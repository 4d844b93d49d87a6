"""The bank, looked at past the API: through its control address, or, when it is somebody else's, through its own lookups."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from app.demo.comparison import Disagreement
from app.demo.shop import Receipt
from app.demo.wire import World
from bank.ledger import NotALedger, read_ledger
from domain.backoff import backoff_s
from domain.ids import IdKind
from domain.ledger import Ledger

CONTROL_TRIES: Final = 3  # on loopback: what fails three times is not there
LOOKUP_TRIES: Final = 10  # of which a bank that fails 5 % of the time needs more than four once in 160,000 lookups
TIMEOUT_S: Final = 15.0
RETRY_BASE_S, RETRY_CAP_S = 0.1, 2.0
OUR_KEYS: Final = f"{IdKind.ATTEMPT.value}_"


class BankUnclear(Exception):
    """The bank did not say what was asked."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How the bank behaves just now."""

    failure_rate: float
    min_latency_ms: int
    max_latency_ms: int


class BankControl:
    """The mock bank's control address. None of this goes through the API: it is how the play checks the API's word."""

    def __init__(self, http: httpx.AsyncClient, url: str, world: World) -> None:
        self._http, self._url, self._world = http, url.rstrip("/"), world

    async def ledger(self, since: str) -> Ledger:
        """What the API had the bank do since this moment (RFC 3339)."""
        document = await self._ask("GET", "/ledger", {"key_prefix": OUR_KEYS, "since": since})
        try:
            ledger = read_ledger(document)
        except NotALedger as error:
            raise BankUnclear(f"the bank's control address, GET /ledger: {error}") from error
        if ledger.unreadable:
            raise BankUnclear(f"the bank's control address, GET /ledger: {ledger.unreadable[0]}")
        return ledger

    async def available_minor(self, last_four: str) -> int | None:
        """What a card still has."""
        document = await self._ask("GET", "/ledger", {"key_prefix": "accounts only"})
        return next((account["available"] for account in document["accounts"] if account["last4"] == last_four), None)

    async def weather(self) -> Weather:
        """The chaos in force."""
        document = await self._ask("GET", "/chaos", {})
        return Weather(document["failure_rate"], document["min_latency_ms"], document["max_latency_ms"])

    async def expire(self, authorization: str) -> None:
        """Let a hold run out."""
        await self._ask("POST", f"/authorizations/{authorization}/expire", {})

    async def _ask(self, method: str, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        async def ask() -> httpx.Response:
            return await self._http.request(method, self._url + path, params=parameters)

        response = await _persist(ask, CONTROL_TRIES, self._world)
        if response is None or response.status_code != 200:
            status = "no answer" if response is None else f"HTTP {response.status_code}"
            raise BankUnclear(f"the bank's control address, {method} {path}: {status}")
        document: dict[str, Any] = response.json()
        return document


class BankLookups:
    """A bank without a control address: what it has under a reference, one at a time. It shows amounts, never states."""

    def __init__(self, http: httpx.AsyncClient, url: str, world: World) -> None:
        self._http, self._url, self._world = http, url.rstrip("/"), world

    async def judge(self, receipt: Receipt) -> list[Disagreement]:
        """Each reference of a receipt is looked up; voids can't be, and a hold's state is not shown."""
        bank = receipt.bank
        found: list[Disagreement] = []
        for path, reference, parent_name, parent in (
            ("authorizations", bank.authorization, None, None),
            ("captures", bank.capture, "authorization_id", bank.authorization),
            ("refunds", bank.refund, "capture_id", bank.capture),
        ):
            if reference is None:
                continue
            document = await self._look_up(f"/api/v1/{path}/{reference}")
            if document is None:
                found.append(Disagreement(receipt.order_id, path[:-1], reference, "no such thing"))
                continue
            if (document["amount"], document["currency"]) != (receipt.amount_minor, receipt.currency):
                ours = f"{receipt.amount_minor} {receipt.currency}"
                seen = f"{document['amount']} {document['currency']}"
                found.append(Disagreement(receipt.order_id, f"{path[:-1]}'s amount", ours, seen))
            if parent_name is not None and document[parent_name] != parent:
                found.append(Disagreement(receipt.order_id, f"{path[:-1]}'s origin", str(parent), str(document[parent_name])))
        return found

    async def _look_up(self, path: str) -> dict[str, Any] | None:
        async def ask() -> httpx.Response:
            return await self._http.get(self._url + path)

        response = await _persist(ask, LOOKUP_TRIES, self._world)
        if response is not None and response.status_code == 404:
            return None
        if response is None or response.status_code != 200:
            raise BankUnclear(f"the bank, GET {path}: {'no answer' if response is None else response.status_code}")
        document: dict[str, Any] = response.json()
        return document


def bank_http(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """The HTTP client for both addresses."""
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT_S, trust_env=False)


async def _persist(ask: Callable[[], Awaitable[httpx.Response]], tries: int, world: World) -> httpx.Response | None:
    """The first answer that is no failure of the moment; else the last one, or None when there was none at all."""
    response: httpx.Response | None = None
    for number in range(1, tries + 1):
        try:
            response = await ask()
        except httpx.TransportError:
            response = None
        if response is not None and response.status_code < 500:
            return response
        if number < tries:
            await world.sleep(backoff_s(number, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, random=world.random()))
    return response
