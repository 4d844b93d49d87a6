"""Databases to throw away: a migrated template, copied as often as somebody wants one of his own."""

import secrets
from dataclasses import dataclass

import asyncpg

from persistence.migrate import Login, migrate

TEMPLATE = "template_partner_api"
APP = Login("suite_app", "app-password")
WORKER = Login("suite_worker", "worker-password")


@dataclass(frozen=True)
class DatabaseUrls:
    """One fresh, migrated database and its three logins."""

    name: str
    owner: str
    app: str
    worker: str


async def make_template(server_url: str) -> None:
    """Migrate once what is then copied. `server_url` is the server's superuser's."""
    await execute(server_url, f"create database {TEMPLATE}")
    await migrate(_url(server_url, TEMPLATE), app=APP, worker=WORKER)


async def make_database(server_url: str) -> DatabaseUrls:
    """A copy of the template."""
    name = f"test_{secrets.token_hex(6)}"
    await execute(server_url, f"create database {name} template {TEMPLATE}")
    return DatabaseUrls(name, _url(server_url, name), _url(server_url, name, APP), _url(server_url, name, WORKER))


async def drop_database(server_url: str, urls: DatabaseUrls) -> None:
    """Drop it, whoever is still connected."""
    await execute(server_url, f"drop database {urls.name} with (force)")


async def execute(url: str, *statements: str) -> None:
    """Run statements over a connection of their own."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _url(server: str, database: str, login: Login | None = None) -> str:
    base, _, _ = server.rpartition("/")
    if login is not None:
        base = f"postgresql://{login.name}:{login.password}@{base.rpartition('@')[2]}"
    return f"{base}/{database}"
