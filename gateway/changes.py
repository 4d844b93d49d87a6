"""How payments change, whoever changes them: the row, the release of a hold that ran out, and one event for each new state."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.attempt import Attempt
from domain.audit import AuditEntry
from domain.event import event_of
from domain.payment import Expired, Payment, PaymentState, Verb, step
from gateway.parts import Desk
from persistence.attempts import GIVEN_BACK, open_operations
from persistence.database import Transaction
from persistence.events import append_events
from persistence.payments import save_payments


@dataclass(frozen=True, slots=True)
class Change:
    """A locked payment before and after. `idempotency_key` is that of the request that asked for it; None: our own doing."""

    before: Payment
    after: Payment
    idempotency_key: str | None = None

    @property
    def reaches_a_state(self) -> bool:
        """Whether it is an event, and not only a reference or a flag."""
        return self.before.state is not self.after.state


async def record_changes(
    parts: Desk, tx: Transaction, tenant_id: UUID, changes: Sequence[Change], entries: Sequence[AuditEntry] = ()
) -> None:
    """Write them, and the audit log's entries of them. The last thing that a transaction does: it takes the locks on the tenant's
    chain and on its sequence of events.
    """
    if not changes and not entries:
        return
    if changes:
        await save_payments(tx, tenant_id, [change.after for change in changes])
    reached = [change for change in changes if change.reaches_a_state]
    await release(parts, tx, tenant_id, [change.after for change in reached if change.after.state is PaymentState.EXPIRED])
    events = [event_of(parts.world.new_uuid(), each.before.state, each.after, each.idempotency_key) for each in reached]
    await append_events(tx, tenant_id, events, entries)


async def release(parts: Desk, tx: Transaction, tenant_id: UUID, expired: Sequence[Payment]) -> None:
    """Open the voids of expired payments' holds: the bank keeps the money blocked until somebody voids them (contract §6)."""
    if expired:
        await open_operations(tx, tenant_id, [own_attempt(parts, payment, Verb.VOID) for payment in expired])


async def expire(parts: Desk, tx: Transaction, tenant_id: UUID, payments: Sequence[Payment]) -> None:
    """Expire authorized payments that this transaction has locked and that have no attempt open; recovery voids their holds."""
    now = parts.world.now()
    await record_changes(parts, tx, tenant_id, [Change(payment, step(payment, Expired(), now)) for payment in payments])


def own_attempt(parts: Desk, payment: Payment, verb: Verb) -> Attempt:
    """One of ours, without a key of a client, and due at once: to release an expired hold, or for what an operator tells of."""
    now = parts.world.now()
    return Attempt(
        id=parts.world.new_uuid(),
        payment_id=payment.id,
        verb=verb,
        idempotency_key=None,
        fingerprint=b"",  # no request can meet it, since it has no key
        opened_at=now,
        lease_until=now,
        lease_token=GIVEN_BACK,
        tries=0,
        unanswered=0,
        sealed_card=None,
    )
