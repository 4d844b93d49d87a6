"""The bank's own door: the steps of contract §1, in its order. `BankApp._answer` is that section as code."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from starlette.types import Receive, Scope, Send

from bank.mock.answers import Answer, Header, plain_answer, refusal_answer, replay_answer
from bank.mock.books import Books
from bank.mock.chaos import SPARED, Fault, FaultKind
from bank.mock.errors import DATABASE_FAILED, RANDOM_FAILURE, Refused, Undecodable
from bank.mock.handlers import Circumstances
from bank.mock.idempotency import Key, read_key
from bank.mock.routes import Creation, Lookup, Page, find_route
from bank.mock.scripted import play_after_effect, play_before_effect
from bank.mock.timestamps import HOUR_NANOS, NANOS_PER_SECOND
from bank.mock.wire import Exchange

_KEY_MISSING: Final = plain_answer(400, "header Idempotency-Key is required, once and not blank")
_RANDOM_FAILURE: Final = refusal_answer(RANDOM_FAILURE)
_CANCELLED: Final = refusal_answer(DATABASE_FAILED)


class BankApp:
    """An ASGI app that is the bank. It keeps no state of its own; all of it is in the books."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._write_timeout_ns = int(books.settings.write_timeout_s * NANOS_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, and whatever the script has in store for it."""
        assert scope["type"] == "http", "the bank speaks nothing but HTTP"
        books = self._books
        started_ns = books.clock()
        method, path = scope["method"], scope["path"]
        exchange = Exchange(scope, receive, send, books.sleep)
        if books.weather.unreachable:
            await exchange.drop()
            return
        fault = books.faults.next_for(path) if method == "POST" else None
        if fault is not None and await play_before_effect(fault, exchange):
            return
        answer = await self._answer(method, path, scope["headers"], exchange, fault)
        if books.clock() - started_ns >= self._write_timeout_ns:
            await exchange.drop()  # §7.6: done, stored, and never said
        elif fault is not None:
            await play_after_effect(fault, exchange, answer, books.random)
        else:
            await exchange.send(answer)

    async def _answer(self, method: str, path: str, headers: Iterable[Header], exchange: Exchange, fault: Fault | None) -> Answer:
        books = self._books
        at = self._circumstances(fault)
        key = read_key(headers) if method == "POST" else None
        if not at.database_down:  # with it, the row can't be read, so even a stored key runs (§7.3)
            stored = books.answers.find(key, path, at.now_ns)
            if stored is not None:
                return replay_answer(stored.body, stored.reference)
        if not path.startswith(SPARED) and await self._chaos_strikes():
            return _RANDOM_FAILURE
        match find_route(method, path, issuing=books.settings.issuing):
            case Creation() as creation:
                if key is None:
                    return _KEY_MISSING
                return await self._create(creation, path, key, exchange, fault)
            case Lookup(handle, text):
                try:
                    return handle(books.ledger, text, self._circumstances(fault))
                except Refused as refused:
                    return refusal_answer(refused.refusal)
            case Page(handle):
                return handle(self._circumstances(fault))
            case Answer() as nowhere:
                return nowhere

    async def _chaos_strikes(self) -> bool:
        """Latency first, then perhaps a failure, before any work (§1)."""
        books = self._books
        weather = books.weather
        await books.sleep(books.random.uniform(weather.min_latency_ms, weather.max_latency_ms) / 1000)
        return books.random.random() < books.weather.failure_rate

    async def _create(self, creation: Creation, path: str, key: Key, exchange: Exchange, fault: Fault | None) -> Answer:
        books = self._books
        try:
            body = await exchange.read_body()
            # The transaction is on the request's context too, so for a client that has already left it fails
            # and nothing is done. (The contract is silent here; this is what makes §7.1 a window.)
            if exchange.client_has_left():
                return _CANCELLED
            answer = creation.handle(books.ledger, body, self._circumstances(fault, key.shown))
        except Undecodable as error:
            return plain_answer(400, str(error))
        except Refused as refused:
            return refusal_answer(refused.refusal)
        # Committed. From here to the storing of the key is the hang-up window (§7.1).
        if fault is not None and fault.kind is FaultKind.HANG_UP_WINDOW:
            await exchange.hang(fault.bound_s)
        await books.sleep(books.weather.commit_to_key_delay_ms / 1000)
        if not exchange.client_has_left() and (fault is None or fault.stores_key):
            self._store_key(key, path, answer)
        return answer

    def _store_key(self, key: Key, path: str, answer: Answer) -> None:
        try:
            self._books.answers.store(key, path, answer, self._books.clock())
        except sqlite3.Error:
            return  # a statement of its own, so its failure takes the key and leaves the work (§1)

    def _circumstances(self, fault: Fault | None, key: str = "") -> Circumstances:
        weather, kind = self._books.weather, fault.kind if fault is not None else None
        return Circumstances(
            now_ns=self._books.clock(),
            key=key,
            expiry_shift_ns=weather.utc_offset_hours * HOUR_NANOS,
            database_down=weather.database_down or kind is FaultKind.DATABASE_ERROR,
            misleading_errors=weather.misleading_errors or kind is FaultKind.MISLEADING_ERROR,
        )
