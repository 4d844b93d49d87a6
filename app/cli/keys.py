"""`partner-api keys`: API keys."""

import json
import sys

import click

from app.cli.staff_output import checked_name, show_rows


@click.group()
def keys() -> None:
    """Create, list, check and revoke API keys. For the platform's staff: it uses PARTNER_API_OWNER_DATABASE_URL."""


@keys.command()
@click.option("--partner", required=True, help="The partner's id, ptn_…")
@click.option("--name", required=True, help="What the key is for, 1 to 255 characters.")
@click.option(
    "--mode", type=click.Choice(("live", "test")), default="live", show_default=True, help="Test keys reach the sandbox."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def create(partner: str, name: str, mode: str, as_json: bool) -> None:
    """Create a key and show it, this once: only a keyed hash of it is stored."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import KeySettings, read_settings  # noqa: PLC0415
    from domain.partner import Mode  # noqa: PLC0415

    created = run(staff.create_key(read_settings(KeySettings), partner, checked_name(name), Mode(mode.upper())))
    if created is None:
        raise click.ClickException("There is no partner with this id; see `partner-api partners list`.")
    click.echo(json.dumps(created) if as_json else f"{created['key']}\nThis is {created['id']}. The key is not shown again.")


@keys.command("list")
@click.option("--partner", required=True, help="The partner's id, ptn_…")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")
def list_all(partner: str, as_json: bool) -> None:
    """List a partner's keys, revoked ones too."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    rows = run(staff.list_keys(read_settings(OwnerSettings), partner))
    if rows is None:
        raise click.ClickException("There is no partner with this id; see `partner-api partners list`.")
    show_rows(
        rows, {"id": "id", "name": "name", "prefix": "begins with", "createdAt": "since", "revokedAt": "revoked"}, as_json=as_json
    )


@keys.command()
@click.option("--partner", required=True, help="The partner's id, ptn_…")
@click.argument("key_id")
def revoke(partner: str, key_id: str) -> None:
    """Revoke a key by its id, key_…. Every process refuses it within five seconds."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    if not run(staff.revoke_key(read_settings(OwnerSettings), partner, key_id)):
        raise click.ClickException("This partner has no key with this id; see `partner-api keys list`.")
    click.echo("Revoked.")


@keys.command()
def check() -> None:
    """Read a key from standard input; exit with 0 if it is good, with 1 and the reason if not."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import KeySettings, read_settings  # noqa: PLC0415

    reason = run(staff.check_key(read_settings(KeySettings), sys.stdin.readline().strip()))
    if reason is not None:
        raise click.ClickException(reason)
    click.echo("This key is good.")
