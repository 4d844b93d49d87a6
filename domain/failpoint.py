"""Named places where a process may die. Crash tests kill it there, with SIGKILL; a test fails when one of them is never visited."""

from collections.abc import Awaitable, Callable
from enum import StrEnum


class Failpoint(StrEnum):
    """In the order in which a request passes them, then the worker's own, then the operators'."""

    REQUEST_CLAIMED = "request-claimed"
    """In transaction 1: the attempt is written, nothing is committed."""
    REQUEST_COMMITTED = "request-committed"
    """Transaction 1 is committed, the client does not know yet."""
    BANK_CALL_DUE = "bank-call-due"
    """The attempt is leased to us; the bank is asked next. With `wait: ACCEPTANCE` the client may have its answer."""
    BANK_REQUEST_SENT = "bank-request-sent"
    """The whole request has left us; no answer yet."""
    BANK_ANSWER_BEGUN = "bank-answer-begun"
    """The bank has done it; its status and headers are here, its answer is unread."""
    BANK_ANSWER_READ = "bank-answer-read"
    """The answer is known to this process and to nobody else."""
    RETRY_NOTED = "retry-noted"
    """A try without an answer is noted and the lease renewed; the bank is asked again next."""
    OUTCOME_WRITTEN = "outcome-written"
    """In transaction 2: attempt, payment and event are written, nothing is committed."""
    OUTCOME_COMMITTED = "outcome-committed"
    """Transaction 2 is committed; nobody has been woken, no client has been answered."""
    LEASES_TAKEN_OVER = "leases-taken-over"
    """Recovery has leased a batch of attempts and driven none of them."""
    HOLDS_EXPIRED = "holds-expired"
    """In the transaction that expires a page of old holds, before its commit."""
    RECONCILIATION_PAGE_COMPARED = "reconciliation-page-compared"
    """The bank was asked about a page of payments; nothing of it is committed."""
    RECONCILIATION_PAGE_COMMITTED = "reconciliation-page-committed"
    """A page of a reconciliation is committed, and the next one not begun."""
    KEYS_REAPED = "keys-reaped"
    """In the transaction that forgets a page of old idempotency keys, before its commit."""
    WEBHOOKS_LEASED = "webhooks-leased"
    """A batch of deliveries is leased, and none of it sent."""
    WEBHOOK_SENT = "webhook-sent"
    """A receiver has answered; that is known to this process and to nobody else."""
    WEBHOOKS_RECORDED = "webhooks-recorded"
    """In the transaction that writes attempts down, before its commit."""
    SETTLEMENT_WRITTEN = "settlement-written"
    """In the transaction of an operator's word: change, audit entry and event are written, nothing is committed."""
    CARD_ISSUE_COMMITTED = "card-issue-committed"
    """It is on record that the bank is to make a card; it was not asked."""
    CARD_ISSUED = "card-issued"
    """The bank has made a card; nothing of it is on record but that it was to."""
    CARD_ISSUE_WRITTEN = "card-issue-written"
    """In the transaction that keeps an issued card: card, number and event are written, nothing is committed."""
    SEALS_REPLACED = "seals-replaced"
    """In the transaction of a rotation that seals a page of numbers or cards anew, before its commit."""
    DATA_KEYS_REWRAPPED = "data-keys-rewrapped"
    """In the transaction of a rotation that wraps a tenant's data keys anew, before its commit."""


Reach = Callable[[Failpoint], Awaitable[None]]


async def pass_on(_: Failpoint) -> None:
    """What a failpoint does outside of crash tests: nothing."""
