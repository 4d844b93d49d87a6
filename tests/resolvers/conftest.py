"""The API over ASGI, with a partner and a key of the test's own, and the worker's part of it."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from gateway.recovery import Recovery
from persistence.database import Database
from tests.app.serving import Api


@pytest.fixture
async def other(api: Api, other_tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]) -> Api:
    """The same API, as another partner sees it."""
    return api.as_somebody(other_tenant, await make_key(other_tenant))


@pytest.fixture
def worker(api: Api, watch: Database) -> Recovery:
    """Recovery, with the secrets of this API."""
    return Recovery(api.app.state.house.parts, watch)
