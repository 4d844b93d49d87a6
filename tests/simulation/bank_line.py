"""The line between a process and the mock bank, which runs in tasks of its own: it goes on when its client has gone, and notices.

The mock plays its own faults; what a network does to a request or an answer is played here.
"""

import asyncio
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field

import httpx
from starlette.types import Message

from bank.client import BankClient, BankHttp, bank_http
from bank.mock import AnswerDropped, Bank, BankSettings, create_bank
from bank.mock.chaos import Fault, FaultKind
from bank.transport import READ_TIMEOUT_S
from domain.failpoint import Failpoint
from tests.simulation.stage import ACTOR, Process, Stage

REFUSED = "no connection"
PROXY_ERROR = "done, but a proxy answers 502"
LOST = "done, the answer is lost"
FORGOTTEN = "done, the answer and the key are lost"
# With another id in a 200 there is nothing to notice until a reconciliation asks again, so it is not one of these.
FAULTS = tuple(kind.value for kind in FaultKind if kind is not FaultKind.OTHER_ID)
TROUBLES = (REFUSED, PROXY_ERROR, LOST, FORGOTTEN, *FAULTS)
WINDOW_MS = 1.0  # between the bank's commit and the storing of the key (contract §7.1); by this the mock's waits are told apart

_EXCHANGE: ContextVar["Exchange | None"] = ContextVar("exchange", default=None)


@dataclass(eq=False)
class Line:
    """A bank and all processes' lines to it, and what only an onlooker can know of them."""

    stage: Stage
    bank: Bank
    max_latency_s: float
    unreachable: bool = False
    in_flight: Counter[str] = field(default_factory=Counter)
    overlapping: set[str] = field(default_factory=set)  # keys that were in flight twice at a time (contract §7.7)
    place: Process = field(default_factory=lambda: Process("bank"))

    def client(self, process: Process) -> BankClient:
        """A process's client of this bank."""
        return BankClient(BankHttp(LineTransport(self, process), _URLS))


def staged_bank(stage: Stage, accounts: str, *, max_latency_s: float = 0.0) -> Line:
    """A bank in the time of its line's stage, which may change from play to play. `accounts` is the mock's BANK_ACCOUNTS."""
    settings = {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0", "BANK_STATE": "memory", "BANK_SEED": "1"}

    async def sleep(seconds: float) -> None:
        exchange = _EXCHANGE.get()
        if exchange is not None and seconds == 0:
            await asyncio.sleep(exchange.latency_s)
        elif exchange is not None and seconds == WINDOW_MS / 1000:
            await exchange.pass_window()
        else:
            await asyncio.sleep(seconds)

    bank = create_bank(
        BankSettings.from_environment({**settings, "BANK_ACCOUNTS": accounts}),
        clock=lambda: round(line.stage.now().timestamp() * 1_000_000) * 1000,
        sleep=sleep,
    )
    bank.books.weather = bank.books.weather.changed({"commit_to_key_delay_ms": WINDOW_MS})
    line = Line(stage, bank, max_latency_s)
    return line


_URLS = bank_http("http://bank", httpx.ASGITransport(lambda *_: None)).urls  # put together once, not for every process


class LineTransport(httpx.AsyncBaseTransport):
    """One process's line, as httpx wants it."""

    def __init__(self, line: Line, process: Process) -> None:
        self._line = line
        self._process = process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        line = self._line
        luck = await line.stage.point(f"ask {request.url.path.rpartition('/')[2]}", TROUBLES)
        if luck == REFUSED or line.unreachable:
            raise httpx.ConnectError(REFUSED, request=request)
        key = request.headers["idempotency-key"]
        line.in_flight[key] += 1
        if line.in_flight[key] > 1:
            line.overlapping.add(key)
        exchange = Exchange(line, request, self._process, luck)
        self._process.on_death.append(exchange.hang_up)
        try:
            await line.stage.reach(Failpoint.BANK_REQUEST_SENT)
            answer = await exchange.outcome()
            await line.stage.reach(Failpoint.BANK_ANSWER_BEGUN)
        finally:
            self._process.on_death.remove(exchange.hang_up)
            line.in_flight[key] -= 1
        if answer is None:
            raise httpx.ReadError("no answer", request=request)
        status, headers, body = answer
        return httpx.Response(status, headers=headers, content=body, request=request)


class Exchange:
    """One request and what becomes of it. The bank's side is a task of the bank's."""

    def __init__(self, line: Line, request: httpx.Request, client: Process, luck: str) -> None:
        self.latency_s = line.max_latency_s * line.stage.random()
        self._answered = asyncio.Event()
        self._line = line
        self._client = client
        self._luck = luck
        self._gone = asyncio.Event()  # the bank sees that the client has hung up
        self._status, self._headers, self._body = 0, [], b""
        self._complete = False
        self._unread = [{"type": "http.request", "body": request.content, "more_body": False}]
        self._scope = {
            "type": "http",
            "method": request.method,
            "path": request.url.path,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
        }
        line.stage.start(line.place, ACTOR.get(), self._serve())

    def hang_up(self) -> None:
        """The client's socket closes."""
        self._gone.set()
        self._answered.set()

    async def pass_window(self) -> None:
        """Done, and the key is not stored yet: whoever dies or hangs up now makes the bank lose it."""
        await self._line.stage.point("the bank has done it", victim=self._client)
        if self._luck == FORGOTTEN:
            self._gone.set()

    async def outcome(self) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """What arrives at the client: status, headers, body; None when it waited in vain or the connection broke."""
        waiting = asyncio.ensure_future(self._answered.wait())
        await asyncio.wait([waiting], timeout=READ_TIMEOUT_S)
        if not self._answered.is_set():
            # A process that got no processor meanwhile hangs up only now, and perhaps the answer was quicker.
            await self._line.stage.point("hang up")
            if not self._answered.is_set():
                self.hang_up()
        waiting.cancel()
        lost = not self._complete or self._luck in (LOST, FORGOTTEN)
        await self._line.stage.point("the answer is lost" if lost else f"the bank answers {self._status}")
        if lost:
            return None
        return (502, [], b"bad gateway") if self._luck == PROXY_ERROR else (self._status, self._headers, self._body)

    async def _serve(self) -> None:
        _EXCHANGE.set(self)
        line = self._line
        if self._luck in FAULTS:
            line.bank.books.faults.add([Fault(FaultKind(self._luck))])
        try:
            await line.bank.app(self._scope, self._receive, self._send)
        except AnswerDropped:
            self._complete = False
        finally:
            self._answered.set()

    async def _receive(self) -> Message:
        if self._unread:
            return self._unread.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message["headers"]
        else:
            self._body += message.get("body", b"")
            self._complete = not message.get("more_body", False)
