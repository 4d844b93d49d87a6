"""The bank's client: one call, one answer. It does not retry; who retries must hold the attempt's lease (`gateway/`)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import httpx

from bank.answer import BankAnswer, Unclarity, Unclear, read_answer
from domain.card import CardDetails
from domain.payment import Verb

POOL_WAIT_S = 5.0  # for one of our own connections to become free; nothing was sent
KEEP_ALIVE_S = 3.0  # below every server's own, so that a request never meets a connection that is being closed
CONNECT_TIMEOUT_S = 2.0  # a bank that does not take a connection in this time is away; nothing was sent
READ_TIMEOUT_S = 12.0  # far above the bank's 2 s: hanging up is what loses keys (contract §7.1); below its own 15 s
TOTAL_TIMEOUT_S = 14.0  # a bank that drips its answer must not outlive the lease
MAX_CONNECTIONS = 256  # the bank serves some hundreds a second; more in flight only wait there instead of here
MAX_ANSWER_BYTES = 64 * 1024  # its longest answer has 300


@dataclass(frozen=True, slots=True)
class AuthorizeCall:
    """Hold `amount_minor` on a card."""

    card: CardDetails
    amount_minor: int


@dataclass(frozen=True, slots=True)
class CaptureCall:
    """Take the held money: all of it."""

    authorization: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class VoidCall:
    """Give the held money back."""

    authorization: str


@dataclass(frozen=True, slots=True)
class RefundCall:
    """Pay captured money back: all of it."""

    capture: str
    amount_minor: int


BankCall = AuthorizeCall | CaptureCall | VoidCall | RefundCall


def bank_http(base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """The HTTP client for a bank at `base_url`. Tests hand in a transport and need no socket."""
    return httpx.AsyncClient(
        base_url=base_url,
        transport=transport,
        timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=POOL_WAIT_S),
        limits=httpx.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
        ),
        follow_redirects=False,
        trust_env=False,  # a proxy in the environment must not see card numbers
    )


class BankClient:
    """Asks the bank for one thing at a time."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def send(self, call: BankCall, key: str) -> BankAnswer:
        """Ask once, with `key` as the bank's Idempotency-Key. Never raises for what the network or the bank does.

        Not to be cancelled: closing the socket can make the bank lose the key of what it has done (contract §7.1).
        """
        verb, path, body, expected = _request(call)
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                request = self._http.stream("POST", path, json=body, headers={"Idempotency-Key": key})
                async with request as response:
                    content = await _read(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Unclear(Unclarity.NOT_SENT, type(error).__name__, may_have_acted=False)
        except (httpx.RequestError, TimeoutError) as error:
            return Unclear(Unclarity.NO_ANSWER, type(error).__name__, may_have_acted=True)
        if content is None:
            return Unclear(Unclarity.UNINTELLIGIBLE, f"more than {MAX_ANSWER_BYTES} bytes", may_have_acted=True)
        return read_answer(verb, expected, response.status_code, response.headers, content)

    async def close(self) -> None:
        """Close all connections. Calls in flight have to be drained before."""
        await self._http.aclose()


async def _read(response: httpx.Response) -> bytes | None:
    content = b""
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            return None
    return content


def _request(call: BankCall) -> tuple[Verb, str, dict[str, object], Mapping[str, object]]:
    """Verb, path, body, and the fields that the answer has to repeat (contract §2)."""
    match call:
        case AuthorizeCall(card, amount_minor):
            body: dict[str, object] = {
                "card_number": card.number,
                "cvv": card.cvv,
                "amount": amount_minor,
                "expiry_month": card.expiry_month,
                "expiry_year": card.expiry_year,
            }
            return Verb.AUTHORIZE, "/api/v1/authorizations", body, {"amount": amount_minor, "currency": "USD"}
        case CaptureCall(authorization, amount_minor):
            body = {"authorization_id": authorization, "amount": amount_minor}
            return Verb.CAPTURE, "/api/v1/captures", body, body
        case VoidCall(authorization):
            body = {"authorization_id": authorization}
            return Verb.VOID, "/api/v1/voids", body, body
        case RefundCall(capture, amount_minor):
            body = {"capture_id": capture, "amount": amount_minor}
            return Verb.REFUND, "/api/v1/refunds", body, body
        case _:
            assert_never(call)
