"""The control app: a look into the books and a hand on the dials. Ours, on a port of its own; the contract has none.

GET    /ledger                       everything the bank did, each effect with the key that caused it
GET    /chaos   PATCH /chaos         the dials and the queue of scripted faults
POST   /authorizations/{id}/expire   move a hold's expiry into the past
POST   /reset                        as on the first day
GET    /healthz
"""

from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bank.mock.books import Books
from bank.mock.chaos import Fault
from bank.mock.ledger_report import ledger_report
from bank.mock.timestamps import NANOS_PER_MICRO, from_rfc3339, to_micros, to_rfc3339
from bank.mock.validation import canonical_id

# A hold that expired a minute ago is expired for clocks that differ by seconds too.
_EXPIRED_SINCE_US: Final = 60_000_000
# Faults are short; a thousand of them with every field fit many times.
_MAX_BODY_BYTES: Final = 1_048_576


class _Control:
    """The handlers, over one bank's books."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """`{"status": "ok"}`, while this process runs; the bank's own health is GET /health on its address."""
        return _json(200, {"status": "ok"})

    async def ledger(self, request: Request) -> Response:
        """Every account, effect and key, see `ledger_report`.

        `?key_prefix=` keeps the effects whose key starts so, `?since=` (RFC 3339) those not older. Accounts are
        always all of them. Built in one go, so it is consistent, and the bank answers nobody meanwhile.
        """
        since = request.query_params.get("since")
        try:
            since_us = to_micros(from_rfc3339(since)) if since else None
        except ValueError:
            return _refuse(400, "since is not a time as RFC 3339 writes it")
        return _json(200, ledger_report(self._books.ledger.state, request.query_params.get("key_prefix", ""), since_us))

    async def expire(self, request: Request) -> Response:
        """200 `{"authorization_id", "expires_at"}`, or 404. The money stays held: only a void gives it back (§6)."""
        books = self._books
        authorization_id = canonical_id("auth_", request.path_params["id"])
        hold = books.ledger.state.holds.get(authorization_id or "")
        if hold is None:
            return _refuse(404, "the bank has no such authorization")
        books.ledger.move_expiry(hold, to_micros(books.clock()) - _EXPIRED_SINCE_US)
        expires_at = to_rfc3339(hold.expires_us * NANOS_PER_MICRO)
        return _json(200, {"authorization_id": hold.authorization_id, "expires_at": expires_at})

    async def chaos(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """The dials as `Weather` names them, and `faults`: what is left of the queue, first first."""
        return self._shown_chaos()

    async def change_chaos(self, request: Request) -> Response:
        """Turn the dials that are named, leave the others; answer as GET does. Wrong input changes nothing: 400.

        `faults` appends to the queue, `clear_faults: true` empties it first. See `Weather` and `Fault`.
        """
        books = self._books
        try:
            changes = await _read_object(request)
            faults = changes.pop("faults", [])
            clear = changes.pop("clear_faults", False)
            if not isinstance(faults, list) or not isinstance(clear, bool):
                raise ValueError("faults is an array, and clear_faults a boolean")
            queue, weather = [Fault.from_json(fault) for fault in faults], books.weather.changed(changes)
            books.faults.add(queue, clear=clear)
        except (TypeError, ValueError) as error:
            return _refuse(400, str(error))
        books.weather = weather
        return self._shown_chaos()

    async def reset(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """Forget every effect and key, fill the accounts, and put the dials back to the settings: 200 `{"status": "reset"}`."""
        self._books.reset()
        return _json(200, {"status": "reset"})

    def _shown_chaos(self) -> Response:
        return _json(200, {**_fields(self._books.weather), "faults": [_fields(f) for f in self._books.faults.queued()]})


def control_app(books: Books) -> Starlette:
    """The control app of one bank."""
    control = _Control(books)
    return Starlette(
        routes=[
            Route("/healthz", control.healthz, methods=["GET"]),
            Route("/ledger", control.ledger, methods=["GET"]),
            Route("/authorizations/{id}/expire", control.expire, methods=["POST"]),
            Route("/chaos", control.chaos, methods=["GET"]),
            Route("/chaos", control.change_chaos, methods=["PATCH"]),
            Route("/reset", control.reset, methods=["POST"]),
        ]
    )


async def _read_object(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise ValueError("the body is too large")
    content = orjson.loads(body)
    if not isinstance(content, dict):
        raise ValueError("the body is not a JSON object")
    return content


def _fields(thing: Any) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in thing.__dataclass_fields__}


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _refuse(status: int, message: str) -> Response:
    return _json(status, {"error": message})
