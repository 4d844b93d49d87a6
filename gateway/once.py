"""Mutations that ask nothing of the bank, each done once: the change and the record of its idempotency key are one transaction.

Payments have their own way, since a bank's answer can't be part of a transaction: see `gateway/attempts.py`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.answer import IdempotencyMismatch, Refusal
from persistence.database import Transaction
from persistence.remembered_answers import claim_key, find_answer, give_key_up, remember_answer

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its idempotency key, the mutation's name, and what makes two uses of the key the same request."""

    idempotency_key: str
    kind: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """What it came to, now or when it was asked first."""

    answer: Document
    replayed: bool


async def do_once(
    tx: Transaction, tenant_id: UUID, asked: Asked, now: datetime, act: Callable[[], Awaitable[Document | Refusal]]
) -> Done | Refusal:
    """Do it within this transaction, or answer what it came to before. A refusal does not use the key up.

    Two at once with one key: the second waits for the first one's commit, and gets its answer. `act` answers without secrets.
    """
    key = asked.idempotency_key
    claimed = await claim_key(tx, tenant_id, key, kind=asked.kind, fingerprint=asked.fingerprint, created_at=now)
    if not claimed:
        known = await find_answer(tx, tenant_id, key)
        is_same = known is not None and known.fingerprint == asked.fingerprint
        return Done(known.answer, replayed=True) if known is not None and is_same else IdempotencyMismatch(key)
    answer = await act()
    if not isinstance(answer, dict):
        await give_key_up(tx, tenant_id, key)
        return answer
    await remember_answer(tx, tenant_id, key, answer)
    return Done(answer, replayed=False)
