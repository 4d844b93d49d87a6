"""The ledger as the control app shows it. Card numbers leave as last four digits and an account's fingerprint.

    {"accounts":       [{"account", "last4", "balance", "available"}],
     "authorizations": [{"authorization_id", "account", "last4", "amount", "currency", "state", "created_at",
                         "expires_at", "idempotency_key"}],
     "captures":       [{"capture_id", "authorization_id", "amount", "currency", "state", "captured_at",
                         "idempotency_key"}],
     "voids":          [{"void_id", "authorization_id", "amount", "currency", "voided_at", "idempotency_key"}],
     "refunds":        [{"refund_id", "capture_id", "amount", "currency", "refunded_at", "idempotency_key"}],
     "issued_cards":   [{"card_id", "account", "last4", "issued_at", "idempotency_key"}],
     "idempotency_keys": [{"idempotency_key", "path", "reference", "stored_at"}]}

`state` is the truth that a GET of the bank hides: active, captured or voided; a capture's is captured or refunded.
A key that caused an effect and is missing from `idempotency_keys` was lost (§7.1) or could not be stored (§5).
"""

from typing import Any

from bank.mock.records import CURRENCY, Capture, Hold, IssuedCard, Refund, State, StoredAnswer, Void
from bank.mock.timestamps import NANOS_PER_MICRO, to_micros, to_rfc3339


def ledger_report(state: State, key_prefix: str, since_us: int | None) -> dict[str, Any]:
    """Effects and keys whose key starts with `key_prefix` and that are not older than `since_us`."""

    def wanted(key: str, moment_us: int) -> bool:
        return key.startswith(key_prefix) and (since_us is None or moment_us >= since_us)

    return {
        "accounts": [
            {
                "account": account.fingerprint,
                "last4": account.last4,
                "balance": account.balance,
                "available": account.available,
            }
            for account in state.accounts.values()
        ],
        "authorizations": [_authorization(it) for it in state.holds.values() if wanted(it.key, it.created_us)],
        "captures": [_capture(it) for it in state.captures.values() if wanted(it.key, it.captured_us)],
        "voids": [_void(it) for it in state.voids.values() if wanted(it.key, it.voided_us)],
        "refunds": [_refund(it) for it in state.refunds.values() if wanted(it.key, it.refunded_us)],
        "issued_cards": [_issued(it) for it in state.issued.values() if wanted(it.key, it.issued_us)],
        "idempotency_keys": [_answer(it) for it in state.answers.values() if wanted(it.key, to_micros(it.stored_ns))],
    }


def _authorization(hold: Hold) -> dict[str, Any]:
    return {
        "authorization_id": hold.authorization_id,
        "account": hold.account.fingerprint,
        "last4": hold.account.last4,
        "amount": hold.amount,
        "currency": CURRENCY,
        "state": hold.state,
        "created_at": _time(hold.created_us),
        "expires_at": _time(hold.expires_us),
        "idempotency_key": hold.key,
    }


def _capture(capture: Capture) -> dict[str, Any]:
    return {
        "capture_id": capture.capture_id,
        "authorization_id": capture.hold.authorization_id,
        "amount": capture.amount,
        "currency": CURRENCY,
        "state": "refunded" if capture.refunded else "captured",
        "captured_at": _time(capture.captured_us),
        "idempotency_key": capture.key,
    }


def _void(void: Void) -> dict[str, Any]:
    return {
        "void_id": void.void_id,
        "authorization_id": void.hold.authorization_id,
        "amount": void.hold.amount,
        "currency": CURRENCY,
        "voided_at": _time(void.voided_us),
        "idempotency_key": void.key,
    }


def _refund(refund: Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.refund_id,
        "capture_id": refund.capture.capture_id,
        "amount": refund.amount,
        "currency": CURRENCY,
        "refunded_at": _time(refund.refunded_us),
        "idempotency_key": refund.key,
    }


def _issued(card: IssuedCard) -> dict[str, Any]:
    return {
        "card_id": card.card_id,
        "account": card.account.fingerprint,
        "last4": card.account.last4,
        "issued_at": _time(card.issued_us),
        "idempotency_key": card.key,
    }


def _answer(answer: StoredAnswer) -> dict[str, Any]:
    return {
        "idempotency_key": answer.key,
        "path": answer.path,
        "reference": answer.reference,
        "stored_at": to_rfc3339(answer.stored_ns),
    }


def _time(micros: int) -> str:
    return to_rfc3339(micros * NANOS_PER_MICRO)
