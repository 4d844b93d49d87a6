"""Settings: `PARTNER_API_*` variables, read once at the start. Each is described here and in `docs/settings.md`."""

import base64
import binascii
from ipaddress import ip_network
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.failpoints import ArmedFailpoint, read_failpoint
from domain.api_key import Network
from domain.request import OUTCOME_WAIT_S

PREFIX = "PARTNER_API_"
DEVELOPMENT_ONLY = b"development-only"  # what the secrets in docker-compose.yml begin with
SECRET_BYTES = 32  # 256 bits: an AES-256 key, and as much for the pepper


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which, why, and what it is for."""


def _secret(value: SecretStr) -> SecretStr:
    try:
        raw = base64.b64decode(value.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != SECRET_BYTES:
        raise ValueError(
            f"it has to be {SECRET_BYTES} random bytes in base64; make one with `openssl rand -base64 {SECRET_BYTES}`"
        )
    return value


def _database(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgresql+asyncpg://", "postgres://")):
        raise ValueError("it has to be a URL such as postgresql://login:password@host:5432/database")
    return SecretStr(value.get_secret_value().replace("postgres://", "postgresql://", 1))


def _redis(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it has to be a URL such as redis://:password@host:6379/0")
    return value


def _http(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("it has to be a URL such as https://bank.example:8787")
    return value.rstrip("/")


def _networks(value: object) -> object:
    try:
        return tuple(ip_network(each.strip()) for each in value.split(",") if each.strip()) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("it has to be networks such as 10.0.0.0/8,fd00::/8") from None


def _nothing(value: object) -> object:
    """A variable that is set to nothing is not set: docker-compose.yml can't leave one out."""
    return None if value == "" else value


def _failpoint(value: object) -> object:
    return (read_failpoint(value) if value else None) if isinstance(value, str) else value


Secret = Annotated[SecretStr, AfterValidator(_secret)]
OptionalSecret = Annotated[Secret | None, BeforeValidator(_nothing)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
HttpUrl = Annotated[str, AfterValidator(_http)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
OptionalFailpoint = Annotated[ArmedFailpoint | None, NoDecode, BeforeValidator(_failpoint)]


class Settings(BaseSettings):
    """What every command reads."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True, frozen=True)

    environment: Literal["development", "production"] = Field(
        "production", description="`development` on a desk: only there the secrets of docker-compose.yml are taken."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What is logged, to stderr.")
    failpoint: OptionalFailpoint = Field(
        None, description="Where this process ends itself, for crash tests; only in development. See docs/settings.md."
    )

    @property
    def is_development(self) -> bool:
        """Whether this is a desk."""
        return self.environment == "development"

    @model_validator(mode="after")
    def _no_failpoint_in_production(self) -> Self:
        if self.failpoint is not None and self.environment != "development":
            raise ValueError(
                f"{PREFIX}FAILPOINT is set: this process would end itself in the middle of a payment. It is for crash tests. Unset "
                f"it; or, on a desk, set {PREFIX}ENVIRONMENT to development"
            )
        return self


class MasterKeySettings(Settings):
    """For whatever seals and opens cards."""

    master_key: Secret = Field(
        description="Wraps the keys that card numbers are sealed under: 32 random bytes in base64, not kept in the database."
    )
    next_master_key: OptionalSecret = Field(
        None, description="The master key's successor, from before a rotation until after it: docs/operations.md."
    )

    @property
    def master_keys(self) -> tuple[bytes, ...]:
        """The master key and, during a rotation, the next one."""
        return tuple(secret_bytes(each) for each in (self.master_key, self.next_master_key) if each is not None)

    @model_validator(mode="after")
    def _two_master_keys(self) -> Self:
        if self.next_master_key == self.master_key:
            raise ValueError(
                f"{PREFIX}NEXT_MASTER_KEY is the same as {PREFIX}MASTER_KEY. Make a new one with "
                f"`openssl rand -base64 {SECRET_BYTES}`; or, after a rotation, leave it out"
            )
        return self


def _refuse_published(settings: Settings, *names: str) -> None:
    """Raises ValueError when one of these secrets is known to everybody, and this is no desk."""
    for name in names:
        secret: SecretStr | None = getattr(settings, name)
        if secret and secret_bytes(secret).startswith(DEVELOPMENT_ONLY) and settings.environment != "development":
            raise ValueError(
                f"{PREFIX}{name.upper()} is the one of docker-compose.yml, which everybody knows. Make one of your own with "
                f"`openssl rand -base64 {SECRET_BYTES}`; or, on a desk, set {PREFIX}ENVIRONMENT to development"
            )


class OwnerSettings(Settings):
    """For the platform's own staff: migrations, partners, keys, payments that need a human."""

    owner_database_url: DatabaseUrl = Field(
        description="The login that owns the tables and may create the two others. Only the commands for staff use it."
    )
    redis_url: RedisUrl | None = Field(
        None, description="Tells the processes at once what the staff has revoked or suspended; without it they find out in 5 s."
    )


class MigrateSettings(OwnerSettings):
    """For `partner-api migrate`."""

    database_url: DatabaseUrl = Field(description="The API's login, created with this password; row security binds it.")
    worker_database_url: DatabaseUrl = Field(description="The worker's login; it may see which partner has work due.")


class KeySettings(OwnerSettings):
    """For `partner-api keys`."""

    pepper: Secret = Field(
        description="Keys the hashes of API keys and card numbers: 32 random bytes in base64. Never change it."
    )


class VerifySettings(OwnerSettings):
    """For `partner-api verify`."""

    bank_control_url: HttpUrl | None = Field(
        None, description="The mock bank's control address, to compare our books with its ledger. A real bank has none."
    )
    sandbox_bank_control_url: HttpUrl | None = Field(None, description="The same of the sandbox's bank, for `verify --sandbox`.")


class VaultSettings(OwnerSettings, MasterKeySettings):
    """For `partner-api vault`."""

    @model_validator(mode="after")
    def _no_published_secrets(self) -> Self:
        _refuse_published(self, "master_key", "next_master_key")
        return self


class ServeSettings(MasterKeySettings):
    """For `partner-api serve`."""

    database_url: DatabaseUrl = Field(description="The API's login; row security binds it.")
    redis_url: RedisUrl = Field(description="Carries wake-ups between processes. Without it everything works, later.")
    bank_url: HttpUrl = Field(description="The bank, without a path.")
    sandbox_bank_url: HttpUrl | None = Field(
        None, description="Another bank, where no money moves, for test keys. Without one they are refused."
    )
    pepper: Secret = Field(
        description="Keys the hashes of API keys and card numbers: 32 random bytes in base64. Never change it."
    )
    outcome_wait_s: float = Field(
        OUTCOME_WAIT_S, gt=0, le=30, description="Seconds that a mutation waits for the bank before it answers PENDING."
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("*",), description="Origins of browsers that may ask, separated by commas; `*` for all: there are no cookies to steal."
    )

    @model_validator(mode="after")
    def _two_banks(self) -> Self:
        if self.sandbox_bank_url == self.bank_url:
            raise ValueError(
                f"{PREFIX}SANDBOX_BANK_URL is the same as {PREFIX}BANK_URL: tests would move real money. Give it a bank of its own, "
                "such as `partner-api bank`; or leave it out, and test keys are refused"
            )
        return self

    trusted_proxies: Networks = Field(
        (),
        description="Networks of your own proxies, separated by commas; their X-Forwarded-For tells from where a request came. "
        "Anybody else's is ignored.",
    )

    @model_validator(mode="after")
    def _no_published_secrets(self) -> Self:
        _refuse_published(self, "master_key", "next_master_key", "pepper")
        return self

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value


class WorkSettings(ServeSettings):
    """For `partner-api work`."""

    worker_database_url: DatabaseUrl = Field(description="The worker's login; it may see which partner has work due.")
    hold_hours: float = Field(
        168, gt=0, le=24 * 365, description="How long the bank holds money; a hold is released an hour before that."
    )
    reconcile_every_s: float = Field(
        3600, gt=0, le=12 * 3600, description="Seconds between two reconciliations of a partner; the bank keeps keys for a day."
    )
    event_retention_days: int = Field(
        400,
        ge=30,
        description="Days that events are kept; then they go, oldest first, and whoever wants to go on behind one is told.",
    )
    repair_limit_minor: int = Field(
        100_000, ge=0, description="Cents: where a reconciliation repairs a payment of more, it flags it as well."
    )


class ListenSettings(Settings):
    """For `partner-api listen`, which a partner's developers run."""

    key: SecretStr | None = Field(
        None, description="An API key with the scope `events:read`; or `--key-file` names a file with it."
    )
    url: HttpUrl = Field("http://127.0.0.1:8000/graphql", description="The API, as `partner-api listen` reaches it.")
    webhook_secret: SecretStr | None = Field(
        None, description="`whsec_…`, to sign with what is forwarded. Without it each run has a secret of its own, and says it."
    )


ALL = (ListenSettings, MigrateSettings, KeySettings, VerifySettings, WorkSettings)
_S = TypeVar("_S", bound=Settings)


def read_settings(kind: type[_S]) -> _S:
    """The settings of one command, from the environment. Raises SettingsError with a sentence for each that is wrong."""
    try:
        return kind()  # type: ignore[call-arg]  # the environment gives the arguments
    except ValidationError as error:
        raise SettingsError(
            "\n".join(_sentence(kind, each["loc"], each["type"], each["msg"]) for each in error.errors())
        ) from None


def _sentence(kind: type[Settings], location: tuple[int | str, ...], error_type: str, message: str) -> str:
    if not location:
        return f"{message.removeprefix('Value error, ')}."
    name = str(location[0])
    field = kind.model_fields[name]
    if error_type == "missing":
        return f"{PREFIX}{name.upper()} is not set. {field.description}"
    return f"{PREFIX}{name.upper()} can't be used: {message.removeprefix('Value error, ')}. {field.description}"


def secret_bytes(secret: SecretStr) -> bytes:
    """A checked secret's bytes."""
    return base64.b64decode(secret.get_secret_value())
