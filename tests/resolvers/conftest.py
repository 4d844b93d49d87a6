"""The API over ASGI, with a partner and a key of the test's own, and the worker's part of it."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

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


@pytest.fixture
def statements(api: Api) -> Iterator[list[str]]:
    """What the API sends to the database."""
    sent: list[str] = []
    engine = api.app.state.house.parts.database.engine.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)
