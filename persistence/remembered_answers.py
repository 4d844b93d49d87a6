"""The idempotency records of mutations that ask nothing of the bank. Those that do have theirs in `attempts`.

A key is used up in either place: each side looks into the other's within the statement that claims the key. Two requests of both
kinds, with one key and in the very same moment, can both be done; neither is done twice.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from persistence.database import Transaction

_CLAIM = text("""
    insert into remembered_answers (tenant_id, idempotency_key, kind, fingerprint, created_at)
    select :tenant_id, :key, :kind, :fingerprint, :created_at
    where not exists (select from attempts where tenant_id = :tenant_id and idempotency_key = :key)
    on conflict do nothing
    returning true
""")
_REMEMBER = text(
    "update remembered_answers set answer = cast(:answer as jsonb) where tenant_id = :tenant_id and idempotency_key = :key"
)
_FIND = text("select fingerprint, answer from remembered_answers where tenant_id = :tenant_id and idempotency_key = :key")
_KEYS = text("""
    select idempotency_key from remembered_answers
    where tenant_id = :tenant_id and idempotency_key = any(cast(:keys as text[]))
""")
_GIVE_UP = text("delete from remembered_answers where tenant_id = :tenant_id and idempotency_key = :key")
_FORGET = text("""
    delete from remembered_answers where tenant_id = :tenant_id and idempotency_key = any(array(
        select idempotency_key from remembered_answers
        where tenant_id = :tenant_id and created_at < :before
        order by created_at limit :limit for update skip locked
    ))
""")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was asked, as a fingerprint, and what was answered."""

    fingerprint: bytes
    answer: dict[str, Any]


async def claim_key(tx: Transaction, tenant_id: UUID, key: str, *, kind: str, fingerprint: bytes, created_at: datetime) -> bool:
    """Take an idempotency key for this transaction; waits while another one holds it. False: it is used up, here or by a payment."""
    parameters = {"tenant_id": tenant_id, "key": key, "kind": kind, "fingerprint": fingerprint, "created_at": created_at}
    return (await tx.execute(_CLAIM, parameters)).one_or_none() is not None


async def remember_answer(tx: Transaction, tenant_id: UUID, key: str, answer: dict[str, Any]) -> None:
    """What the request with this claimed key has come to, without secrets."""
    await tx.execute(_REMEMBER, {"tenant_id": tenant_id, "key": key, "answer": orjson.dumps(answer).decode()})


async def give_key_up(tx: Transaction, tenant_id: UUID, key: str) -> None:
    """Nothing was done: the claimed key can be used again."""
    await tx.execute(_GIVE_UP, {"tenant_id": tenant_id, "key": key})


async def find_answer(tx: Transaction, tenant_id: UUID, key: str) -> Remembered | None:
    """What was answered under this key, or None where nothing was, or a payment was."""
    row = (await tx.execute(_FIND, {"tenant_id": tenant_id, "key": key})).one_or_none()
    return None if row is None else Remembered(row.fingerprint, row.answer)


async def remembered_keys(tx: Transaction, tenant_id: UUID, keys: list[str]) -> set[str]:
    """Which of these idempotency keys are used up here."""
    return {row.idempotency_key for row in await tx.execute(_KEYS, {"tenant_id": tenant_id, "keys": keys})}


async def forget_answers(tx: Transaction, tenant_id: UUID, *, before: datetime, limit: int) -> int:
    """Forget what was answered before then. Returns how many, at most `limit`."""
    return (await tx.execute(_FORGET, {"tenant_id": tenant_id, "before": before, "limit": limit})).rowcount
