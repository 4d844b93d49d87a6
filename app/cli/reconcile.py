"""`partner-api reconcile`: compare everything that could differ with the bank's books, now, and read the report."""

import json
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING
from uuid import UUID

import click

if TYPE_CHECKING:
    from app.reconciling import PartnerReport
    from app.settings import WorkSettings
    from domain.partner import Partner
    from domain.reconciliation import Run

IN_ORDER, FLAGGED, UNFINISHED = 0, 1, 2  # how it exits
WIDE = 200  # columns, where the report goes to a file or a pipe: ids stay in one piece


class _Unfinished(click.ClickException):
    exit_code = UNFINISHED


@click.command(short_help="Compare our payments with the bank's books.")
@click.option("--partner", default=None, help="Only this partner, ptn_…; all without it.")
@click.option("--last", is_flag=True, help="Show the last report, without asking the bank.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each partner.")
def reconcile(partner: str | None, *, last: bool, as_json: bool) -> None:
    """Compare our payments with the bank's books now, repair or flag what differs, and report.

    Safe at any time, and again: the bank is only asked. The worker does the same on a schedule.

    Exits with 0 when nothing is left to look at, with 1 when something is flagged, and with 2 when it could not be finished or the
    bank left something unanswered.
    """
    from app.cli import log_to_stderr, run  # noqa: PLC0415
    from app.settings import WorkSettings, read_settings  # noqa: PLC0415
    from domain.ids import IdKind, decode_id_of  # noqa: PLC0415

    settings = read_settings(WorkSettings)
    log_to_stderr("WARNING" if settings.log_level == "INFO" else settings.log_level)  # the report says what there is to say
    only = None if partner is None else decode_id_of(IdKind.PARTNER, partner)
    if partner is not None and only is None:
        raise _no_such_partner()
    try:
        code = run(_report(settings, only, last=last, as_json=as_json))
    except click.ClickException as error:
        raise _Unfinished(error.message) from None
    sys.exit(code)


async def _report(settings: "WorkSettings", only: UUID | None, *, last: bool, as_json: bool) -> int:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    from app.reconciliation_report import as_document, show  # noqa: PLC0415
    from app.reconciling import NoSuchPartner, last_reports, reconcile_now  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    terminal = Console(stderr=True)
    status = terminal.status("Reconciling …")

    def on_progress(partner: "Partner", run: "Run") -> None:
        status.update(escape(f"{partner.name!r}: {run.counts.checked:,} checked"))

    reports = last_reports(settings, only) if last else reconcile_now(settings, only, on_progress)
    code = IN_ORDER
    if not last and terminal.is_terminal:
        status.start()
    try:
        async with aclosing(reports):
            async for report in reports:
                if as_json:
                    click.echo(json.dumps(as_document(report)))
                else:
                    show(report, console)
                code = max(code, exit_code_of(report))
    except NoSuchPartner:
        raise _no_such_partner() from None
    finally:
        status.stop()
    return code


def exit_code_of(report: "PartnerReport") -> int:
    """What a report means for a script."""
    from app.reconciling import Outcome  # noqa: PLC0415

    if report.outcome is not Outcome.FINISHED or report.run is None or report.run.counts.unanswered:
        return UNFINISHED
    return FLAGGED if report.run.counts.flagged else IN_ORDER


def _no_such_partner() -> click.ClickException:
    return _Unfinished("There is no partner with this id; see `partner-api partners list`.")
