"""The OpenAPI document describes the bank that publishes it."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from bank.mock import BankSettings, VirtualTime, create_bank
from bank.mock.errors import CODES

_TIME = VirtualTime()
_QUIET = BankSettings(failure_rate=0, min_latency_ms=0, max_latency_ms=0, state="memory", seed=1)
_BANK = create_bank(_QUIET, clock=_TIME.clock, sleep=_TIME.sleep)
# Not negative_data_rejection and its kin: the bank takes null for zero and ignores what it doesn't know (§3).
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
]

schema = schemathesis.openapi.from_asgi("/docs/openapi", _BANK.app)


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_the_bank_keeps_its_own_document(case: Any) -> None:
    case.call_and_validate(checks=_CHECKS)


async def test_the_document_names_every_operation_and_code(till: Any) -> None:
    document = (await till.client.get("/docs/openapi")).json()

    operations = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert operations == {
        ("/api/v1/authorizations", "post"),
        ("/api/v1/authorizations/{id}", "get"),
        ("/api/v1/captures", "post"),
        ("/api/v1/captures/{id}", "get"),
        ("/api/v1/voids", "post"),
        ("/api/v1/refunds", "post"),
        ("/api/v1/refunds/{id}", "get"),
        ("/health", "get"),
    }
    assert document["components"]["schemas"]["Error"]["properties"]["error"]["enum"] == list(CODES)
    assert set(CODES) == {
        "invalid_card", "invalid_cvv", "invalid_amount", "card_expired", "insufficient_funds",
        "authorization_not_found", "authorization_expired", "authorization_already_used", "already_refunded",
        "amount_mismatch", "capture_not_found", "not_found", "internal_error",
    }  # fmt: skip


async def test_the_document_gives_text_plain_where_the_bank_does(till: Any) -> None:
    paths = (await till.client.get("/docs/openapi")).json()["paths"]

    for path, operations in paths.items():
        if "post" in operations:
            assert set(operations["post"]["responses"]["400"]["content"]) == {"application/json", "text/plain"}, path


async def test_what_the_bank_really_answers_fits_the_document(till: Any) -> None:
    """Made-up ids never succeed, so the answers that need a real one are compared here."""
    hold, other = (await till.authorize()).json(), (await till.authorize()).json()
    capture = await till.capture(hold["authorization_id"])
    capture_id = capture.json()["capture_id"]
    refund = await till.refund(capture_id)
    answers = {
        ("/api/v1/captures", "POST"): capture,
        ("/api/v1/refunds", "POST"): refund,
        ("/api/v1/voids", "POST"): await till.void(other["authorization_id"]),
        ("/api/v1/authorizations/{id}", "GET"): await till.get(f"authorizations/{hold['authorization_id']}"),
        ("/api/v1/captures/{id}", "GET"): await till.get(f"captures/{capture_id}"),
        ("/api/v1/refunds/{id}", "GET"): await till.get(f"refunds/{refund.json()['refund_id']}"),
    }

    for (path, method), answer in answers.items():
        assert answer.status_code == 200
        schema[path][method].validate_response(answer)


async def test_a_wrong_answer_does_not_fit_the_document(till: Any) -> None:
    """The comparison above can fail: a capture is not a void."""
    capture = await till.capture(await till.hold())

    assert not schema["/api/v1/voids"]["POST"].is_valid_response(capture)
