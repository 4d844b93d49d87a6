"""What the system is told: options, environment, and the secrets that it makes for itself."""

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from app.embedded.server import write_secret

DEFAULT_PORT = 8000
KEY_BYTES = 32  # AES-256, and as much for the pepper

_SCHEMES = ("postgresql://", "postgres://", "postgresql+asyncpg://")


class ConfigurationError(Exception):
    """An option or a variable can't be used; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `up` was asked for. An URL that is None asks for the embedded server."""

    data: Path
    port: int | None = None  # None: 8000, or a free one when that is taken; 0: a free one
    bank_url: str | None = None
    database_url: str | None = None
    redis_url: str | None = None
    api_processes: int = 1
    worker_processes: int = 1


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One database, three logins."""

    owner: str
    app: str
    worker: str


@dataclass(frozen=True, slots=True)
class Banks:
    """Where the banks are. `control_url` is None where the bank is not one of ours."""

    url: str
    control_url: str | None
    sandbox_url: str
    sandbox_control_url: str | None


def plain_database_url(url: str) -> str:
    """`postgresql://...`, whatever the driver it was written for. Raises ConfigurationError."""
    for scheme in _SCHEMES:
        if url.startswith(scheme):
            url = f"postgresql://{url.removeprefix(scheme)}"
            break
    else:
        raise ConfigurationError("The database's URL must begin with postgresql:// (its value is not shown here).")
    if not database_name(url):
        raise ConfigurationError("The database's URL must end with the name of a database: postgresql://user@host/NAME")
    return url


def database_name(url: str) -> str:
    """The database's name in an URL."""
    return unquote(urlsplit(url).path.lstrip("/"))


def database_urls(owner: str, environ: Mapping[str, str], folder: Path) -> DatabaseUrls:
    """The owner's URL and those of the two services: from the environment, or with passwords kept in `folder`."""
    name = database_name(owner)
    app, worker = (
        environ.get(variable) or _with_login(owner, f"{name}_{service}", kept(folder / f"{service}-password"))
        for service, variable in (("app", "PARTNER_API_DATABASE_URL"), ("worker", "PARTNER_API_WORKER_DATABASE_URL"))
    )
    return DatabaseUrls(owner=owner, app=app, worker=worker)


def _with_login(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{place}"))


def kept(path: Path) -> str:
    """A random secret of KEY_BYTES bytes in base64, made on first use and kept in a file only its owner can read."""
    if path.exists() and (secret := path.read_text().strip()):
        return secret
    return write_secret(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())


def services_environment(
    databases: DatabaseUrls, redis_url: str, banks: Banks, folder: Path, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment of the api, the worker and the commands: ours on top of what this process was given."""
    return {
        "PARTNER_API_ENVIRONMENT": "development",
        **environ,
        "PARTNER_API_OWNER_DATABASE_URL": databases.owner,
        "PARTNER_API_DATABASE_URL": databases.app,
        "PARTNER_API_WORKER_DATABASE_URL": databases.worker,
        "PARTNER_API_REDIS_URL": redis_url,
        "PARTNER_API_BANK_URL": banks.url,
        "PARTNER_API_SANDBOX_BANK_URL": banks.sandbox_url,
        "PARTNER_API_MASTER_KEY": environ.get("PARTNER_API_MASTER_KEY") or kept(folder / "master-key"),
        "PARTNER_API_PEPPER": environ.get("PARTNER_API_PEPPER") or kept(folder / "pepper"),
    }
