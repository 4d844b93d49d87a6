"""`partner-api audit`: who did what, and whether anybody has touched the record of it."""

import json
import sys
from typing import Any

import click

from app.cli.staff_output import show_table

DEFAULT_LISTED = 50  # lines when nobody says: two screens
MAX_LISTED = 1000  # lines; more than that wants a report, not a list

_NO_PARTNER = "There is no partner with this id; see `partner-api partners list`."
_partner_option = click.option("--partner", help="Only this partner's, ptn_…; a sandbox has an id and a log of its own.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")


@click.group()
def audit() -> None:
    """Read and check the audit log. For the platform's staff: it uses PARTNER_API_OWNER_DATABASE_URL."""


@audit.command()
@_partner_option
@_json_option
def verify(partner: str | None, as_json: bool) -> None:
    """Follow the chain of hashes of each partner's log, and tell the first place where it does not hold; then the exit code is 1."""
    from app import auditing  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415
    from domain.ids import IdKind, encode_id  # noqa: PLC0415

    progress = _Progress()
    chains = run(auditing.verify_audit(read_settings(OwnerSettings), partner=partner, on_page=progress.tell))
    progress.end()
    if chains is None:
        raise click.ClickException(_NO_PARTNER)
    broken = [each for each in chains if each.broken]
    for each in chains if as_json else broken:
        whose = encode_id(IdKind.PARTNER, each.tenant_id)
        if as_json:
            found = {"sequence": each.broken.sequence, "why": each.broken.why} if each.broken else None
            click.echo(json.dumps({"partner": whose, "entries": each.entries, "broken": found}))
        elif each.broken:
            click.echo(f"{whose}: entry {each.broken.sequence}: {each.broken.why}.")
    if not as_json:
        entries = sum(each.entries for each in chains)
        click.echo(f"{entries:,} entries in {len(chains):,} logs hold; {len(broken):,} logs are broken.")
    sys.exit(1 if broken else 0)


@audit.command("list")
@_partner_option
@click.option("--subject", metavar="ID", help="Only what was done to this: pay_…, key_…, ptn_…")
@click.option("--limit", type=click.IntRange(1, MAX_LISTED), default=DEFAULT_LISTED, show_default=True, help="At most so many.")
@_json_option
def list_all(partner: str | None, subject: str | None, limit: int, as_json: bool) -> None:
    """List what was done by keys, operators and the reconciliation, the newest first."""
    from app import auditing  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import OwnerSettings, read_settings  # noqa: PLC0415

    lines = run(auditing.read_audit(read_settings(OwnerSettings), partner=partner, subject=subject, limit=limit))
    if lines is None:
        raise click.ClickException(_NO_PARTNER)
    rows = [_line(each) for each in lines]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    elif rows:
        show_table(list(rows[0]), [[str(value or "") for value in row.values()] for row in rows])
    else:
        click.echo("Nothing is on record.")


def _line(line: Any) -> dict[str, Any]:
    from domain.ids import IdKind, encode_id  # noqa: PLC0415

    entry = line.logged.entry
    return {
        "at": entry.at.isoformat(),
        "partner": encode_id(IdKind.PARTNER, line.tenant_id),
        "sequence": line.logged.sequence,
        "kind": entry.kind.value,
        "actor": entry.actor,
        "apiKey": encode_id(IdKind.API_KEY, entry.api_key_id) if entry.api_key_id else None,
        "address": entry.address,
        "request": entry.request_id,
        "action": entry.action,
        "subject": encode_id(IdKind.PAYMENT, entry.payment_id) if entry.payment_id else entry.subject,
        "note": entry.note,
    }


class _Progress:
    """How far it is, on a terminal's last line."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()

    def tell(self, entries: int) -> None:
        if self._is_shown:
            click.echo(f"\r{entries:,} entries …", nl=False, err=True)

    def end(self) -> None:
        if self._is_shown:
            click.echo("\r" + " " * 40 + "\r", nl=False, err=True)
