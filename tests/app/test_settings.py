"""Settings: what is missing or wrong is said in a sentence, and no secret is ever shown."""

import base64
from typing import Any

import pytest

from app.failpoints import ArmedFailpoint
from app.settings import (
    ALL,
    PREFIX,
    KeySettings,
    MigrateSettings,
    OwnerSettings,
    ServeSettings,
    Settings,
    SettingsError,
    WorkSettings,
    read_settings,
    secret_bytes,
)
from domain.failpoint import Failpoint

SECRET = base64.b64encode(bytes(range(32))).decode()
GOOD = {
    "OWNER_DATABASE_URL": "postgresql://owner:hidden-1@db:5432/api",
    "DATABASE_URL": "postgresql://app:hidden-2@db:5432/api",
    "WORKER_DATABASE_URL": "postgresql://worker:hidden-3@db:5432/api",
    "REDIS_URL": "redis://:hidden-4@redis:6379/0",
    "BANK_URL": "https://bank.example:8787",
    "MASTER_KEY": SECRET,
    "PEPPER": SECRET,
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Good settings, and none of this machine's own."""
    for kind in ALL:
        for name in kind.model_fields:
            monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(PREFIX + name, value)
    return monkeypatch


@pytest.mark.parametrize("kind", [Settings, OwnerSettings, MigrateSettings, KeySettings, ServeSettings, WorkSettings])
def test_good_settings_are_taken(kind: type[Settings]) -> None:
    assert isinstance(read_settings(kind), kind)


def test_what_is_not_said_has_a_default() -> None:
    settings = read_settings(ServeSettings)

    assert settings.environment == "production"
    assert settings.log_level == "INFO"
    assert settings.outcome_wait_s == 8.0
    assert settings.allowed_origins == ("*",)


def test_a_secret_is_its_32_bytes() -> None:
    assert secret_bytes(read_settings(ServeSettings).pepper) == bytes(range(32))


def test_everything_that_is_missing_is_said_at_once(environment: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        environment.delenv(PREFIX + name)

    with pytest.raises(SettingsError) as caught:
        read_settings(WorkSettings)

    lines = str(caught.value).splitlines()
    wanted = ["MASTER_KEY", "DATABASE_URL", "REDIS_URL", "BANK_URL", "PEPPER", "WORKER_DATABASE_URL"]
    assert [line.partition(" is not set. ")[0] for line in lines] == [PREFIX + name for name in wanted]
    assert all(line.partition(" is not set. ")[2] for line in lines), "each says what it is for"


BAD = [
    ("DATABASE_URL", "mysql://app:hidden@db/api", "postgresql://login:password@host:5432/database"),
    ("DATABASE_URL", "", "postgresql://"),
    ("REDIS_URL", "http://:hidden@redis", "redis://:password@host:6379/0"),
    ("BANK_URL", "hidden.example", "https://bank.example:8787"),
    ("BANK_URL", "ftp://hidden.example", "https://bank.example:8787"),
    ("MASTER_KEY", "hidden", "openssl rand -base64 32"),
    ("MASTER_KEY", base64.b64encode(b"hidden" * 6).decode(), "32 random bytes"),
    ("PEPPER", base64.b64encode(bytes(31)).decode(), "32 random bytes"),
    ("PEPPER", SECRET + "\n*", "32 random bytes"),
    ("OUTCOME_WAIT_S", "0", "greater than 0"),
    ("OUTCOME_WAIT_S", "31", "less than or equal to 30"),
    ("OUTCOME_WAIT_S", "hidden", "number"),
    ("OUTCOME_WAIT_S", "nan", "finite|greater|less|number"),
    ("LOG_LEVEL", "hidden", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ("ENVIRONMENT", "hidden", "'development' or 'production'"),
    ("FAILPOINT", "hidden", "outcome-written, outcome-committed"),
    ("FAILPOINT", "outcome-committed:hidden", "NAME:N"),
]


@pytest.mark.parametrize(("name", "value", "advice"), BAD, ids=[f"{name}={value}"[:40] for name, value, _ in BAD])
def test_a_wrong_setting_is_named_with_what_would_be_right_and_without_its_value(
    environment: pytest.MonkeyPatch, name: str, value: str, advice: str
) -> None:
    environment.setenv(PREFIX + name, value)

    with pytest.raises(SettingsError) as caught:
        read_settings(ServeSettings)

    message = str(caught.value)
    assert message.startswith(f"{PREFIX}{name} can't be used: ")
    assert any(each in message for each in advice.split("|"))
    assert "hidden" not in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("name", "field", "given", "taken"),
    [
        ("DATABASE_URL", "database_url", "postgres://a:b@c/d", "postgresql://a:b@c/d"),
        ("DATABASE_URL", "database_url", "postgresql+asyncpg://a:b@c/d", "postgresql+asyncpg://a:b@c/d"),
        ("REDIS_URL", "redis_url", "unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("REDIS_URL", "redis_url", "rediss://redis", "rediss://redis"),
        ("BANK_URL", "bank_url", "http://bank:8787/", "http://bank:8787"),
        (
            "ALLOWED_ORIGINS",
            "allowed_origins",
            "https://a.example, https://b.example,",
            ("https://a.example", "https://b.example"),
        ),
        ("ALLOWED_ORIGINS", "allowed_origins", "", ()),
        ("OUTCOME_WAIT_S", "outcome_wait_s", "0.5", 0.5),
    ],
)
def test_a_settings_usual_spellings_are_taken(
    environment: pytest.MonkeyPatch, name: str, field: str, given: str, taken: Any
) -> None:
    environment.setenv(PREFIX + name, given)

    value = getattr(read_settings(ServeSettings), field)

    assert (value.get_secret_value() if hasattr(value, "get_secret_value") else value) == taken


def test_a_failpoint_is_taken_on_a_desk(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(PREFIX + "ENVIRONMENT", "development")
    environment.setenv(PREFIX + "FAILPOINT", "outcome-committed:3")

    assert read_settings(WorkSettings).failpoint == ArmedFailpoint(Failpoint.OUTCOME_COMMITTED, 3)


def test_a_failpoint_is_refused_in_production(environment: pytest.MonkeyPatch) -> None:
    """A process that ends itself in the middle of a payment is for crash tests only."""
    environment.setenv(PREFIX + "FAILPOINT", "outcome-committed")

    with pytest.raises(SettingsError, match="PARTNER_API_FAILPOINT is set") as caught:
        read_settings(ServeSettings)

    assert "Unset it" in str(caught.value)


def test_an_empty_failpoint_is_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(PREFIX + "FAILPOINT", "")

    assert read_settings(ServeSettings).failpoint is None


def test_no_secret_is_in_a_repr() -> None:
    """A traceback or a log line may hold the settings."""
    shown = repr(read_settings(WorkSettings)) + str(read_settings(MigrateSettings))

    assert SECRET not in shown
    assert "hidden-" not in shown


def test_settings_do_not_change_while_they_are_used() -> None:
    settings = read_settings(ServeSettings)

    with pytest.raises(ValueError, match="frozen"):
        settings.outcome_wait_s = 1.0


def test_each_setting_is_described() -> None:
    for kind in ALL:
        for name, field in kind.model_fields.items():
            assert field.description, name
            assert field.description.endswith((".", "!")), name
