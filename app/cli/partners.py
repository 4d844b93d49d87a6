"""`partner-api partners`: the platform's own list of who has access."""

import json

import click

from app.cli.staff_output import checked_name, show_rows
from domain.tier import TierName


@click.group()
def partners() -> None:
    """Create and list partners. For the platform's staff: it uses PARTNER_API_OWNER_DATABASE_URL."""


@partners.command()
@click.option("--name", required=True, help="What the partner is called, 1 to 255 characters.")
@click.option("--tier", type=click.Choice(TierName), default=TierName.STANDARD, show_default=True, help="See docs/limits.md.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def create(name: str, tier: TierName, as_json: bool) -> None:
    """Create a partner. Then make it a key with `partner-api keys create`."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    partner_id = run(staff.create_partner(read_settings(OwnerSettings), checked_name(name), tier))
    click.echo(json.dumps({"id": partner_id, "name": name}) if as_json else f"Created {name}: {partner_id}")


@partners.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")
def list_all(as_json: bool) -> None:
    """List all partners, oldest first."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    rows = run(staff.list_partners(read_settings(OwnerSettings)))
    show_rows(rows, {"id": "id", "name": "name", "createdAt": "since"}, as_json=as_json)
