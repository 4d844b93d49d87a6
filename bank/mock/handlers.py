"""The bank's operations as bytes to bytes: decode, validate, one transaction, render (contract §1 to §3)."""

from dataclasses import dataclass
from typing import Any, Final

from bank.mock.answers import Answer, json_answer
from bank.mock.decoding import Shape, decode
from bank.mock.errors import (
    AUTHORIZATION_NOT_FOUND,
    CAPTURE_NOT_FOUND,
    CARD_NOT_FOUND,
    DATABASE_FAILED,
    NOT_FOUND,
    Refusal,
    Refused,
)
from bank.mock.ledger import Ledger
from bank.mock.records import CURRENCY, Capture, Hold, Refund
from bank.mock.timestamps import NANOS_PER_MICRO, to_rfc3339
from bank.mock.validation import canonical_id, check_authorization

AUTHORIZE: Final[Shape] = {
    "card_number": str,
    "cvv": str,
    "amount": int,
    # Decoded, so a string in them is an error, and then ignored: the stored expiry counts (§3.6).
    "expiry_month": int,
    "expiry_year": int,
}
CAPTURE: Final[Shape] = {"authorization_id": str, "amount": int}
VOID: Final[Shape] = {"authorization_id": str}
REFUND: Final[Shape] = {"capture_id": str, "amount": int}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a handler needs to know besides the body: the time, the key to record, and the database's health."""

    now_ns: int
    key: str
    expiry_shift_ns: int
    database_down: bool
    misleading_errors: bool

    def lock(self, misleading: Refusal) -> None:
        """Begin the transaction: down is `internal_error` (§7.3), a failed locking read "not found" (§7.4)."""
        if self.database_down:
            raise Refused(DATABASE_FAILED)
        if self.misleading_errors:
            raise Refused(misleading)


def authorize(ledger: Ledger, body: bytes, at: Circumstances) -> Answer:
    """POST /api/v1/authorizations."""
    fields = decode(body, AUTHORIZE)
    card_number, cvv, amount = fields["card_number"], fields["cvv"], fields["amount"]
    check_authorization(card_number, cvv, amount)
    at.lock(CARD_NOT_FOUND)
    hold = ledger.authorize(card_number, cvv, amount, at.key, at.now_ns)
    expires_ns = at.now_ns + ledger.expiry_ns + at.expiry_shift_ns
    return json_answer(200, _hold(hold, at.now_ns, expires_ns), hold.authorization_id)


def capture(ledger: Ledger, body: bytes, at: Circumstances) -> Answer:
    """POST /api/v1/captures."""
    fields = decode(body, CAPTURE)
    authorization_id = _id("auth_", fields["authorization_id"], AUTHORIZATION_NOT_FOUND)
    at.lock(AUTHORIZATION_NOT_FOUND)
    taken = ledger.capture(authorization_id, fields["amount"], at.key, at.now_ns)
    return json_answer(200, _capture(taken, at.now_ns), taken.capture_id)


def void(ledger: Ledger, body: bytes, at: Circumstances) -> Answer:
    """POST /api/v1/voids. No amount and no currency in the answer (§2)."""
    fields = decode(body, VOID)
    authorization_id = _id("auth_", fields["authorization_id"], AUTHORIZATION_NOT_FOUND)
    at.lock(AUTHORIZATION_NOT_FOUND)
    given_up = ledger.void(authorization_id, at.key, at.now_ns)
    content = {
        "void_id": given_up.void_id,
        "authorization_id": authorization_id,
        "status": "voided",
        "voided_at": to_rfc3339(at.now_ns),
    }
    return json_answer(200, content, given_up.void_id)


def refund(ledger: Ledger, body: bytes, at: Circumstances) -> Answer:
    """POST /api/v1/refunds."""
    fields = decode(body, REFUND)
    capture_id = _id("cap_", fields["capture_id"], CAPTURE_NOT_FOUND)
    at.lock(CAPTURE_NOT_FOUND)
    returned = ledger.refund(capture_id, fields["amount"], at.key, at.now_ns)
    return json_answer(200, _refund(returned, at.now_ns), returned.refund_id)


def find_authorization(ledger: Ledger, text: str, at: Circumstances) -> Answer:
    """GET /api/v1/authorizations/{id}. "approved" after capture, void and expiry too (§2)."""
    hold = ledger.state.holds.get(_findable("auth_", text, at))
    if hold is None:
        raise Refused(NOT_FOUND)
    created_ns, expires_ns = hold.created_us * NANOS_PER_MICRO, hold.expires_us * NANOS_PER_MICRO
    return json_answer(200, _hold(hold, created_ns, expires_ns + at.expiry_shift_ns))


def find_capture(ledger: Ledger, text: str, at: Circumstances) -> Answer:
    """GET /api/v1/captures/{id}. "captured" after a refund too (§2)."""
    found = ledger.state.captures.get(_findable("cap_", text, at))
    if found is None:
        raise Refused(NOT_FOUND)
    return json_answer(200, _capture(found, found.captured_us * NANOS_PER_MICRO))


def find_refund(ledger: Ledger, text: str, at: Circumstances) -> Answer:
    """GET /api/v1/refunds/{id}."""
    found = ledger.state.refunds.get(_findable("ref_", text, at))
    if found is None:
        raise Refused(NOT_FOUND)
    return json_answer(200, _refund(found, found.refunded_us * NANOS_PER_MICRO))


def _findable(prefix: str, text: str, at: Circumstances) -> str:
    # With its database down the bank says that it has never heard of anything (§7.3).
    if at.database_down:
        raise Refused(NOT_FOUND)
    return _id(prefix, text, NOT_FOUND)


def _id(prefix: str, text: str, otherwise: Refusal) -> str:
    canonical = canonical_id(prefix, text)
    if canonical is None:
        raise Refused(otherwise)
    return canonical


def _hold(hold: Hold, created_ns: int, expires_ns: int) -> dict[str, Any]:
    return {
        "authorization_id": hold.authorization_id,
        "status": "approved",
        "amount": hold.amount,
        "currency": CURRENCY,
        "expires_at": to_rfc3339(expires_ns),
        "created_at": to_rfc3339(created_ns),
    }


def _capture(capture: Capture, captured_ns: int) -> dict[str, Any]:
    return {
        "capture_id": capture.capture_id,
        "authorization_id": capture.hold.authorization_id,
        "status": "captured",
        "amount": capture.amount,
        "currency": CURRENCY,
        "captured_at": to_rfc3339(captured_ns),
    }


def _refund(refund: Refund, refunded_ns: int) -> dict[str, Any]:
    return {
        "refund_id": refund.refund_id,
        "capture_id": refund.capture.capture_id,
        "status": "refunded",
        "amount": refund.amount,
        "currency": CURRENCY,
        "refunded_at": to_rfc3339(refunded_ns),
    }
