"""What the bank did, from its own books."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hold:
    """Money held on a card. `state` is active, captured or voided."""

    id: str
    amount_minor: int
    currency: str
    last_four: str
    state: str
    key: str


@dataclass(frozen=True, slots=True)
class Capture:
    """Held money taken. `is_refunded` once it was paid back."""

    id: str
    hold_id: str
    amount_minor: int
    is_refunded: bool


@dataclass(frozen=True, slots=True)
class Void:
    """A hold given up."""

    id: str
    hold_id: str


@dataclass(frozen=True, slots=True)
class Refund:
    """Captured money paid back."""

    id: str
    capture_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every effect of a stretch of time. `lost_keys` had an effect whose idempotency key the bank did not keep."""

    holds: tuple[Hold, ...] = ()
    captures: tuple[Capture, ...] = ()
    voids: tuple[Void, ...] = ()
    refunds: tuple[Refund, ...] = ()
    lost_keys: int = 0


def ledger_of(document: Mapping[str, Any]) -> Ledger:
    """The control address's answer to GET /ledger."""
    effects = [*document["authorizations"], *document["captures"], *document["voids"], *document["refunds"]]
    kept = {entry["reference"] for entry in document["idempotency_keys"]}
    done = [next(effect[name] for name in _IDS if name in effect) for effect in effects]
    return Ledger(
        holds=tuple(
            Hold(
                each["authorization_id"],
                each["amount"],
                each["currency"],
                each["last4"],
                each["state"],
                each["idempotency_key"],
            )
            for each in document["authorizations"]
        ),
        captures=tuple(
            Capture(each["capture_id"], each["authorization_id"], each["amount"], each["state"] == "refunded")
            for each in document["captures"]
        ),
        voids=tuple(Void(each["void_id"], each["authorization_id"]) for each in document["voids"]),
        refunds=tuple(Refund(each["refund_id"], each["capture_id"], each["amount"]) for each in document["refunds"]),
        lost_keys=sum(reference not in kept for reference in done),
    )


_IDS = ("refund_id", "void_id", "capture_id", "authorization_id")  # an effect's own id comes before those it refers to
