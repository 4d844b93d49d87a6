"""`partner-api payments`: the payments that need a human."""

import json
from datetime import datetime, timedelta
from typing import Any

import click

from app.cli.settling import REASONS, option_of, said, settlement_options
from app.cli.staff_output import checked_note, checked_operator
from domain.payment import ReviewReason

DEFAULT_LISTED = 50  # lines when nobody says: two screens
MAX_LISTED = 1000  # lines; more than that wants a report, not a list
MAX_HOURS = 24 * 366 * 100

_NO_PARTNER = "There is no partner with this id; see `partner-api partners list`."
_partner_option = click.option("--partner", help="Only this partner's, ptn_…")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_limit_option = click.option(
    "--limit", type=click.IntRange(1, MAX_LISTED), default=DEFAULT_LISTED, show_default=True, help="At most so many."
)


@click.group()
def payments() -> None:
    """Find, look into and settle payments that need review. For the platform's staff: it uses PARTNER_API_OWNER_DATABASE_URL.

    docs/operations.md says how to go about it.
    """


@payments.command("list")
@_partner_option
@click.option("--reason", type=click.Choice(REASONS), metavar="REASON", help=f"Only for this reason: {', '.join(REASONS)}.")
@click.option("--older-than", type=click.IntRange(0, MAX_HOURS), default=0, metavar="HOURS", help="Only accepted so long ago.")
@_limit_option
@_json_option
def list_all(partner: str | None, reason: str | None, older_than: int, limit: int, as_json: bool) -> None:
    """List the payments that need review, the oldest first. With --json a line for each."""
    from app import staff_payments  # noqa: PLC0415
    from app.cli import payment_output, run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415

    reviews = run(
        staff_payments.list_reviews(
            read_settings(OwnerSettings),
            real_world(),
            partner=partner,
            reason=ReviewReason(reason) if reason else None,
            older_than=timedelta(hours=older_than),
            limit=limit,
        )
    )
    if reviews is None:
        raise click.ClickException(_NO_PARTNER)
    if as_json:
        for each in reviews.found:
            click.echo(json.dumps(payment_output.review_json(each)))
    elif reviews.found:
        payment_output.show_reviews(reviews.found)
    else:
        click.echo("No payment needs review.")
    if reviews.more:
        click.echo(f"These are the oldest {limit}; there are more.", err=True)


@payments.command()
@click.argument("payment_id")
@_partner_option
@_json_option
def inspect(payment_id: str, partner: str | None, as_json: bool) -> None:
    """Show all that is on record of a payment, pay_…, and what can be said of it."""
    from app import staff_payments  # noqa: PLC0415
    from app.cli import payment_output, run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415

    dossier = run(staff_payments.read_dossier(read_settings(OwnerSettings), partner, payment_id))
    if dossier is None:
        whose = "of this partner" if partner else "of any partner"
        raise click.ClickException(f"There is no payment {whose} with this id; see `partner-api payments list`.")
    now = real_world().now()
    if as_json:
        click.echo(json.dumps(payment_output.dossier_json(dossier, now)))
    else:
        payment_output.show_dossier(dossier, now)


@payments.command()
@click.argument("payment_id")
@click.option("--partner", required=True, help="The partner's id, ptn_…")
@click.option("--by", required=True, metavar="NAME", help="Who says it. Beside it stands the login of this machine.")
@click.option("--note", required=True, metavar="TEXT", help="Why: what the bank said, and where that can be read.")
@settlement_options
@click.option("--dry-run", is_flag=True, help="Show what it would change, and change nothing.")
@_json_option
def settle(payment_id: str, partner: str, by: str, note: str, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Say one thing of a payment that needs review, pay_…, and write it into the audit log.

    While somebody asks the bank for the payment, this waits, two minutes at most.
    """
    settlement = said(given)
    by, note = checked_operator(by), checked_note(note)
    from app import staff_payments  # noqa: PLC0415
    from app.cli import payment_output, run  # noqa: PLC0415
    from app.failpoints import reach_for  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415
    from gateway.settlement import BeingAsked, Unfit  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415

    settings, word = read_settings(OwnerSettings), staff_payments.word_of(settlement, by, note)
    world = real_world(reach_for(settings.failpoint))
    answer = run(staff_payments.settle(settings, world, partner, payment_id, word, dry_run=dry_run, on_wait=_tell_waiting))
    match answer:
        case None:
            raise click.ClickException("There is no payment of this partner with this id; see `partner-api payments list`.")
        case Unfit(message, instead):
            options = ", ".join(option_of(each) for each in instead) or "nothing"
            raise click.ClickException(f"{message}\nWhat can be said of it as it stands: {options}.")
        case BeingAsked(until):
            raise click.ClickException(
                f"The bank is being asked for it all the time, now until {payment_output.at(until)} UTC. Try again in a minute."
            )
        case _:
            before, after = answer.before, answer.after
    if as_json:
        shown = {"before": payment_output.receipt_json(before), "after": payment_output.receipt_json(after)}
        click.echo(json.dumps({"dryRun": dry_run, **shown}))
        return
    changed = "\n".join(f"  {line}" for line in payment_output.changes(before, after)) or "  nothing of the payment"
    click.echo(f"{'This would change' if dry_run else 'Settled. Changed'}:\n{changed}")


def _tell_waiting(until: datetime) -> None:
    click.echo(f"Somebody is asking the bank for it, until {until:%H:%M:%S} UTC at the latest. Waiting …", err=True)


@payments.command()
@_partner_option
@click.option("--payment", "payment_id", help="Only of this payment, pay_…")
@_limit_option
@_json_option
def log(partner: str | None, payment_id: str | None, limit: int, as_json: bool) -> None:
    """Show what operators and the reconciliation did, the newest first. With --json a line for each."""
    from app import staff_payments  # noqa: PLC0415
    from app.cli import payment_output, run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    lines = run(staff_payments.read_log(read_settings(OwnerSettings), partner=partner, payment=payment_id, limit=limit))
    if lines is None:
        raise click.ClickException("There is no such partner, or this is no payment's id: ptn_… and pay_…")
    if as_json:
        for line in lines:
            click.echo(json.dumps(payment_output.log_json(line)))
    elif lines:
        payment_output.show_log(lines)
    else:
        click.echo("Nothing was done by hand.")
