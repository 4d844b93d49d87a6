"""`partner-api`: the command behind everything. Each command's module is loaded only when it is called."""

import asyncio
import importlib
import importlib.metadata
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

COMMANDS = {  # name: module with a click command of the same name
    "up": "app.cli.up",
    "serve": "app.cli.serve",
    "work": "app.cli.work",
    "migrate": "app.cli.migrate",
    "reconcile": "app.cli.reconcile",
    "bank": "app.cli.bank",
    "demo": "app.cli.demo",
    "partners": "app.cli.partners",
    "keys": "app.cli.keys",
    "verify": "app.cli.verify",
    "payments": "app.cli.payments",
    "audit": "app.cli.audit",
    "vault": "app.cli.vault",
    "listen": "app.cli.listen",
}
T = TypeVar("T")


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return command


def _version() -> str:
    """The installed version; the image runs the packages from where they lie, uninstalled."""
    try:
        return importlib.metadata.version("partner-api")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(_version(), prog_name="partner-api")
def partner_api() -> None:
    """A multi-tenant GraphQL API for payments, and everything it needs.

    `partner-api up` starts the whole system on this machine. The other commands are its parts, for those who run it for real;
    they read PARTNER_API_* variables, which docs/settings.md describes.
    """


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None  # there is no uvloop
    import uvloop  # noqa: PLC0415

    return uvloop.new_event_loop


def run(work: Coroutine[Any, Any, T], *, is_busy: bool = False) -> T:
    """Run a command's coroutine; say in a sentence what is wrong with the settings or the database, and exit with 1.

    `is_busy`: it has thousands of things to do a second, and runs on uvloop.
    """
    from gateway.vault.key_service import KeysAway  # noqa: PLC0415  (only for commands that need it)
    from persistence.database import BypassesRowSecurity, DatabaseAway  # noqa: PLC0415
    from persistence.revision import NotMigrated  # noqa: PLC0415

    try:
        with asyncio.Runner(loop_factory=_fast_loop() if is_busy else None) as runner:
            return runner.run(work)
    except KeysAway as error:
        raise click.ClickException(f"The master key can't be used just now ({error}).") from None
    except (DatabaseAway, OSError) as error:
        raise click.ClickException(f"The database can't be reached ({error}). Is it up, and is its URL right?") from None
    except (NotMigrated, BypassesRowSecurity) as error:
        raise click.ClickException(str(error)) from None


def log_to_stderr(level: str) -> None:
    """One line for each event, to stderr. Libraries speak only when something is wrong: they would repeat what clients sent."""
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True)
    for library in ("httpx", "httpcore", "asyncio", "uvicorn.access", "strawberry", "sqlalchemy", "alembic", "asyncpg"):
        logging.getLogger(library).setLevel(logging.WARNING)


def allow_many_connections() -> None:
    """Raise this process's limit of open files as far as it goes: a thousand calls to the bank are above the usual 1,024."""
    import resource  # noqa: PLC0415  (only for the processes that hold connections)

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """The console script."""
    from app.settings import SettingsError  # noqa: PLC0415

    try:
        partner_api(prog_name="partner-api", standalone_mode=False)  # also when called as a module
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SettingsError as error:
        click.echo(f"{error}\nAll settings are described in docs/settings.md.", err=True)
        sys.exit(2)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
