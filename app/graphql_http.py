"""GraphQL over HTTP, to the letter of its specification's draft. Who accepts `text/event-stream` is handed on to `app.graphql_sse`.

who                what                                                   status
the client         no key, a bad key; a good one that is not let in       401, UNAUTHENTICATED; 403, FORBIDDEN
the client         too many wrong keys                                    429 with Retry-After, RATE_LIMITED
the client         not HTTP as we speak it: method, media type, size      405, 406, 413, 415
the client         a body, document or variables that can't be served     400 (200 for application/json where the draft asks it)
the client         more than its tier allows: rate, places, cost          429 with Retry-After; 400
the weather        the database is away, too much is under way            503 with Retry-After
ours               a bug: masked, logged with an id to find it by         200 beside the data that there is, else 500
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import strawberry
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from app.authentication import Authentication
from app.client_address import client_address
from app.graphql_sse import EVENT_STREAM, EventStreams
from app.limits import Charged, Limits, TurnedAway
from app.operation import JSON, READING, Unservable, read_operation
from app.origins import Origins
from app.public_errors import WEATHER, PublicErrors, is_ours, retry_after_s
from domain.access import NOT_FOR_YOU, Refused, Unauthenticated
from domain.api_key import Network
from domain.caller import Caller
from gateway.gateway import Overloaded
from gateway.vault.key_service import KeysAway
from persistence.database import Crowded, DatabaseAway
from resolvers.context import Context

GRAPHQL_JSON = "application/graphql-response+json"
NO_SUBSCRIPTIONS = (
    "A subscription has no single answer. Ask with `Accept: text/event-stream`, or over a WebSocket with the subprotocol "
    "`graphql-transport-ws`."
)
QUERY_ONLY = {OperationType.QUERY}
QUERY_OR_MUTATION = {OperationType.QUERY, OperationType.MUTATION}

log = logging.getLogger(__name__)


class GraphQLEndpoint:
    """Serves one schema.

    While `is_crowded` says so, requests are refused unread: whoever can't be served must not cost what those need who can.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        authentication: Authentication,
        context_for: Callable[[Caller, str], Context],
        public_error: PublicErrors,
        is_crowded: Callable[[], bool],
        limits: Limits,
        event_streams: EventStreams,
        origins: Origins,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._authentication = authentication
        self._context_for = context_for
        self._public_error = public_error
        self._is_crowded = is_crowded
        self._event_streams = event_streams
        self._origins = origins
        self._trusted_proxies = trusted_proxies

    async def __call__(self, request: Request) -> Response:
        """One request, one answer; nothing but a bug of this file gets past it."""
        media_type = JSON
        try:
            if request.method in READING and _wants_html(request):
                return HTMLResponse(get_graphql_ide_html("graphiql"))
            media_type = _answer_type(request)
            if self._is_crowded():
                return _weather(media_type, Crowded())
            caller = await self._authentication.caller(
                request.headers.get("authorization"), client_address(request, self._trusted_proxies)
            )
            if isinstance(caller, Refused):
                return _not_let_in(media_type, caller)
            if not self._origins.lets_in(caller.partner, request.headers.get("origin"), request.headers.get("host")):
                return _not_let_in(media_type, Refused(Unauthenticated.ORIGIN_NOT_ALLOWED))
            if media_type == EVENT_STREAM:
                begun = await self._event_streams.begin(request, caller, self._context_for(caller, request.state.request_id))
                return _turned_away(GRAPHQL_JSON, begun) if isinstance(begun, TurnedAway) else begun
            with self._limits.place(caller) as full:
                return _turned_away(media_type, full) if full else await self._serve(request, media_type, caller)
        except Unservable as error:
            return _refusal(media_type, error.status, error.message, {"code": error.code}, error.headers)
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.MUTATION:
                reason = error.as_http_error_reason("GET").capitalize()
                return _refusal(media_type, 405, f"{reason}; use POST.", {"code": "METHOD_NOT_ALLOWED"}, {"Allow": "POST"})
            return _refusal(media_type, 400, NO_SUBSCRIPTIONS, {"code": "BAD_REQUEST"}, {})
        except DatabaseAway as error:
            log.warning("the database is away: %s", error)
            return _weather(media_type, error)

    async def _serve(self, request: Request, media_type: str, caller: Caller) -> Response:
        """Read, charge, execute."""
        operation = await read_operation(request)
        context = self._context_for(caller, request.state.request_id)
        admitted = await self._limits.admit(
            caller, operation.query, operation.operation_name, operation.variables, is_dry=operation.is_dry
        )
        if isinstance(admitted, TurnedAway):
            return _turned_away(media_type, admitted)
        if admitted.is_dry:
            return _json(media_type, {"data": None, "extensions": admitted.extensions}, 200, admitted.headers)
        result = await self._schema.execute(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
            allowed_operation_types=QUERY_ONLY if request.method in READING else QUERY_OR_MUTATION,
        )
        self._limits.note(caller, failed=bool(result.errors), payments=context.payments_made)
        return self._answer(media_type, result, admitted)

    def _answer(self, media_type: str, result: ExecutionResult, admitted: Charged) -> Response:
        errors = result.errors or []
        weather = next((each.original_error for each in errors if isinstance(each.original_error, WEATHER)), None)
        if weather is not None and not _has_data(result):
            log.warning("%s: %s", type(weather).__name__, weather)
            return _weather(media_type, weather)
        body: dict[str, Any] = {}
        if errors:
            body["errors"] = [self._public_error(each) for each in errors]
        refused_before_execution = result.data is None and all(each.path is None for each in errors)
        if not refused_before_execution:
            body["data"] = result.data
        ours = any(is_ours(each) for each in errors)
        status = 200
        if refused_before_execution and media_type == GRAPHQL_JSON:
            status = 400  # the draft: application/json answers 200 here, for old clients' sake
        if ours and not _has_data(result):
            status = 500
        return _json(media_type, body | {"extensions": admitted.extensions}, status, admitted.headers)


def _has_data(result: ExecutionResult) -> bool:
    return result.data is not None and any(value is not None for value in result.data.values())


def _weather(media_type: str, weather: BaseException) -> Response:
    wait_s, again = retry_after_s(weather), "Repeat this with the same idempotency key in a moment"
    if isinstance(weather, Overloaded | Crowded):
        message = f"Too many payments are under way. {again}."
    else:
        what = "keys" if isinstance(weather, KeysAway) else "database"
        message = f"The service can't reach its {what}. {again}; nothing is lost or done twice."
    extensions = {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": wait_s * 1000}
    return _refusal(media_type, 503, message, extensions, {"Retry-After": str(wait_s)})


def _not_let_in(media_type: str, refused: Refused) -> Response:
    extensions: dict[str, Any] = {"code": "UNAUTHENTICATED", "reason": refused.why.name, "path": ["Authorization"]}
    status, headers = 401, {"WWW-Authenticate": 'Bearer realm="partner-api"'}
    if refused.why in NOT_FOR_YOU:
        extensions["code"], status, headers = "FORBIDDEN", 403, {}
    elif refused.retry_after_s is not None:
        extensions |= {"code": "RATE_LIMITED", "retryAfterMs": refused.retry_after_s * 1000}
        status, headers = 429, {"Retry-After": str(refused.retry_after_s)}
    return _refusal(media_type, status, refused.why.value, extensions, headers)


def _refusal(media_type: str, status: int, message: str, extensions: dict[str, Any], headers: dict[str, str]) -> Response:
    return _json(media_type, {"errors": [{"message": message, "extensions": extensions}]}, status, headers)


def _turned_away(media_type: str, why: TurnedAway) -> Response:
    extensions: dict[str, Any] = {"code": why.code}
    headers = dict(why.headers)
    if why.retry_after_ms is not None:
        extensions["retryAfterMs"] = why.retry_after_ms
        headers["Retry-After"] = str(-(-why.retry_after_ms // 1000))
    body: dict[str, Any] = {"errors": [{"message": why.message, "extensions": extensions}]}
    return _json(media_type, body | ({"extensions": why.extensions} if why.extensions else {}), why.status, headers)


def _json(media_type: str, body: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    if media_type == EVENT_STREAM:  # it was refused before it began: EventSource gives up on the status, others read the body
        media_type = GRAPHQL_JSON
    return Response(orjson.dumps(body), status, headers, f"{media_type}; charset=utf-8")


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and "query" not in request.query_params


def _answer_type(request: Request) -> str:
    """The media type to answer in: the first that the client names and we speak; application/json when it does not care."""
    accept = request.headers.get("accept", "*/*")
    for entry in accept.split(","):
        wanted = entry.partition(";")[0].strip().lower()
        if wanted in (GRAPHQL_JSON, JSON, EVENT_STREAM):
            return wanted
        if wanted in ("*/*", "application/*", ""):
            return JSON
    raise Unservable(406, f"We answer in {GRAPHQL_JSON}, {JSON} or {EVENT_STREAM}.", code="NOT_ACCEPTABLE")
