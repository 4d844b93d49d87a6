"""`partner-api vault`: what it says to people and to programs, and how it exits."""

import asyncio
import base64
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.house import key_service_of
from app.settings import ServeSettings, read_settings
from domain.ids import IdKind, decode_id_of
from domain.partner import Mode, tenant_of
from gateway.vault.master_keys import agree_on_master_key
from gateway.vault.vault import Vault
from gateway.world import real_world
from persistence.database import Database
from tests.app.command_line import Run

NEXT = base64.b64encode(b"n" * 32).decode()
THIRD = base64.b64encode(b"3" * 32).decode()


@pytest.fixture(autouse=True)
def an_empty_vault(database_urls: Any) -> None:
    """Nothing of an earlier test's."""

    async def empty() -> None:
        owner = Database(database_urls.owner, pool_size=1)
        async with owner.without_tenant() as tx:
            for table in ("data_keys", "master_keys"):
                await tx.execute(text(f"delete from {table}"))
        await owner.close()

    asyncio.run(empty())


@pytest.fixture
def partner(run: Run, environment: pytest.MonkeyPatch, database_urls: Any) -> str:
    """A partner for whom something was sealed two hours ago, live and in its sandbox."""
    made: str = json.loads(run("partners", "create", "--name", "FicMart", "--json")[1])["id"]
    partner_id = decode_id_of(IdKind.PARTNER, made)
    assert partner_id is not None

    async def use(tenants: list[UUID]) -> None:
        owner, world = Database(database_urls.owner, pool_size=1), real_world()
        service = key_service_of(read_settings(ServeSettings))
        await agree_on_master_key(owner, service, world.now())
        for tenant_id in tenants:
            await Vault(owner, service, world.now, fingerprint_key=bytes(32)).current_key(tenant_id)
        async with owner.without_tenant() as tx:
            await tx.execute(text("update data_keys set created_at = created_at - interval '2 hours'"))
        await owner.close()

    asyncio.run(use([tenant_of(partner_id, mode) for mode in Mode]))
    return made


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_a_partners_two_data_keys_are_rotated(run: Run, partner: str) -> None:
    code, out, err = run("vault", "rotate", "--partner", partner, "--json")

    usual = {"partner": partner, "version": 2, "new": True, "resealed": 0, "left": 0, "unreadable": 0, "destroyed": []}
    assert (code, err) == (0, "")
    assert lines(out) == [{"mode": mode, **usual} for mode in ("LIVE", "TEST")]


def test_a_second_run_finishes_and_makes_no_key(run: Run, partner: str) -> None:
    run("vault", "rotate", "--partner", partner)

    code, out, _ = run("vault", "rotate", "--finish", "--json")

    assert code == 0
    assert {(each["version"], each["new"]) for each in lines(out)} == {(2, False)}


def test_people_get_a_table_and_the_status_tells_who_is_wrapped_by_what(run: Run, partner: str) -> None:
    _, rotated, _ = run("vault", "rotate", "--partner", partner)
    code, out, _ = run("vault", "status", "--partner", partner)
    masters, *data_keys = lines(run("vault", "status", "--json")[1])

    assert code == 0
    assert partner in rotated
    assert partner in out
    assert masters["state"] == "active"
    assert masters["given"] is True
    assert [(each["mode"], each["version"], each["supersededAt"] is None) for each in data_keys] == [
        ("LIVE", 1, False),
        ("LIVE", 2, True),
        ("TEST", 1, False),
        ("TEST", 2, True),
    ]
    assert {each["masterKey"] for each in data_keys} == {masters["masterKey"]}


def test_the_master_key_is_exchanged_and_the_next_step_is_said(
    run: Run,
    partner: str,
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PARTNER_API_NEXT_MASTER_KEY", NEXT)

    code, out, err = run("vault", "rotate", "--master-key")
    (again,) = lines(run("vault", "rotate", "--master-key", "--json")[1])
    old, new = (each for each in lines(run("vault", "status", "--json")[1]) if "state" in each)

    assert (code, err) == (0, "")
    assert "2 data keys were wrapped anew." in out
    assert "start every process with this one as PARTNER_API_MASTER_KEY alone" in out
    assert again == {"active": new["masterKey"], "new": False, "rewrapped": 0, "left": 0, "retired": []}
    assert (old["state"], new["state"]) == ("retired", "active")
    environment.setenv("PARTNER_API_MASTER_KEY", NEXT)
    environment.delenv("PARTNER_API_NEXT_MASTER_KEY")
    assert run("vault", "rotate", "--finish")[0] == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "There is no next master key: set PARTNER_API_NEXT_MASTER_KEY"),
        ({"MASTER_KEY": THIRD, "NEXT_MASTER_KEY": NEXT}, "PARTNER_API_MASTER_KEY is not the master key of this database"),
    ],
)
def test_settings_that_can_not_rotate_the_master_key_are_a_sentence(
    run: Run,
    partner: str,
    environment: pytest.MonkeyPatch,
    settings: dict[str, str],
    sentence: str,
) -> None:
    for name, value in settings.items():
        environment.setenv(f"PARTNER_API_{name}", value)

    code, out, err = run("vault", "rotate", "--master-key")

    assert (code, out) == (2, "")
    assert err.startswith(sentence)


@pytest.mark.parametrize("arguments", [("--master-key", "--finish"), ("--master-key", "--partner", "ptn_x")])
def test_options_that_do_not_go_together_are_told(run: Run, arguments: tuple[str, ...]) -> None:
    code, _, err = run("vault", "rotate", *arguments)

    assert code == 2
    assert "--master-key is of all partners" in err


@pytest.mark.parametrize("command", ["rotate", "status"])
def test_nobody_is_no_partner(run: Run, command: str) -> None:
    code, _, err = run("vault", command, "--partner", "ptn_nobody")

    assert code == 1
    assert "There is no partner with this id" in err


def test_an_empty_vault_says_so(run: Run) -> None:
    assert run("vault", "rotate")[1] == "Nothing was ever sealed here.\n"


def test_a_number_that_does_not_open_exits_with_1(run: Run, partner: str, database_urls: Any) -> None:
    async def spoil() -> None:
        owner = Database(database_urls.owner, pool_size=1)
        tenant = {"t": decode_id_of(IdKind.PARTNER, partner)}
        async with owner.without_tenant() as tx:
            for statement in (
                """insert into users (tenant_id, id, external_id, metadata, state, created_at, updated_at)
                   values (:t, :t, 'customer', '{}', 'ACTIVE', now(), now())""",
                """insert into cards (tenant_id, id, user_id, kind, brand, last_four, expiry_month, expiry_year, fingerprint, state,
                                      created_at, state_since)
                   values (:t, :t, :t, 'ADDED', 'VISA', '1111', 12, 2030, sha256(''), 'ACTIVE', now(), now())""",
                """insert into card_numbers (tenant_id, card_id, sealed, key_version)
                   values (:t, :t, '\\x0200000001'::bytea || sha256(''), 1)""",
            ):
                await tx.execute(text(statement), tenant)
        await owner.close()

    asyncio.run(spoil())

    code, out, err = run("vault", "rotate", "--json")

    assert code == 1
    assert {each["unreadable"] for each in lines(out)} == {0, 1}
    assert "1 don't open under any key at hand" in err
