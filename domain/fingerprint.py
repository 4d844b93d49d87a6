"""The fingerprint of a request: what makes two uses of one idempotency key the same request.

It covers the operation and its checked, normalised input, without the CVV (it must not be derivable from anything stored) and
with the card number only as a keyed hash. How the answer is delivered (`wait`) is no part of it.
"""

import hmac
import json
from uuid import UUID

from domain.card import CardDetails
from domain.payment import Verb
from domain.request import AuthorizeRequest, ChosenCard


def fingerprint_of_authorize(request: AuthorizeRequest, secret: bytes) -> bytes:
    """32 bytes that stand for an authorization; `secret` keeps a stolen table from being searched for card numbers."""
    return _digest(
        secret,
        Verb.AUTHORIZE,
        {
            "order": request.order_id,
            "customer": request.customer_id,
            "amount": request.amount.minor_units,
            "currency": request.amount.currency,
            **_source(request.card, secret),
        },
    )


def _source(card: CardDetails | ChosenCard, secret: bytes) -> dict[str, object]:
    if isinstance(card, ChosenCard):
        return {"stored card": str(card.card_id)}
    number = hmac.digest(secret, card.number.encode(), "sha256").hex()
    return {"card": number, "expiry": [card.expiry_month, card.expiry_year]}


def fingerprint_of_operation(verb: Verb, payment_id: UUID, secret: bytes) -> bytes:
    """32 bytes that stand for a capture, a void or a refund."""
    return _digest(secret, verb, {"payment": str(payment_id)})


def fingerprint_of_change(kind: str, content: dict[str, object], secret: bytes) -> bytes:
    """32 bytes that stand for a mutation that asks nothing of the bank: `kind` is its name, `content` its checked input."""
    return _digest(secret, kind, content)


def _digest(secret: bytes, kind: str, content: dict[str, object]) -> bytes:
    canonical = json.dumps([kind, content], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.digest(secret, canonical.encode(), "sha256")
