"""URLs and secrets: what the services are told."""

import base64
import stat
from pathlib import Path

import pytest

from app.supervisor.child import BACKOFF_CAP_S, backoff_s
from app.supervisor.configuration import (
    Banks,
    ConfigurationError,
    DatabaseUrls,
    database_urls,
    kept,
    plain_database_url,
    services_environment,
)

OWNER = "postgresql://owner:p%40ss@db.example:6543/shop"


@pytest.mark.parametrize("scheme", ["postgresql://", "postgres://", "postgresql+asyncpg://"])
def test_every_way_to_write_the_scheme_is_understood(scheme: str) -> None:
    assert plain_database_url(OWNER.replace("postgresql://", scheme)) == OWNER


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "postgresql://u:secret@h", "postgresql://u:secret@h/"])
def test_a_url_that_cannot_be_used_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        plain_database_url(url)

    assert "secret" not in str(error.value)


def test_the_services_log_in_as_themselves_with_passwords_that_stay(tmp_path: Path) -> None:
    first = database_urls(OWNER, {}, tmp_path)

    assert first == database_urls(OWNER, {}, tmp_path)
    assert first.owner == OWNER
    assert first.app.startswith("postgresql://shop_app:")
    assert first.worker.startswith("postgresql://shop_worker:")
    assert first.app.endswith("@db.example:6543/shop")


def test_logins_from_the_environment_are_taken_as_they_are(tmp_path: Path) -> None:
    urls = database_urls(OWNER, {"PARTNER_API_DATABASE_URL": "postgresql://mine"}, tmp_path)

    assert urls.app == "postgresql://mine"


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    secret = kept(tmp_path / "master-key")

    assert kept(tmp_path / "master-key") == secret
    assert len(base64.b64decode(secret)) == 32
    assert stat.S_IMODE((tmp_path / "master-key").stat().st_mode) == 0o600


def test_the_environment_keeps_what_is_not_ours_and_the_secrets_that_were_given(tmp_path: Path) -> None:
    given = {"PARTNER_API_TIER": "gold", "PARTNER_API_PEPPER": "mine", "PARTNER_API_REDIS_URL": "redis://left-over"}

    environment = services_environment(
        DatabaseUrls("o", "a", "w"), "redis://r", Banks("http://b", None, "http://s", None), tmp_path, given
    )

    assert environment["PARTNER_API_TIER"] == "gold"
    assert environment["PARTNER_API_PEPPER"] == "mine"
    assert environment["PARTNER_API_REDIS_URL"] == "redis://r"
    assert environment["PARTNER_API_ENVIRONMENT"] == "development"


def test_restarts_become_rarer_up_to_a_cap() -> None:
    waits = [backoff_s(failures) for failures in range(1, 12)]

    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(0.1)
    assert waits[-1] == backoff_s(10_000) == BACKOFF_CAP_S
