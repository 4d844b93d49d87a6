"""GraphQL over HTTP, as a careful client does it: what was not answered is asked again with the same idempotency key."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from domain.backoff import backoff_s

TIMEOUT_S: Final = 30.0  # the API answers a payment within 8 s, whatever the bank does
PATIENCE_S: Final = 90.0  # for one request, all its repetitions together: an API that was killed is back long before
RETRY_BASE_S, RETRY_CAP_S = 0.1, 2.0
MAX_RETRY_AFTER_S: Final = 30.0  # who is told to wait longer gives up by patience anyway
ASK_AGAIN: Final = frozenset({429, 502, 503, 504})
ASK_AGAIN_CODES: Final = frozenset({"SERVICE_UNAVAILABLE", "RATE_LIMITED"})  # in a body, when only a part could not be answered
MAX_CONNECTIONS: Final = 200  # a hundred orders at once, and the scenes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is and how one gets in."""

    url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class World:
    """What is not determined, so that tests have their own: clock, chance and waiting."""

    clock: Callable[[], float]  # seconds, only ever forwards
    random: Callable[[], float]  # uniform in [0, 1)
    sleep: Callable[[float], Awaitable[None]]

    @classmethod
    def real(cls, random: Callable[[], float]) -> "World":
        """The one outside."""
        return cls(time.monotonic, random, asyncio.sleep)


class ApiFault(Exception):
    """The API answered with an error instead of data: not signed in, not understood, or a fault of its own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"HTTP {status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


class ApiAway(Exception):
    """The API could not be reached, or kept saying "later", until our patience ended."""


@dataclass(slots=True)
class Tally:
    """What happened on the wire."""

    answers: int = 0
    repeats: int = 0  # requests sent again, because the API was away or said "later"
    leaks: int = 0  # answers with a card number in them


@dataclass(frozen=True, slots=True)
class Reply:
    """The data of an answer, and how often it was asked for."""

    data: dict[str, Any]
    asked: int


class Wire:
    """Sends documents. `forbidden` are texts that no answer may contain."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        world: World,
        forbidden: Sequence[str] = (),
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self.world = world
        self._forbidden = forbidden
        self._patience_s = patience_s
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)  # waiting here is cheap; a thousand waiting in the pool cost seconds
        self.tally = Tally()

    async def ask(self, document: str, variables: dict[str, Any], *, authorization: str | None = "") -> Reply:
        """The data. Raises ApiFault or ApiAway. `authorization` replaces our own; None sends none."""
        if authorization == "":
            authorization = f"Bearer {self._endpoint.api_key}"
        headers = {"Authorization": authorization} if authorization is not None else {}
        response, asked = await self._send({"query": document, "variables": variables}, headers)
        self.tally.answers += 1
        self.tally.leaks += any(text in response.text for text in self._forbidden)
        return Reply(_data(response), asked)

    async def _send(self, content: dict[str, Any], headers: dict[str, str]) -> tuple[httpx.Response, int]:
        give_up_at_s = self.world.clock() + self._patience_s
        asked = 0
        while True:
            asked += 1
            wait_s = backoff_s(asked, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, random=self.world.random())
            try:
                async with self._free:
                    response = await self._http.post(self._endpoint.url, json=content, headers=headers)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__} {error}".rstrip()
            else:
                later_s = _asks_for_patience_s(response)
                if later_s is None:
                    return response, asked
                trouble = f"HTTP {response.status_code}"
                wait_s = max(wait_s, min(later_s, MAX_RETRY_AFTER_S))
            if self.world.clock() + wait_s > give_up_at_s:
                raise ApiAway(f"The API did not answer within {self._patience_s:.0f} s, {asked} times asked: {trouble}")
            self.tally.repeats += 1
            await self.world.sleep(wait_s)


def graphql_http(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """The HTTP client for the API. No proxy of the environment gets to see a card number."""
    return httpx.AsyncClient(
        transport=transport,
        timeout=TIMEOUT_S,
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
        trust_env=False,
    )


def _asks_for_patience_s(response: httpx.Response) -> float | None:
    """How long we are told to wait before we repeat the request, 0 when not told; None when this is an answer."""
    if response.status_code in ASK_AGAIN:
        try:
            return float(response.headers.get("Retry-After", "0"))
        except ValueError:  # a date: our own backoff will do
            return 0.0
    try:
        errors = response.json().get("errors") or []
        waits = [each["extensions"] for each in errors if each["extensions"]["code"] in ASK_AGAIN_CODES]
        return max((float(each.get("retryAfterMs", 0)) / 1000 for each in waits), default=None)
    except (AttributeError, KeyError, TypeError, ValueError):  # unlike what we know: not for us to wait out
        return None


def _data(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        raise ApiFault(response.status_code, "NOT_JSON", "the answer is not JSON") from None
    errors = body.get("errors") if isinstance(body, dict) else None
    if errors:
        first = errors[0]
        raise ApiFault(response.status_code, str((first.get("extensions") or {}).get("code", "")), str(first.get("message", "")))
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise ApiFault(response.status_code, "NO_DATA", "the answer has neither data nor errors")
    return data
