"""A report of the reconciliation, for people at a terminal and for programs."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.demo.report import printable
from app.reconciling import Outcome, PartnerReport
from domain.discrepancy import Remedy
from domain.ids import IdKind, encode_id
from domain.reconciliation import ReportLine, Run

_ENDINGS = {  # what has to be said when there is more to say than the report
    Outcome.INTERRUPTED: "Not finished: the bank is away or busy. The worker goes on from here as soon as it can.",
    Outcome.ELSEWHERE: "Not begun: another process is reconciling this partner, and has been for long. Try again later.",
    Outcome.NEVER: "Never reconciled.",
}


def as_document(report: PartnerReport) -> dict[str, Any]:
    """As JSON values, with the names that GraphQL has."""
    return {
        "partner": encode_id(IdKind.PARTNER, report.partner.id),
        "name": report.partner.name,
        "outcome": report.outcome.value,
        "run": None if report.run is None else _run(report.run),
        "discrepancies": [_line(line) for line in report.lines],
    }


def _run(run: Run) -> dict[str, Any]:
    counts = run.counts
    return {
        "id": encode_id(IdKind.RECONCILIATION, run.id),
        "trigger": run.trigger.value,
        "startedAt": run.started_at.isoformat(),
        "finishedAt": run.finished_at.isoformat() if run.finished_at else None,
        "counts": {
            "checked": counts.checked,
            "agreed": counts.agreed,
            "repaired": counts.repaired,
            "flagged": counts.flagged,
            "unanswered": counts.unanswered,
        },
    }


def _line(line: ReportLine) -> dict[str, Any]:
    return {
        "kind": line.discrepancy.kind.value,
        "payment": encode_id(IdKind.PAYMENT, line.payment_id),
        "ours": line.discrepancy.ours,
        "theBanks": line.discrepancy.the_banks,
        "done": line.remedy.value,
        "foundAt": line.found_at.isoformat(),
    }


def show(report: PartnerReport, console: Console) -> None:
    """A heading, the counts, and a table of what was found."""
    name, partner_id = printable(report.partner.name), encode_id(IdKind.PARTNER, report.partner.id)
    console.print(Text.assemble((name, "bold"), f" {partner_id}"))
    if report.outcome in _ENDINGS:
        console.print(Text(_ENDINGS[report.outcome], style="yellow"))
    if report.run is not None:
        console.print(_counts(report.run))
    if report.lines:
        console.print(_table(report))
    told = report.run.counts.repaired + report.run.counts.flagged if report.run else 0
    if told > len(report.lines):
        console.print(Text(f"… and {told - len(report.lines):,} more.", style="yellow"))
    console.print()


def _counts(run: Run) -> Text:
    counts = run.counts
    text = Text(f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC  {counts.checked:,} checked: {counts.agreed:,} agree")
    for number, what, style in (
        (counts.repaired, "repaired", "green"),
        (counts.flagged, "flagged", "bold red"),
        (counts.unanswered, "unanswered", "yellow"),
    ):
        text.append(f", {number:,} {what}", style=style if number else "")
    return text


def _table(report: PartnerReport) -> Table:
    table = Table(border_style="dim", header_style="bold")
    for heading, no_wrap in (("discrepancy", True), ("payment", True), ("ours", False), ("the bank's", False), ("done", True)):
        table.add_column(heading, no_wrap=no_wrap, overflow="fold")
    for line in report.lines:
        table.add_row(
            line.discrepancy.kind.value,
            encode_id(IdKind.PAYMENT, line.payment_id),
            Text(printable(line.discrepancy.ours)),
            Text(printable(line.discrepancy.the_banks)),
            Text(line.remedy.value, style="green" if line.remedy is Remedy.REPAIRED else "bold red"),
        )
    return table
