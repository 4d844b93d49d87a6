"""What a request over HTTP asks to execute: read out of its body or its query, and refused where that can't be."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES = 256 * 1024  # a long document with variables has a tenth of that
JSON = "application/json"
READING = ("GET", "HEAD")  # methods that must change nothing


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


async def read_operation(request: Request) -> Operation:
    """What is asked for. Raises Unservable."""
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
