"""The bank's client: one call, one answer. It does not retry; who retries must hold the attempt's lease (`gateway/`)."""

import asyncio
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, assert_never

import httpx
import orjson

from bank.answer import BankAnswer, Kept, LookedUp, NotKept, Unclarity, Unclear, read_answer, read_look_up
from bank.issuing import CARDS_PATH, CannotIssue, Details, Issued, read_details, read_issued
from bank.transport import NEVER_SENT, TOTAL_TIMEOUT_S, AiohttpTransport
from domain.card import CardDetails
from domain.discrepancy import HoldStanding
from domain.failpoint import Reach, pass_on
from domain.payment import Verb

MAX_ANSWER_BYTES = 64 * 1024  # its longest answer has 300
PATHS: Mapping[Verb, str] = {
    Verb.AUTHORIZE: "/api/v1/authorizations",
    Verb.CAPTURE: "/api/v1/captures",
    Verb.VOID: "/api/v1/voids",
    Verb.REFUND: "/api/v1/refunds",
}
# What no look-up can have an effect with, and still passes the bank's validation, so that its database answers: a card, a hold and an
# amount that nobody has. Amounts are int64 at the bank (contract §2), so no hold, no capture and no balance reaches this one.
NO_CARD = "0" * 13  # Luhn's sum is 0
NO_CVV = "000"
NO_HOLD = "auth_00000000-0000-0000-0000-000000000000"
NO_AMOUNT = 2**63 - 1
_HEADERS = (
    (b"Content-Type", b"application/json"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"partner-api"),
)


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


@dataclass(frozen=True, slots=True)
class BankHttp:
    """Where the bank is, and what carries requests there.

    A transport and no httpx.AsyncClient: one would add redirects, cookies that the bank sets and gets back, and answers inflated
    beyond any limit, none of which we want, and take as long as the call itself.
    """

    transport: httpx.AsyncBaseTransport
    urls: Mapping[str, httpx.URL]

    def request(self, path: str, body: Mapping[str, object], key: str) -> httpx.Request:
        """One POST (contract §2)."""
        headers = [*_HEADERS, (b"Idempotency-Key", key.encode("ascii"))]
        return httpx.Request("POST", self.urls[path], headers=headers, content=orjson.dumps(body))

    def details_request(self, reference: str) -> httpx.Request:
        """The GET of an issued card's number."""
        return httpx.Request("GET", self.urls[CARDS_PATH].join(f"{CARDS_PATH}/{reference}/details"), headers=list(_HEADERS))


def bank_http(base_url: str, transport: httpx.AsyncBaseTransport | None = None, *, reach: Reach = pass_on) -> BankHttp:
    """The way to a bank at `base_url`. Tests hand in a transport and need no socket.

    Without one, connections are made, and `reach` is told of the places where a crash test may end the process.
    """
    base = httpx.URL(base_url)
    return BankHttp(transport or AiohttpTransport(reach=reach), {path: base.join(path) for path in (*PATHS.values(), CARDS_PATH)})


class _Response(NamedTuple):
    """A complete one."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BankClient:
    """Asks the bank for one thing at a time."""

    def __init__(self, http: BankHttp) -> None:
        self._http = http
        self._asking: set[asyncio.Task[_Response | Unclear]] = set()

    @property
    def under_way(self) -> int:
        """Calls that have no answer yet, those without a caller included."""
        return len(self._asking)

    async def send(self, call: BankCall, key: str) -> BankAnswer:
        """Ask once, with `key` as the bank's Idempotency-Key. Never raises for what the network or the bank does.

        A caller that is cancelled leaves, and the call goes on without it: closing the socket can make the bank lose the key of
        what it has done (contract §7.1).
        """
        verb, body, expected = _request(call)
        response = await self._ask(self._http.request(PATHS[verb], body, key))
        if isinstance(response, Unclear):
            return response
        return read_answer(verb, expected, *response)

    async def look_up(self, verb: Verb, key: str, *, reference: str | None, amount_minor: int) -> LookedUp:
        """What the bank keeps under a key, without any effect. Never raises, as `send`; not while a call with this key is under way.

        `reference` and `amount_minor` are those of the operation: the hold that was to be captured or voided (of a void it may be
        unknown), the capture that was to be refunded; none for an authorization. A kept answer that says something else is Unclear.

        The bank looks for the key first, and does not compare bodies (contract §1, §5). So a body that can't be executed either
        brings back the kept answer or is refused, and a refusal is not stored.
        """
        body, expected = _look_up(verb, reference, amount_minor)
        response = await self._ask(self._http.request(PATHS[verb], body, key))
        if isinstance(response, Unclear):
            return replace(response, may_have_acted=False)
        return read_look_up(verb, expected, *response)

    async def hold_standing(self, authorization: str, amount_minor: int, key: str) -> HoldStanding | Unclear:
        """Where a hold stands, which no GET tells (contract §7.2), without any effect. `key`: one that no operation has."""
        match await self.look_up(Verb.CAPTURE, key, reference=authorization, amount_minor=amount_minor):
            case NotKept(hold):
                assert hold is not None, "each refusal of a capture tells where the hold stands"
                return hold
            case Kept():
                return Unclear(Unclarity.UNINTELLIGIBLE, "a key that no operation has is kept", may_have_acted=False)
            case Unclear() as unclear:
                return unclear

    async def issue_card(self, key: str) -> Issued | CannotIssue | Unclear:
        """Have a virtual card made. `key` is that card's for ever: asked again, it is the same card. Never raises, as `send`."""
        response = await self._ask(self._http.request(CARDS_PATH, {}, key))
        return response if isinstance(response, Unclear) else read_issued(*response)

    async def card_details(self, reference: str) -> Details | CannotIssue | Unclear:
        """The number, CVV and expiry of a card that this bank has issued. Never raises, as `send`."""
        response = await self._ask(self._http.details_request(reference))
        return response if isinstance(response, Unclear) else read_details(*response, reference)

    async def close(self) -> None:
        """Close all connections, after the calls whose callers have left. None of those lasts longer than the transport's total."""
        if self._asking:
            await asyncio.wait(self._asking, timeout=TOTAL_TIMEOUT_S)
        await self._http.transport.aclose()

    async def _ask(self, request: httpx.Request) -> _Response | Unclear:
        task = asyncio.create_task(self._exchange(request))
        self._asking.add(task)  # the loop itself keeps no reference
        task.add_done_callback(self._asking.discard)
        return await asyncio.shield(task)

    async def _exchange(self, request: httpx.Request) -> _Response | Unclear:
        try:
            response = await self._http.transport.handle_async_request(request)
            try:
                assert isinstance(response.stream, httpx.AsyncByteStream)
                content = await _read(response.stream)
            finally:
                await response.aclose()
        except NEVER_SENT as error:
            return Unclear(Unclarity.NOT_SENT, _names(error), may_have_acted=False)
        except (httpx.RequestError, OSError) as error:  # OSError: of a transport that is no network
            return Unclear(Unclarity.NO_ANSWER, _names(error), may_have_acted=True)
        if content is None:
            return Unclear(Unclarity.UNINTELLIGIBLE, f"more than {MAX_ANSWER_BYTES} bytes", may_have_acted=True)
        return _Response(response.status_code, response.headers, content)


def _names(error: Exception) -> str:
    """What went wrong, without its words: they may repeat what the other side has said, and that may be a card."""
    return " ".join([type(error).__name__, *getattr(error, "__notes__", ())])


async def _read(stream: AsyncIterable[bytes]) -> bytes | None:
    """The bytes as they came, or None when there are too many."""
    content = b""
    async for chunk in stream:
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            return None
    return content


def _request(call: BankCall) -> tuple[Verb, dict[str, object], Mapping[str, object]]:
    """Verb, body, and the fields that the answer has to repeat (contract §2)."""
    match call:
        case AuthorizeCall(card, amount_minor):
            body: dict[str, object] = {
                "card_number": card.number,
                "cvv": card.cvv,
                "amount": amount_minor,
                "expiry_month": card.expiry_month,
                "expiry_year": card.expiry_year,
            }
            return Verb.AUTHORIZE, body, {"amount": amount_minor, "currency": "USD"}
        case CaptureCall(authorization, amount_minor):
            body = {"authorization_id": authorization, "amount": amount_minor}
            return Verb.CAPTURE, body, body
        case VoidCall(authorization):
            body = {"authorization_id": authorization}
            return Verb.VOID, body, body
        case RefundCall(capture, amount_minor):
            body = {"capture_id": capture, "amount": amount_minor}
            return Verb.REFUND, body, body
        case _:
            assert_never(call)


def _look_up(verb: Verb, reference: str | None, amount_minor: int) -> tuple[dict[str, object], Mapping[str, object]]:
    """A body that the bank can only refuse, and the fields that a kept answer has to have."""
    match verb:
        case Verb.AUTHORIZE:
            body: dict[str, object] = {"card_number": NO_CARD, "cvv": NO_CVV, "amount": NO_AMOUNT}
            return body, {"amount": amount_minor, "currency": "USD"}
        case Verb.CAPTURE:
            assert reference is not None, "a capture is of a hold"
            return {"authorization_id": reference, "amount": NO_AMOUNT}, {"authorization_id": reference, "amount": amount_minor}
        case Verb.VOID:
            return {"authorization_id": NO_HOLD}, {"authorization_id": reference} if reference else {}
        case Verb.REFUND:
            assert reference is not None, "a refund is of a capture"
            return {"capture_id": reference, "amount": NO_AMOUNT}, {"capture_id": reference, "amount": amount_minor}
        case _:
            assert_never(verb)
