"""An API whose statements can be made to forget the tenant, and two tenants in it."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, text

from domain.partner import Mode, tenant_of
from persistence.database import Database
from tests.app.serving import Api, BankLine, serving, settings_for
from tests.isolation.estate import Estate, come_first, furnish, marks_of

_OF_THE_TENANT = re.compile(r"((?:\w+\.)?tenant_id = \$\d+(?:::UUID)?)")


@contextmanager
def forgetting_the_tenant(database: Database) -> Iterator[list[str]]:
    """Each condition on the tenant is made true, as if it had been forgotten. Yields the statements that had one."""
    changed: list[str] = []

    def forget(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        without = _OF_THE_TENANT.sub(r"(\1 or true)", statement)
        if without != statement:
            changed.append(statement)
        return without, parameters

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", forget, retval=True)
    try:
        yield changed
    finally:
        event.remove(engine, "before_cursor_execute", forget)


Town = Callable[..., Any]


@pytest.fixture
def town(
    database_urls: Any,
    owner: Database,
    here: Any,
    bank_line: BankLine,
    control: httpx.AsyncClient,
    tenant: UUID,
    other_tenant: UUID,
    make_key: Callable[[UUID], Awaitable[str]],
) -> Town:
    """Serves two tenants with everything in them: the victim, and who asks for the victim's things."""

    @asynccontextmanager
    async def open_town(*, sandbox: bool = False, login: str = "app") -> AsyncIterator[tuple[Estate, Estate]]:
        asking = tenant_of(tenant, Mode.TEST) if sandbox else other_tenant
        async with owner.without_tenant() as tx:  # a sandbox's rate is small, and the walk asks for everything at once
            await tx.execute(text("update partners set tier = 'ENTERPRISE' where id = :id"), {"id": asking})
        settings = settings_for(getattr(database_urls, login), sandbox_bank_url="http://sandbox")
        async with serving(settings, here.world, bank_line, bank_line) as (app, http):
            api = Api(http, app, await make_key(tenant), tenant)
            victim, asker = Estate(api), Estate(api.as_somebody(asking, await make_key(asking)))
            await come_first(victim, here)
            here.pass_by(3600)
            await furnish(asker, here, control, rich=False)
            here.pass_by(3600)
            await furnish(victim, here, control, rich=True)
            asker.marks, victim.marks = await marks_of(owner, asking), await marks_of(owner, tenant)
            yield victim, asker

    return open_town
