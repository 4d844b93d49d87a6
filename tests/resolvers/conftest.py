"""The API over ASGI, with a partner and a key of the test's own, and the worker's part of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from gateway.recovery import Recovery
from persistence.database import Database
from tests.app.serving import Api, BankLine, serving, settings_for


@pytest.fixture
def bank_line(line: Any) -> BankLine:
    """The line to this test's bank."""
    return BankLine(line.inner)


@pytest.fixture
async def api(
    database_urls: Any, here: Any, bank_line: BankLine, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> AsyncIterator[Api]:
    """A started API and its client."""
    async with serving(settings_for(database_urls.app), here.world, bank_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


@pytest.fixture
async def other(api: Api, other_tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]) -> Api:
    """The same API, as another partner sees it."""
    return api.as_somebody(other_tenant, await make_key(other_tenant))


@pytest.fixture
def worker(api: Api, watch: Database) -> Recovery:
    """Recovery, with the secrets of this API."""
    return Recovery(api.app.state.house.parts, watch)
