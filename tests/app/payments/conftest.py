"""`partner-api payments` in this process, and two partners with payments in trouble."""

import asyncio
import json

import pytest

from tests.app.payments.office import Office


@pytest.fixture
def office(gateway, tenant, wish, on, line, recovery, here, database):
    return Office(gateway, tenant, wish, on, line, recovery, here, database)


@pytest.fixture
def other_office(gateway, other_tenant, wish, on, line, recovery, here, database):
    return Office(gateway, other_tenant, wish, on, line, recovery, here, database)


@pytest.fixture
def payments(run):
    """Runs `partner-api payments` and expects it to succeed; what it printed. In a thread: a command has a loop of its own."""

    async def call(*arguments):
        code, out, err = await asyncio.to_thread(run, "payments", *arguments)
        assert code == 0, err
        return out

    return call


@pytest.fixture
def lines(payments):
    """The same with --json: a value for each line."""

    async def call(*arguments):
        return [json.loads(line) for line in (await payments(*arguments, "--json")).splitlines()]

    return call


@pytest.fixture
def refused(run):
    """Runs `partner-api payments` and expects a refusal; its sentences."""

    async def call(*arguments, code=1):
        got, out, err = await asyncio.to_thread(run, "payments", *arguments)
        assert (got, out) == (code, "")
        assert "Traceback" not in err
        return err.partition("Error: ")[2]

    return call
