"""The bank's OpenAPI document and its page, as it publishes them under /docs (contract §2).

Statuses and shapes are the contract's; the descriptions say where they would surprise.
"""

import html
from typing import Any, Final

from bank.mock.errors import CODES

Json = dict[str, Any]

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_EXAMPLE_UUID: Final = "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b"
_INT64: Final[Json] = {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
_MOMENT: Final[Json] = {
    "type": "string",
    "format": "date-time",
    "description": "UTC. Up to nine fractional digits in a POST's answer, microseconds in a GET's: never compare them.",
    "example": "2030-01-02T03:04:05.678901Z",
}


def _id(prefix: str) -> Json:
    return {"type": "string", "pattern": f"^{prefix}_{_UUID}$", "example": f"{prefix}_{_EXAMPLE_UUID}"}


def _object(properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _request(properties: Json) -> Json:
    # Nothing is required and null is zero: what is missing fails validation, not decoding (§3).
    return {"type": "object", "properties": properties, "additionalProperties": True}


_AMOUNT: Final[Json] = {**_INT64, "minimum": 1, "description": "Cents.", "example": 5000}
_USD: Final[Json] = {"type": "string", "enum": ["USD"]}

_SCHEMAS: Final[Json] = {
    "AuthorizationRequest": _request(
        {
            "card_number": {"type": "string", "example": "4111111111111111"},
            "cvv": {"type": "string", "example": "123"},
            "amount": {**_INT64, "description": "Cents.", "example": 5000},
            "expiry_month": {**_INT64, "description": "Ignored: the stored expiry counts.", "example": 12},
            "expiry_year": {**_INT64, "description": "Ignored: the stored expiry counts.", "example": 2030},
        }
    ),
    "CaptureRequest": _request(
        {
            "authorization_id": {"type": "string", "example": f"auth_{_EXAMPLE_UUID}"},
            "amount": {**_INT64, "description": "Must equal the authorization's.", "example": 5000},
        }
    ),
    "VoidRequest": _request({"authorization_id": {"type": "string", "example": f"auth_{_EXAMPLE_UUID}"}}),
    "RefundRequest": _request(
        {
            "capture_id": {"type": "string", "example": f"cap_{_EXAMPLE_UUID}"},
            "amount": {**_INT64, "description": "Must equal the capture's.", "example": 5000},
        }
    ),
    "Authorization": _object(
        {
            "authorization_id": _id("auth"),
            "status": {"type": "string", "enum": ["approved"], "description": "Always, whatever happened since."},
            "amount": _AMOUNT,
            "currency": _USD,
            "expires_at": _MOMENT,
            "created_at": _MOMENT,
        }
    ),
    "Capture": _object(
        {
            "capture_id": _id("cap"),
            "authorization_id": _id("auth"),
            "status": {"type": "string", "enum": ["captured"], "description": "Always, after a refund too."},
            "amount": _AMOUNT,
            "currency": _USD,
            "captured_at": _MOMENT,
        }
    ),
    "Void": _object(
        {
            "void_id": _id("void"),
            "authorization_id": _id("auth"),
            "status": {"type": "string", "enum": ["voided"]},
            "voided_at": _MOMENT,
        }
    ),
    "Refund": _object(
        {
            "refund_id": _id("ref"),
            "capture_id": _id("cap"),
            "status": {"type": "string", "enum": ["refunded"]},
            "amount": _AMOUNT,
            "currency": _USD,
            "refunded_at": _MOMENT,
        }
    ),
    "Error": _object(
        {"error": {"type": "string", "enum": list(CODES)}, "message": {"type": "string"}},
    ),
    "Health": _object({"status": {"type": "string", "enum": ["healthy", "unhealthy"]}}),
}


def _ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def _answer(description: str, schema: str, example: Json | None = None) -> Json:
    media: Json = {"schema": _ref(schema)}
    if example is not None:
        media["example"] = example
    return {"description": description, "content": {"application/json": media}}


def _plain(description: str, example: str) -> Json:
    return {
        "description": description,
        "content": {"text/plain": {"schema": {"type": "string"}, "example": f"{example}\n"}},
    }


def _error(description: str, code: str, message: str) -> Json:
    return _answer(description, "Error", {"error": code, "message": message})


_INJECTED: Final = _error(
    "Random failure, before any work: a retry with the same key is safe.",
    "internal_error",
    "Random failure injection",
)
_KEY: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "1 to 255 characters, scoped to the path, kept for 24 hours after a 200. "
    "The body of a replay is not compared.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "order-1001-authorize",
}
_ROUTE_404: Final = _plain("No such route; a trailing slash is one.", "404 page not found")


def _creation(summary: str, operation: str, schema: str, refusal: Json, *, pays: bool = False) -> Json:
    refused = {**refusal, "content": {**refusal["content"], **_plain("", "the body is not valid JSON")["content"]}}
    created = _answer("Done; 200, never 201.", schema)
    created["headers"] = {
        "X-Idempotent-Replayed": {
            "description": "`true` on a replay, absent otherwise.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
    responses: Json = {"200": created, "400": refused, "500": _INJECTED}
    if pays:
        responses["402"] = _error("Declined for lack of funds.", "insufficient_funds", "insufficient funds")
    return {
        "post": {
            "summary": summary,
            "operationId": operation,
            "parameters": [_KEY],
            "requestBody": {
                "required": True,
                "description": "Decoded whatever its Content-Type says.",
                "content": {"application/json": {"schema": _ref(f"{schema}Request")}},
            },
            "responses": responses,
        }
    }


def _lookup(summary: str, operation: str, schema: str, prefix: str) -> Json:
    parameter = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "In lower or upper case, with or without dashes or braces.",
        "schema": {"type": "string", "minLength": 1, "pattern": f"^{prefix}_[0-9a-fA-F-]+$"},
        "example": f"{prefix}_{_EXAMPLE_UUID}",
    }
    missing = _error("Unknown, or the bank's database is down: proves nothing.", "not_found", "not found")
    missing["content"].update(_ROUTE_404["content"])
    return {
        "get": {
            "summary": summary,
            "operationId": operation,
            "parameters": [parameter],
            "responses": {"200": _answer("Found.", schema), "404": missing, "500": _INJECTED},
        }
    }


DOCUMENT: Final[Json] = {
    "openapi": "3.0.3",
    "info": {
        "title": "Partner bank",
        "version": "1.0.0",
        "description": "Holds, captures, voids and refunds on cards. Errors are JSON or text/plain: assume JSON on "
        "200 only. Every POST needs an Idempotency-Key.",
    },
    "paths": {
        "/api/v1/authorizations": _creation(
            "Hold money on a card",
            "authorize",
            "Authorization",
            _error("Refused, or undecodable.", "invalid_card", "card not found or invalid"),
            pays=True,
        ),
        "/api/v1/authorizations/{id}": _lookup("Find a hold", "findAuthorization", "Authorization", "auth"),
        "/api/v1/captures": _creation(
            "Take held money, all of it",
            "capture",
            "Capture",
            _error("Refused, or undecodable.", "authorization_not_found", "authorization not found"),
        ),
        "/api/v1/captures/{id}": _lookup("Find a capture", "findCapture", "Capture", "cap"),
        "/api/v1/voids": _creation(
            "Give a hold back",
            "void",
            "Void",
            _error("Refused, or undecodable.", "authorization_not_found", "authorization not found"),
        ),
        "/api/v1/refunds": _creation(
            "Give captured money back, all of it",
            "refund",
            "Refund",
            _error("Refused, or undecodable.", "capture_not_found", "capture not found"),
        ),
        "/api/v1/refunds/{id}": _lookup("Find a refund", "findRefund", "Refund", "ref"),
        "/health": {
            "get": {
                "summary": "Whether the bank's database answers",
                "operationId": "health",
                "responses": {
                    "200": _answer("It does.", "Health", {"status": "healthy"}),
                    "503": _answer("It doesn't.", "Health", {"status": "unhealthy"}),
                },
            }
        },
    },
    "components": {"schemas": _SCHEMAS},
}


def _docs_page() -> bytes:
    rows = "".join(
        f"<li><code>{method.upper()} {html.escape(path)}</code> {html.escape(operation['summary'])}</li>"
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    )
    swagger = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Partner bank</title>
<link rel="stylesheet" href="{swagger}/swagger-ui.css">
</head>
<body>
<div id="offline">
<h1>Partner bank</h1>
<p>The contract as <a href="/docs/openapi">OpenAPI JSON</a>. Operations:</p>
<ul>{rows}</ul>
</div>
<div id="swagger-ui"></div>
<script src="{swagger}/swagger-ui-bundle.js"></script>
<script>
if (window.SwaggerUIBundle) {{
  document.getElementById("offline").hidden = true;
  SwaggerUIBundle({{ url: "/docs/openapi", dom_id: "#swagger-ui" }});
}}
</script>
</body>
</html>
""".encode()


# Useful without the network too: the list stays when Swagger UI can't be loaded.
DOCS_PAGE: Final = _docs_page()
