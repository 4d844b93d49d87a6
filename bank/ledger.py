"""The ledger of the mock bank (`GET /ledger` of its control address, docs/bank-mock.md): fetched, and read into `domain.ledger`.

A real bank has no such address. It is how tests, drills and people at a desk compare what was said with what was done.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import httpx
import orjson

from domain.ledger import Capture, Hold, Ledger, Refund, Void

TIMEOUT_S = 60.0  # a ledger of a million effects is some 300 MB of JSON
MAX_SHOWN = 255  # characters of an entry's place and of what is wrong with it

T = TypeVar("T")


class LedgerAway(Exception):
    """The bank's control address did not show its ledger."""


class NotALedger(Exception):
    """The document is not a ledger: a list of authorizations, captures, voids, refunds or keys is missing."""


async def fetch_ledger(control_url: str, transport: httpx.AsyncBaseTransport | None = None) -> object:
    """The whole ledger of the bank at this control address, as it came. Raises LedgerAway. Tests hand in a transport."""
    try:
        # trust_env: a proxy in the environment has no business between us and the bank's books.
        async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT_S, trust_env=False) as http:
            response = await http.get(f"{control_url.rstrip('/')}/ledger")
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise LedgerAway(f"the bank's control address does not answer ({type(error).__name__})") from error
    if response.status_code != 200:
        raise LedgerAway(f"the bank's control address answered GET /ledger with status {response.status_code}")
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        raise LedgerAway("the bank's control address answered GET /ledger with something that is not JSON") from error


def read_ledger(document: object) -> Ledger:
    """The ledger in a document. Entries that can't be understood are named in `unreadable`. Raises NotALedger."""
    if not isinstance(document, Mapping):
        raise NotALedger("it is not a JSON object")
    unreadable: list[str] = []

    def entries(name: str, read: Callable[["_Entry"], T]) -> tuple[T, ...]:
        listed = document.get(name)
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise NotALedger(f"it has no list of {name}")
        found: list[T] = []
        for number, each in enumerate(listed):
            try:
                found.append(read(_Entry(each)))
            except _Odd as odd:
                unreadable.append(f"{name}[{number}]: {odd}"[:MAX_SHOWN])
        return tuple(found)

    holds = entries("authorizations", _hold)
    captures = entries("captures", _capture)
    voids = entries("voids", _void)
    refunds = entries("refunds", _refund)
    kept = set(entries("idempotency_keys", lambda entry: entry.text("reference")))
    done = [effect.id for effects in (holds, captures, voids, refunds) for effect in effects]
    return Ledger(holds, captures, voids, refunds, sum(each not in kept for each in done), tuple(unreadable))


class _Odd(Exception):
    """What is wrong with an entry."""


class _Entry:
    """One entry of the document, and the two kinds of fields that are read from it."""

    def __init__(self, content: object) -> None:
        if not isinstance(content, Mapping):
            raise _Odd("it is not an object")
        self._content = content

    def text(self, name: str) -> str:
        """A field that has to be a text."""
        value = self._content.get(name)
        if not isinstance(value, str):
            raise _Odd(f"its {name} is not a text")
        return value

    def amount(self) -> int:
        """Minor units; a float or a boolean is none."""
        value = self._content.get("amount")
        if not isinstance(value, int) or isinstance(value, bool):
            raise _Odd("its amount is not a whole number")
        return value


def _hold(entry: _Entry) -> Hold:
    return Hold(
        id=entry.text("authorization_id"),
        amount_minor=entry.amount(),
        currency=entry.text("currency"),
        last_four=entry.text("last4"),
        state=entry.text("state"),
        key=entry.text("idempotency_key"),
    )


def _capture(entry: _Entry) -> Capture:
    return Capture(
        id=entry.text("capture_id"),
        hold_id=entry.text("authorization_id"),
        amount_minor=entry.amount(),
        currency=entry.text("currency"),
        is_refunded=entry.text("state") == "refunded",
        key=entry.text("idempotency_key"),
    )


def _void(entry: _Entry) -> Void:
    return Void(entry.text("void_id"), entry.text("authorization_id"), entry.text("idempotency_key"))


def _refund(entry: _Entry) -> Refund:
    return Refund(
        id=entry.text("refund_id"),
        capture_id=entry.text("capture_id"),
        amount_minor=entry.amount(),
        currency=entry.text("currency"),
        key=entry.text("idempotency_key"),
    )
