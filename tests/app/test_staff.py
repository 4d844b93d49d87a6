"""What the platform's staff does with partners and keys."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from app import staff
from app.settings import KeySettings
from domain.access import Unauthenticated
from domain.api_key import is_well_formed, new_api_key
from domain.ids import IdKind, encode_id
from domain.partner import Mode
from persistence.database import Database
from tests.app.serving import SECRETS

NOBODY = encode_id(IdKind.PARTNER, UUID(int=5))
NO_KEY = encode_id(IdKind.API_KEY, UUID(int=5))


@pytest.fixture
def settings(database_urls: Any) -> KeySettings:
    return KeySettings(owner_database_url=database_urls.owner, pepper=SECRETS["pepper"])


@pytest.fixture
async def partner(settings: KeySettings) -> AsyncIterator[str]:
    return await staff.create_partner(settings, "FicMart")


async def test_a_new_partner_is_listed(settings: KeySettings) -> None:
    before = await staff.list_partners(settings)

    created = await staff.create_partner(settings, "Näh & Söhne")

    after = await staff.list_partners(settings)
    assert after[: len(before)] == before, "oldest first"
    assert [(each["id"], each["name"]) for each in after[len(before) :]] == [(created, "Näh & Söhne")]


async def test_a_new_key_is_shown_once_and_is_good(settings: KeySettings, partner: str) -> None:
    created = await staff.create_key(settings, partner, "checkout")

    assert created is not None
    assert is_well_formed(created["key"])
    assert await staff.check_key(settings, created["key"]) is None
    (listed,) = await staff.list_keys(settings, partner) or []
    assert listed == {**listed, "id": created["id"], "name": "checkout", "prefix": created["key"][:12], "revokedAt": None}
    assert created["key"] not in str(listed)


async def test_only_a_keyed_hash_of_a_key_is_in_the_database(settings: KeySettings, partner: str, owner: Database) -> None:
    created = await staff.create_key(settings, partner, "checkout")

    assert created is not None
    connection = await owner.engine.raw_connection()
    driver: Any = connection.driver_connection
    rows = await driver.fetch("select api_keys::text as row from api_keys")
    connection.close()
    assert rows
    secret = created["key"][12:]
    assert all(secret not in row["row"] and secret.encode().hex() not in row["row"] for row in rows)


async def test_a_revoked_key_is_refused_and_stays_listed(settings: KeySettings, partner: str) -> None:
    created = await staff.create_key(settings, partner, "checkout")
    assert created is not None

    revoked = await staff.revoke_key(settings, partner, created["id"])
    (first,) = await staff.list_keys(settings, partner) or []
    again = await staff.revoke_key(settings, partner, created["id"])
    (second,) = await staff.list_keys(settings, partner) or []

    assert revoked
    assert again, "a second time changes nothing"
    assert first == second
    assert first["revokedAt"] is not None
    assert await staff.check_key(settings, created["key"]) == Unauthenticated.REVOKED_KEY.value


async def test_a_partner_has_no_key_of_another_one(settings: KeySettings, partner: str) -> None:
    other = await staff.create_partner(settings, "Somebody else")
    created = await staff.create_key(settings, partner, "checkout")
    assert created is not None

    assert await staff.revoke_key(settings, other, created["id"]) is False
    assert await staff.list_keys(settings, other) == []
    assert await staff.check_key(settings, created["key"]) is None


@pytest.mark.parametrize("unknown", [NOBODY, "", "ptn_", NO_KEY, "FicMart", str(UUID(int=5))])
async def test_an_unknown_partner_has_nothing(settings: KeySettings, unknown: str) -> None:
    assert await staff.create_key(settings, unknown, "checkout") is None
    assert await staff.list_keys(settings, unknown) is None
    assert await staff.revoke_key(settings, unknown, NO_KEY) is False


@pytest.mark.parametrize("unknown", [NO_KEY, "", "key_", NOBODY])
async def test_an_unknown_key_is_not_revoked(settings: KeySettings, partner: str, unknown: str) -> None:
    assert await staff.revoke_key(settings, partner, unknown) is False


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", Unauthenticated.MALFORMED_KEY),
        ("gp_live_x", Unauthenticated.MALFORMED_KEY),
        (new_api_key(Mode.LIVE, 5), Unauthenticated.UNKNOWN_KEY),
    ],
)
async def test_a_bad_key_is_told_with_its_reason(settings: KeySettings, key: str, reason: Unauthenticated) -> None:
    assert await staff.check_key(settings, key) == reason.value
