"""`partner-api vault`: the keys that card numbers are sealed under."""

import json
import sys
from collections.abc import Callable
from typing import Any

import click

from app.cli.staff_output import show_rows

_NO_PARTNER = "There is no partner with this id; see `partner-api partners list`."
_partner_option = click.option("--partner", metavar="PTN", help="Only of this partner and its sandbox; otherwise of all.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print lines of JSON for programs.")


@click.group()
def vault() -> None:
    """Rotate the keys that card numbers are sealed under, while payments go on. For the platform's staff: it uses
    PARTNER_API_OWNER_DATABASE_URL and PARTNER_API_MASTER_KEY. docs/operations.md says when and how.
    """


@vault.command()
@_partner_option
@click.option("--finish", is_flag=True, help="Make no new keys: finish what was begun, and destroy the keys that nothing needs.")
@click.option("--master-key", is_flag=True, help="Make PARTNER_API_NEXT_MASTER_KEY the active one, and wrap all data keys by it.")
@_json_option
def rotate(partner: str | None, finish: bool, master_key: bool, as_json: bool) -> None:
    """Make a new data key for each partner and seal everything anew under it; or, with --master-key, exchange the master key.

    Broken off, it is run again and goes on. A superseded data key is destroyed by a later run, an hour later at the earliest.
    Exit code 1: something is left, and the output says what.
    """
    if master_key and (partner is not None or finish):
        raise click.UsageError("--master-key is of all partners: it goes with neither --partner nor --finish.")
    if master_key:
        _rotate_master_key(as_json)
    else:
        _rotate_data_keys(partner, finish, as_json)


def _rotate_data_keys(partner: str | None, finish: bool, as_json: bool) -> None:
    from app import staff_vault  # noqa: PLC0415
    from app.cli import log_to_stderr, run  # noqa: PLC0415
    from app.failpoints import reach_for  # noqa: PLC0415
    from app.settings import VaultSettings, read_settings  # noqa: PLC0415
    from domain.partner import mode_of  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415

    settings = read_settings(VaultSettings)
    log_to_stderr(settings.log_level)
    world = real_world(reach_for(settings.failpoint))
    with _Progress() as tell:
        done = run(staff_vault.rotate_data_keys(settings, world, partner, is_new_wanted=not finish, on_progress=tell))
    if done is None:
        raise click.ClickException(_NO_PARTNER)
    rows = [
        {
            "partner": staff_vault.public_id(each.tenant_id),
            "mode": mode_of(each.tenant_id).value,
            "version": each.version,
            "new": each.is_new,
            "resealed": each.resealed,
            "left": each.left,
            "unreadable": each.unreadable,
            "destroyed": list(each.destroyed),
        }
        for each in done
        if each.version is not None
    ]
    _show(rows, as_json)
    left, unreadable = (sum(getattr(each, name) for each in done) for name in ("left", "unreadable"))
    if not rows and not as_json:
        click.echo("Nothing was ever sealed here.")
    if left:
        click.echo(f"{left:,} are left, for somebody was writing them at each look. Run it again.", err=True)
    if unreadable:
        click.echo(f"{unreadable:,} don't open under any key at hand, and are as they were. The log above names them.", err=True)
    sys.exit(1 if left or unreadable else 0)


def _rotate_master_key(as_json: bool) -> None:
    from app import staff_vault  # noqa: PLC0415
    from app.cli import log_to_stderr, run  # noqa: PLC0415
    from app.failpoints import reach_for  # noqa: PLC0415
    from app.settings import VaultSettings, read_settings  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415

    settings = read_settings(VaultSettings)
    log_to_stderr(settings.log_level)
    with _Progress() as tell:
        done = run(staff_vault.rotate_master_key(settings, real_world(reach_for(settings.failpoint)), tell))
    if as_json:
        fields = {"active": done.master_key_id, "new": done.is_new, "rewrapped": done.data_keys, "left": done.left}
        click.echo(json.dumps(fields | {"retired": list(done.retired)}))
    else:
        click.echo(f"The active master key is {done.master_key_id}{'' if done.is_new else ' already'}. ", nl=False)
        click.echo(f"{done.data_keys:,} data keys were wrapped anew.")
    if done.left:
        click.echo(
            f"{done.left:,} data keys or open payments still need another one. Run it again before you take that away.", err=True
        )
        sys.exit(1)
    if not as_json:
        click.echo("Nothing needs another one any more: start every process with this one as PARTNER_API_MASTER_KEY alone.")


@vault.command()
@_partner_option
@_json_option
def status(partner: str | None, as_json: bool) -> None:
    """Show the master keys by their ids, and the data keys of each partner. With --json a line for each."""
    from app import staff_vault  # noqa: PLC0415
    from app.cli import run  # noqa: PLC0415
    from app.settings import VaultSettings, read_settings  # noqa: PLC0415
    from domain.partner import mode_of  # noqa: PLC0415

    found = run(staff_vault.vault_status(read_settings(VaultSettings), partner))
    if found is None:
        raise click.ClickException(_NO_PARTNER)
    masters: list[dict[str, Any]] = [
        {
            "masterKey": each.id,
            "state": "active" if each.is_active else "retired" if each.retired_at else "being superseded",
            "since": each.created_at.isoformat(),
            "given": each.id in found.ring,
        }
        for each in found.master_keys
    ]
    data_keys: list[dict[str, Any]] = [
        {
            "partner": staff_vault.public_id(tenant_id),
            "mode": mode_of(tenant_id).value,
            "version": row.version,
            "since": row.created_at.isoformat(),
            "supersededAt": row.superseded_at.isoformat() if row.superseded_at else None,
            "masterKey": row.master_key_id,
        }
        for tenant_id, rows in found.data_keys
        for row in rows
    ]
    if not masters and not as_json:
        click.echo("No master key was ever used here.")
    for rows in (masters, data_keys):
        _show(rows, as_json)


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """A table under the names that JSON has, too; nothing where there is no row."""
    if rows:
        show_rows(rows, {name: name for name in rows[0]}, as_json=as_json)


class _Progress:
    """How far it is, on a terminal's last line."""

    def __enter__(self) -> Callable[[str], None]:
        return self._tell if sys.stderr.isatty() else lambda _: None

    def __exit__(self, *_: object) -> None:
        if sys.stderr.isatty():
            click.echo("\r" + " " * 60 + "\r", nl=False, err=True)

    def _tell(self, what: str) -> None:
        click.echo(f"\r{what} …", nl=False, err=True)
