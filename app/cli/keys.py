"""`partner-api keys`: API keys."""

import json
import sys
from datetime import timedelta

import click

from app.cli.staff_output import checked_name, show_rows
from domain.api_key import Network
from domain.key_request import MAX_NETWORKS, as_network
from domain.partner import Mode
from domain.scope import USUAL_SCOPES, Scope

MAX_DAYS = 3650  # ten years; whoever means for ever says nothing
COLUMNS = {
    "id": "id",
    "mode": "mode",
    "name": "name",
    "prefix": "begins with",
    "scopes": "scopes",
    "networks": "networks",
    "createdAt": "since",
    "expiresAt": "expires",
    "lastUsedAt": "last used",
    "revokedAt": "revoked",
}


@click.group()
def keys() -> None:
    """Create, list, check and revoke API keys. For the platform's staff: it uses PARTNER_API_OWNER_DATABASE_URL."""


@keys.command()
@click.option("--partner", required=True, help="The partner's id, ptn_…")
@click.option("--name", required=True, help="What the key is for, 1 to 255 characters.")
@click.option(
    "--mode", type=click.Choice(("live", "test")), default="live", show_default=True, help="Test keys reach the sandbox."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([each.value for each in Scope]),
    help="What it may do; again for each. Without it: all but cards:reveal, which shows a card's number.",
)
@click.option(
    "--expires-in-days", type=click.IntRange(1, MAX_DAYS), default=None, help="For how long it is good. For ever without it."
)
@click.option("--network", "networks", multiple=True, help="From where it is good, in CIDR notation; again for each.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def create(
    partner: str,
    name: str,
    mode: str,
    scopes: tuple[str, ...],
    expires_in_days: int | None,
    networks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Create a key and show it, this once: only a keyed hash of it is stored."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import KeySettings, read_settings  # noqa: PLC0415

    grant = staff.Grant(
        mode=Mode(mode.upper()),
        scopes=frozenset(map(Scope, scopes)) or USUAL_SCOPES,
        lasts=None if expires_in_days is None else timedelta(days=expires_in_days),
        networks=_checked_networks(networks),
    )
    created = run(staff.create_key(read_settings(KeySettings), partner, checked_name(name), grant))
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
    if not as_json:
        every = sorted(Scope)
        rows = [
            {**row, "scopes": "all" if row["scopes"] == every else " ".join(row["scopes"]), "networks": " ".join(row["networks"])}
            for row in rows
        ]
    show_rows(rows, COLUMNS, as_json=as_json)


def _checked_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    networks = [network for text in texts if (network := as_network(text)) is not None]
    if len(networks) < len(texts) or len(networks) > MAX_NETWORKS:
        raise click.ClickException(f"A network is given as 203.0.113.0/24 or 2001:db8::/32; at most {MAX_NETWORKS} of them.")
    return tuple(networks)


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
