"""End users: their rows, which are the only place where something personal of them is kept."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from domain.user import User, UserState
from persistence.database import Transaction

COLUMNS = "id, external_id, name, email, metadata, state, created_at, updated_at"
# Whoever has the same external id in an open transaction is waited for.
_INSERT = text(f"""
    insert into users (tenant_id, {COLUMNS})
    values (:tenant_id, :id, :external_id, :name, :email, cast(:metadata as jsonb), :state, :created_at, :updated_at)
    on conflict (tenant_id, external_id) do nothing
    returning true
""")
_GET = text(f"select {COLUMNS} from users where tenant_id = :tenant_id and id = any(cast(:ids as uuid[]))")
_OF_CUSTOMERS = text(f"select {COLUMNS} from users where tenant_id = :tenant_id and external_id = any(cast(:names as text[]))")
# `no key`: what only refers to the user need not wait.
_LOCK = text(f"select {COLUMNS} from users where tenant_id = :tenant_id and id = :id for no key update")
_SAVE = text("""
    update users set name = :name, email = :email, metadata = cast(:metadata as jsonb), state = :state, updated_at = :updated_at
    where tenant_id = :tenant_id and id = :id
""")


async def insert_user(tx: Transaction, tenant_id: UUID, user: User) -> bool:
    """A new user. False: there is one with this external id, who can be found now."""
    return (await tx.execute(_INSERT, _parameters(tenant_id, user))).one_or_none() is not None


async def get_users(tx: Transaction, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, User]:
    """The tenant's users among `ids`."""
    return {row.id: user_of(row) for row in await tx.execute(_GET, {"tenant_id": tenant_id, "ids": list(ids)})}


async def find_user(tx: Transaction, tenant_id: UUID, external_id: str) -> User | None:
    """The user with this external id, in its one spelling."""
    return (await get_customers(tx, tenant_id, [external_id])).get(external_id)


async def get_customers(tx: Transaction, tenant_id: UUID, external_ids: Sequence[str]) -> dict[str, User]:
    """The users with these external ids, by those."""
    rows = await tx.execute(_OF_CUSTOMERS, {"tenant_id": tenant_id, "names": list(external_ids)})
    return {row.external_id: user_of(row) for row in rows}


async def lock_user(tx: Transaction, tenant_id: UUID, user_id: UUID) -> User | None:
    """One user, locked against every other change of them and of their cards' number until the transaction ends."""
    row = (await tx.execute(_LOCK, {"tenant_id": tenant_id, "id": user_id})).one_or_none()
    return user_of(row) if row else None


async def save_user(tx: Transaction, tenant_id: UUID, user: User) -> None:
    """Write what may change of a locked user."""
    await tx.execute(_SAVE, _parameters(tenant_id, user))


def user_of(row: Row[Any]) -> User:
    """A row of `COLUMNS` as a user."""
    return User(
        id=row.id,
        external_id=row.external_id,
        name=row.name,
        email=row.email,
        metadata=row.metadata,
        state=UserState(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _parameters(tenant_id: UUID, user: User) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "id": user.id,
        "external_id": user.external_id,
        "name": user.name,
        "email": user.email,
        "metadata": orjson.dumps(dict(user.metadata)).decode(),
        "state": user.state.value,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }
