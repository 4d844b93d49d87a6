"""The API over ASGI, with a partner and a key of the test's own."""

import io
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from app.cli import main
from tests.app.command_line import Run
from tests.app.serving import SECRETS, Api, BankLine, DatabaseLine, serving, settings_for
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


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_urls: Any) -> pytest.MonkeyPatch:
    """Good settings, and none of this machine's own."""
    for name in list(os.environ):
        if name.startswith("PARTNER_API_"):
            monkeypatch.delenv(name)
    for name, value in {
        "OWNER_DATABASE_URL": database_urls.owner,
        "DATABASE_URL": database_urls.app,
        "WORKER_DATABASE_URL": database_urls.worker,
        "PEPPER": SECRETS["pepper"],
        "MASTER_KEY": SECRETS["master_key"],
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "BANK_URL": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(f"PARTNER_API_{name}", value)
    return monkeypatch


@pytest.fixture
def run(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; its exit code, stdout and stderr."""

    def call(*arguments: str, given: str = "") -> tuple[int, str, str]:
        environment.setattr(sys, "argv", ["partner-api", *arguments])
        environment.setattr(sys, "stdin", io.StringIO(given))
        code = 0
        try:
            main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
