"""A master key that is wrong, missing or published is a sentence at the start of each process that opens cards."""

import base64

import pytest

from app.house import key_service_of
from app.settings import DEVELOPMENT_ONLY, ServeSettings, read_settings
from gateway.vault.master_keys import agree_on_master_key
from persistence.database import Database
from tests.app.command_line import Run
from tests.conftest import Here

STARTS = ["serve", "work", "reconcile"]
OTHER = base64.b64encode(b"o" * 32).decode()


@pytest.fixture
async def begun(environment: pytest.MonkeyPatch, database: Database, here: Here) -> None:
    """The database knows the master key of the settings."""
    await agree_on_master_key(database, key_service_of(read_settings(ServeSettings)), here.time)


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("command", STARTS)
def test_another_master_key_than_the_databases_is_refused(run: Run, environment: pytest.MonkeyPatch, command: str) -> None:
    environment.setenv("PARTNER_API_MASTER_KEY", OTHER)

    code, out, err = run(command)

    assert code == 2
    assert out == ""
    sentence, where = err.splitlines()[-2:]
    assert sentence.startswith("PARTNER_API_MASTER_KEY is not the master key of this database")
    assert where == "All settings are described in docs/settings.md."
    assert "Traceback" not in err
    assert OTHER not in err


@pytest.mark.parametrize("command", STARTS)
def test_a_missing_master_key_is_refused(run: Run, environment: pytest.MonkeyPatch, command: str) -> None:
    environment.delenv("PARTNER_API_MASTER_KEY")

    code, _, err = run(command)

    assert code == 2
    assert err.startswith("PARTNER_API_MASTER_KEY is not set. ")


@pytest.mark.parametrize("name", ["MASTER_KEY", "NEXT_MASTER_KEY"])
@pytest.mark.parametrize("command", STARTS)
def test_a_published_key_serves_nobody_outside_development(
    run: Run, environment: pytest.MonkeyPatch, command: str, name: str
) -> None:
    environment.setenv(f"PARTNER_API_{name}", base64.b64encode(DEVELOPMENT_ONLY.ljust(32, b"-")).decode())

    code, _, err = run(command)

    assert code == 2
    assert err.startswith(f"PARTNER_API_{name} is the one of docker-compose.yml, which everybody knows.")


def test_a_next_master_key_that_is_the_same_is_refused(run: Run, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PARTNER_API_MASTER_KEY", OTHER)
    environment.setenv("PARTNER_API_NEXT_MASTER_KEY", OTHER)

    code, _, err = run("serve")

    assert code == 2
    assert "PARTNER_API_NEXT_MASTER_KEY is the same as PARTNER_API_MASTER_KEY" in err


def test_a_variable_that_is_set_to_nothing_is_no_next_master_key(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PARTNER_API_NEXT_MASTER_KEY", "")

    assert read_settings(ServeSettings).next_master_key is None
