"""A payment as a JSON document and back: how stored answers and events keep it exactly as it was."""

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.card import CardBrand, CardSummary
from domain.money import Money
from domain.payment import BankReferences, Decline, DeclineCode, Payment, PaymentState, ReviewReason


def to_document(payment: Payment) -> dict[str, Any]:
    """Plain JSON values; times in ISO 8601 with their offset, microseconds kept."""
    return {
        "id": str(payment.id),
        "order_id": payment.order_id,
        "customer_id": payment.customer_id,
        "amount": {"minor_units": payment.amount.minor_units, "currency": payment.amount.currency},
        "card": {"brand": payment.card.brand.value, "last_four": payment.card.last_four},
        "card_id": None if payment.card_id is None else str(payment.card_id),
        "state": payment.state.value,
        "reached": {state.value: at.isoformat() for state, at in payment.reached.items()},
        "bank": {
            "authorization": payment.bank.authorization,
            "capture": payment.bank.capture,
            "void": payment.bank.void,
            "refund": payment.bank.refund,
        },
        "decline": None if payment.decline is None else {"code": payment.decline.code.value, "message": payment.decline.message},
        "review_reasons": sorted(reason.value for reason in payment.review_reasons),
    }


def from_document(document: dict[str, Any]) -> Payment:
    """The inverse of `to_document`."""
    decline = document["decline"]
    return Payment(
        id=UUID(document["id"]),
        order_id=document["order_id"],
        customer_id=document["customer_id"],
        amount=Money(**document["amount"]),
        card=CardSummary(CardBrand(document["card"]["brand"]), document["card"]["last_four"]),
        card_id=UUID(card_id) if (card_id := document.get("card_id")) else None,  # documents of before 0011 know of none
        state=PaymentState(document["state"]),
        reached={PaymentState(state): datetime.fromisoformat(at) for state, at in document["reached"].items()},
        bank=BankReferences(**document["bank"]),
        decline=None if decline is None else Decline(DeclineCode(decline["code"]), decline["message"]),
        review_reasons=frozenset(ReviewReason(reason) for reason in document["review_reasons"]),
    )
