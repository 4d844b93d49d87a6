"""The audit log: who changed something, from where, when, what, and why. One entry for each mutation that did something, for each
word of an operator, and for each repair of the reconciliation.

It is kept for ever and shown to partners: nothing secret is in it. What exactly a payment became is in its events; an entry refers to
the payment and to the idempotency key.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.payment import Payment, Verb

RECONCILIATION = "reconciliation"  # the actor of what no person did
MAX_ACTOR_LENGTH = 255  # as the table has it
MAX_NOTE_LENGTH = 1000  # as the table has it: a note says why, a ticket holds the correspondence


class ActorKind(StrEnum):
    """What kind of actor it was; the value is the name in tables and in the schema."""

    API_KEY = "API_KEY"
    OPERATOR = "OPERATOR"
    RECONCILIATION = "RECONCILIATION"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mutation comes from: a key, the address it was presented from, and the request."""

    api_key_id: UUID
    name: str  # the key's, as it was then
    address: str
    request_id: str


# For what is begun without a request, as tests and simulations do. An entry is written all the same: none can be forgotten.
UNKNOWN_ORIGIN = Origin(UUID(int=0), "unknown", "", "")

REQUESTED = {  # the action of each payment mutation's entry
    Verb.AUTHORIZE: "payment.requested",
    Verb.CAPTURE: "payment.capture_requested",
    Verb.VOID: "payment.void_requested",
    Verb.REFUND: "payment.refund_requested",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing done. `before` and `after` are receipts, which hold nothing secret; alike where only something about a payment was done.

    `payment_id` or `subject`, the public id of anything else, says to what it was done.
    """

    id: UUID
    at: datetime
    actor: str  # a key's name, an operator's, or RECONCILIATION
    action: str  # in the past tense, as events are: `payment.reference_settled`
    payment_id: UUID | None = None
    note: str = ""
    before: Payment | None = None
    after: Payment | None = None
    kind: ActorKind = ActorKind.OPERATOR
    api_key_id: UUID | None = None
    address: str | None = None
    request_id: str | None = None
    subject: str | None = None
    attempt_id: UUID | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry with its place in the tenant's chain."""

    entry: AuditEntry
    sequence: int
    hash: bytes


def entry_of_request(
    entry_id: UUID,
    at: datetime,
    origin: Origin,
    action: str,
    *,
    payment_id: UUID | None = None,
    subject: str | None = None,
    attempt_id: UUID | None = None,
    idempotency_key: str | None = None,
    note: str = "",
) -> AuditEntry:
    """The entry of a mutation."""
    return AuditEntry(
        id=entry_id,
        at=at,
        kind=ActorKind.API_KEY,
        actor=origin.name,
        api_key_id=origin.api_key_id,
        address=origin.address,
        request_id=origin.request_id,
        action=action,
        payment_id=payment_id,
        subject=subject,
        attempt_id=attempt_id,
        idempotency_key=idempotency_key,
        note=note,
    )
