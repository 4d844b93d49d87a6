"""`partner-api partners`: the platform's own list of who has access."""

import json

import click

from app.cli.staff_output import checked_name, show_rows
from domain.stored_card import MAX_CARDS_PER_USER
from domain.tier import TierName

TIER = click.Choice(TierName, case_sensitive=False)
UNKNOWN = "There is no partner with this id; see `partner-api partners list`."


@click.group()
def partners() -> None:
    """Create, list, change and suspend partners. For the platform's staff: it uses PARTNER_API_OWNER_DATABASE_URL."""


@partners.command()
@click.option("--name", required=True, help="What the partner is called, 1 to 255 characters.")
@click.option("--tier", type=TIER, default=TierName.STANDARD, show_default=True, help="How much it may use: docs/limits.md.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def create(name: str, tier: TierName, as_json: bool) -> None:
    """Create a partner. Then make it a key with `partner-api keys create`."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    partner_id = run(staff.create_partner(read_settings(OwnerSettings), checked_name(name), tier))
    click.echo(json.dumps({"id": partner_id, "name": name, "tier": tier}) if as_json else f"Created {name}: {partner_id}")


@partners.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each.")
def list_all(as_json: bool) -> None:
    """List all partners, oldest first."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    rows = run(staff.list_partners(read_settings(OwnerSettings)))
    columns = {"id": "id", "name": "name", "tier": "tier", "createdAt": "since", "suspendedAt": "suspended"}
    show_rows(rows, columns, as_json=as_json)


@partners.command("set-tier")
@click.argument("partner")
@click.argument("tier", type=TIER)
def set_tier(partner: str, tier: TierName) -> None:
    """Give a partner another tier. Every process knows within five seconds."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    if not run(staff.set_tier(read_settings(OwnerSettings), partner, tier)):
        raise click.ClickException(UNKNOWN)
    click.echo(f"The tier is {tier}.")


@partners.command()
@click.argument("partner")
@click.argument("origin", nargs=-1)
@click.option("--default", "as_usual", is_flag=True, help="Back to PARTNER_API_ALLOWED_ORIGINS.")
def origins(partner: str, origin: tuple[str, ...], as_usual: bool) -> None:
    """Say which browsers may use a partner's keys: those that show pages of these origins (https://shop.example; * for all).

    It takes the place of PARTNER_API_ALLOWED_ORIGINS for this partner. Programs that are no browsers are not asked for an origin.
    """
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.origins import MAX_ORIGINS, is_origin  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    if bool(origin) is as_usual:
        raise click.UsageError("Give the origins, or --default.")
    for each in origin:
        if not is_origin(each):
            raise click.BadParameter(f"{each!r} is no origin. One looks like https://shop.example: scheme and host, no path.")
    if len(origin) > MAX_ORIGINS:
        raise click.BadParameter(f"A partner has at most {MAX_ORIGINS} origins.")
    if not run(staff.set_origins(read_settings(OwnerSettings), partner, None if as_usual else origin)):
        raise click.ClickException(UNKNOWN)
    click.echo("The origins are the installation's." if as_usual else f"The origins are {', '.join(origin)}.")


@partners.command("cards-per-user")
@click.argument("partner")
@click.argument("cards", type=click.IntRange(1, MAX_CARDS_PER_USER))
def cards_per_user(partner: str, cards: int) -> None:
    """Set how many open cards each user of a partner may have. Whoever has more keeps them, and adds none."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    if not run(staff.set_cards_per_user(read_settings(OwnerSettings), partner, cards)):
        raise click.ClickException(UNKNOWN)
    click.echo(f"Open cards of a user: at most {cards}.")


@partners.command()
@click.argument("partner")
def suspend(partner: str) -> None:
    """Serve a partner nothing, live or test, until it is resumed. What is under way goes on. It bites within five seconds."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    if not run(staff.suspend_partner(read_settings(OwnerSettings), partner)):
        raise click.ClickException(UNKNOWN)
    click.echo("Suspended.")


@partners.command()
@click.argument("partner")
def resume(partner: str) -> None:
    """Serve a partner again."""
    from app import staff  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    if not run(staff.resume_partner(read_settings(OwnerSettings), partner)):
        raise click.ClickException(UNKNOWN)
    click.echo("Resumed.")
