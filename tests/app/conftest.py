"""The API over ASGI, with a partner and a key of the test's own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from tests.app.serving import Api, BankLine, DatabaseLine, serving, settings_for
from tests.app.verifying import Till


@pytest.fixture
async def database_line(database_urls: Any) -> AsyncIterator[DatabaseLine]:
    """A line to this module's database that can be cut."""
    relay = DatabaseLine(database_urls.app)
    await relay.restore()
    yield relay
    await relay.cut()


@pytest.fixture
async def api_on_a_line(
    database_urls: Any,
    here: Any,
    bank_line: BankLine,
    database_line: DatabaseLine,
    tenant: UUID,
    make_key: Callable[[UUID], Awaitable[str]],
) -> AsyncIterator[Api]:
    """The same, with its database behind the line."""
    settings = settings_for(database_line.url(database_urls.app))
    async with serving(settings, here.world, bank_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


@pytest.fixture
def till(gateway: Any, recovery: Any, tenant: UUID, owner: Any, control: Any, here: Any, line: Any, wish: Any, on: Any) -> Till:
    """A partner's payments through the real gateway, and the checker over them."""
    return Till(gateway, recovery, tenant, owner, control, here, line, wish, on)
