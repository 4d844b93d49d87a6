"""An attempt: one thing asked of the bank, and at the same time the idempotency record of the request that asked for it."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.ids import IdKind, encode_id
from domain.payment import Payment, PendingOperation, Verb


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an attempt ended: the payment as it was then, and the sentence of a refusal where the bank refused."""

    payment: Payment
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Open until the bank's answer is known beyond doubt; whoever holds the lease asks, and nobody else."""

    id: UUID
    payment_id: UUID
    verb: Verb
    idempotency_key: str | None  # None: our own, to release an expired hold
    fingerprint: bytes
    opened_at: datetime
    lease_until: datetime
    lease_token: UUID
    tries: int  # including the one under way
    unanswered: int  # tries that may have reached the bank and brought no answer
    sealed_card: bytes | None = field(repr=False)  # an authorization's card, until it closes
    resolution: Resolution | None = None

    @property
    def bank_key(self) -> str:
        """The Idempotency-Key at the bank: one for each attempt, the same on every try."""
        return encode_id(IdKind.ATTEMPT, self.id)

    @property
    def pending(self) -> PendingOperation | None:
        return PendingOperation(self.verb, self.opened_at, self.tries) if self.resolution is None else None
