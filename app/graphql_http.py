"""GraphQL over HTTP, to the letter of its specification's draft, and all errors that leave the house.

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
from dataclasses import dataclass, field
from typing import Any

import orjson
import strawberry
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from app.authentication import Authentication
from app.client_address import client_address
from app.limits import Charged, Limits, TurnedAway
from app.scrubbing import scrub
from domain.access import NOT_FOR_YOU, Refused
from domain.api_key import Network
from domain.caller import Caller
from gateway.gateway import OVERLOADED_RETRY_S, Overloaded
from persistence.database import Crowded, DatabaseAway
from resolvers.context import Context

MAX_BODY_BYTES = 256 * 1024  # a long document with variables has a tenth of that
DATABASE_RETRY_S = 2  # a restart or a failover of Postgres takes some seconds; asking every two costs nothing
GRAPHQL_JSON, JSON = "application/graphql-response+json", "application/json"
READING = ("GET", "HEAD")  # methods that must change nothing
QUERY_ONLY = {OperationType.QUERY}
QUERY_OR_MUTATION = {OperationType.QUERY, OperationType.MUTATION}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks to execute. Its repr shows nothing: documents and variables may hold cards."""

    query: str = field(repr=False)
    variables: dict[str, Any] | None = field(repr=False)
    operation_name: str | None = field(repr=False)
    is_dry: bool = False  # only the cost is asked for


class Unservable(Exception):
    """A request that can't be served as it is: HTTP status, code, and a sentence for the client."""

    def __init__(self, status: int, message: str, *, code: str = "BAD_REQUEST", **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class GraphQLEndpoint:
    """Serves one schema. `new_error_id` makes the ids that masked errors are found by.

    While `is_crowded` says so, requests are refused unread: whoever can't be served must not cost what those need who can.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        authentication: Authentication,
        context_for: Callable[[Caller, str], Context],
        new_error_id: Callable[[], str],
        is_crowded: Callable[[], bool],
        limits: Limits,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._authentication = authentication
        self._context_for = context_for
        self._new_error_id = new_error_id
        self._is_crowded = is_crowded
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
            with self._limits.place(caller) as full:
                return _turned_away(media_type, full) if full else await self._serve(request, media_type, caller)
        except Unservable as error:
            return _refusal(media_type, error.status, error.message, {"code": error.code}, error.headers)
        except InvalidOperationTypeError as error:
            reading = request.method in READING
            reason = error.as_http_error_reason("GET" if reading else "POST").capitalize()
            if reading:
                return _refusal(media_type, 405, f"{reason}; use POST.", {"code": "METHOD_NOT_ALLOWED"}, {"Allow": "POST"})
            return _refusal(media_type, 400, f"{reason}.", {"code": "BAD_REQUEST"}, {})
        except DatabaseAway as error:
            log.warning("the database is away: %s", error)
            return _weather(media_type, error)

    async def _serve(self, request: Request, media_type: str, caller: Caller) -> Response:
        """Read, charge, execute."""
        operation = await _read_operation(request)
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
        weather = next((each.original_error for each in errors if isinstance(each.original_error, _WEATHER)), None)
        if weather is not None and not _has_data(result):
            log.warning("%s: %s", type(weather).__name__, weather)
            return _weather(media_type, weather)
        body: dict[str, Any] = {}
        if errors:
            body["errors"] = [self.public_error(each) for each in errors]
        refused_before_execution = result.data is None and all(each.path is None for each in errors)
        if not refused_before_execution:
            body["data"] = result.data
        ours = any(_is_ours(each) for each in errors)
        status = 200
        if refused_before_execution and media_type == GRAPHQL_JSON:
            status = 400  # the draft: application/json answers 200 here, for old clients' sake
        if ours and not _has_data(result):
            status = 500
        return _json(media_type, body | {"extensions": admitted.extensions}, status, admitted.headers)

    def public_error(self, error: GraphQLError) -> dict[str, Any]:
        """An error as the client may see it. Bugs of ours are logged under an id and show nothing else."""
        original = error.original_error
        if isinstance(original, _WEATHER):
            message = "This part could not be done just now. Repeat it in a moment."
            extensions: dict[str, Any] = {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": _retry_after_s(original) * 1000}
        elif _is_ours(error):
            error_id = self._new_error_id()
            log.error("error %s", error_id, exc_info=original)
            message = f"Something went wrong on our side. Quote {error_id} and we will find out what."
            extensions = {"code": "INTERNAL_ERROR", "errorId": error_id}
        else:
            message, path = scrub(error.message)
            extensions = {"code": "INVALID_INPUT", **({"path": path} if path else {}), **(error.extensions or {})}
        formatted: dict[str, Any] = {"message": message}
        if error.locations:
            formatted["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
        if error.path is not None:
            formatted["path"] = error.path
        return formatted | {"extensions": extensions}


_WEATHER = (DatabaseAway, Overloaded)


def _has_data(result: ExecutionResult) -> bool:
    return result.data is not None and any(value is not None for value in result.data.values())


def _is_ours(error: GraphQLError) -> bool:
    """Whether an error is a bug: an exception that is neither a refusal nor weather.

    An exception about a literal in the document has nodes, and no path yet: that is the client's.
    """
    original = error.original_error
    if original is None or isinstance(original, (GraphQLError, *_WEATHER)):
        return False
    return error.path is not None or not error.nodes


def _retry_after_s(weather: BaseException) -> int:
    return OVERLOADED_RETRY_S if isinstance(weather, Overloaded | Crowded) else DATABASE_RETRY_S


def _weather(media_type: str, weather: BaseException) -> Response:
    retry_after_s = _retry_after_s(weather)
    message = (
        "Too many payments are under way. Repeat this with the same idempotency key in a moment."
        if isinstance(weather, Overloaded | Crowded)
        else "The service can't reach its database. Repeat this with the same idempotency key in a moment; nothing is lost or done twice."
    )
    extensions = {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": retry_after_s * 1000}
    return _refusal(media_type, 503, message, extensions, {"Retry-After": str(retry_after_s)})


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
    return Response(orjson.dumps(body), status, headers, f"{media_type}; charset=utf-8")


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and "query" not in request.query_params


def _answer_type(request: Request) -> str:
    """The media type to answer in: the first that the client names and we speak; application/json when it does not care."""
    accept = request.headers.get("accept", "*/*")
    for entry in accept.split(","):
        wanted = entry.partition(";")[0].strip().lower()
        if wanted in (GRAPHQL_JSON, JSON):
            return wanted
        if wanted in ("*/*", "application/*", ""):
            return JSON
    raise Unservable(406, f"We answer in {GRAPHQL_JSON} or {JSON}.", code="NOT_ACCEPTABLE")


async def _read_operation(request: Request) -> Operation:
    if request.method in READING:
        parameters = request.query_params
        return _operation(
            {
                "query": parameters.get("query"),
                "operationName": parameters.get("operationName"),
                "variables": _parameter(parameters.get("variables"), "variables"),
                "extensions": _parameter(parameters.get("extensions"), "extensions"),
            }
        )
    media_type, _, parameter = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != JSON:
        raise Unservable(415, f"Send {JSON}.", code="UNSUPPORTED_MEDIA_TYPE", Accept_Post=JSON)
    charset = parameter.strip().lower().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise Unservable(415, "Send it in UTF-8.", code="UNSUPPORTED_MEDIA_TYPE")
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise Unservable(413, f"The body is larger than {MAX_BODY_BYTES} bytes.", code="PAYLOAD_TOO_LARGE")
    except ClientDisconnect:
        raise Unservable(400, "The body ended too early.") from None
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unservable(400, "The body is not JSON in UTF-8.") from None
    if isinstance(content, list):
        raise Unservable(400, "Batches are not served; send one operation in a request.")
    if not isinstance(content, dict):
        raise Unservable(400, 'The body is not a JSON object with a "query".')
    return _operation(content)


def _parameter(text: str | None, name: str) -> object:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unservable(400, f"The parameter {name} is not JSON.") from None


def _operation(content: dict[str, Any]) -> Operation:
    query, variables, name = content.get("query"), content.get("variables"), content.get("operationName")
    if not isinstance(query, str) or not query:
        raise Unservable(400, '"query" is missing or not a string.')
    if not isinstance(variables, dict | None):
        raise Unservable(400, '"variables" is not an object.')
    if not isinstance(name, str | None):
        raise Unservable(400, '"operationName" is not a string.')
    extensions = content.get("extensions")
    if not isinstance(extensions, dict | None):
        raise Unservable(400, '"extensions" is not an object.')
    is_dry = (extensions or {}).get("dryRun", False)
    if not isinstance(is_dry, bool):  # taken for false, it would run what should not run
        raise Unservable(400, '"extensions.dryRun" is neither true nor false.')
    return Operation(query, variables, name or None, is_dry)  # an empty name is how some clients say none
