"""Pages of users, newest first, by keyset cursors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select

from domain.user import User, UserState
from persistence.database import Transaction
from persistence.pages import Page, Window, page_of
from persistence.tables import users
from persistence.users import COLUMNS, user_of

_COLUMNS = [users.c[name] for name in COLUMNS.split(", ")]


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users; None leaves a question open. Times: [after, before)."""

    external_id: str | None = None
    states: Sequence[UserState] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


async def page_of_users(tx: Transaction, tenant_id: UUID, where: UserFilter, window: Window) -> Page[User]:
    """The users that are to be seen through this window."""
    query = select(*_COLUMNS).where(and_(*_conditions(tenant_id, where)))
    return page_of(window, [user_of(row) for row in await tx.execute(window.narrow(query, users.c.created_at, users.c.id))])


async def count_users(tx: Transaction, tenant_id: UUID, where: UserFilter) -> int:
    """How many users match: a scan of all of them, so only for who asks."""
    query = select(func.count()).select_from(users).where(and_(*_conditions(tenant_id, where)))
    return int((await tx.execute(query)).scalar_one())


def _conditions(tenant_id: UUID, where: UserFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [users.c.tenant_id == tenant_id]
    if where.external_id is not None:
        conditions.append(users.c.external_id == where.external_id)
    if where.states is not None:
        conditions.append(users.c.state.in_([state.value for state in where.states]))
    if where.created_after is not None:
        conditions.append(users.c.created_at >= where.created_after)
    if where.created_before is not None:
        conditions.append(users.c.created_at < where.created_before)
    return conditions
