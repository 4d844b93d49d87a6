"""What a drill shows: a line while it runs, tables in the end, or one line of JSON for programs."""

import json
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any, Self

import click
from rich.console import Console
from rich.status import Status
from rich.table import Table

from tests.chaos.aftermath import SETTLES_WITHIN_S
from tests.chaos.notebook import Notebook

STATUS_S = 10.0  # between two lines when nobody looks at a terminal; on one the line is made anew each second
LIVE_S = 1.0
SHOWN_VIOLATIONS = 20  # of each kind; all of them are in the report's file


@dataclass(frozen=True, slots=True)
class Result:
    """What a drill came to. `violations` by where they showed; `settled_s` is None when something stayed open."""

    load: Counter[str]
    latest_order_s: float
    acknowledged: Counter[str]  # payments by the furthest state that a client was told
    faults: Counter[str]
    flags: Counter[str]
    settled_s: float | None
    violations: dict[str, list[str]]
    verification: dict[str, Any]  # what `partner-api verify` found

    @classmethod
    def of(
        cls,
        notebook: Notebook,
        faults: Counter[str],
        receipts: list[dict[str, Any]],
        *,
        settled_s: float | None,
        violations: dict[str, list[str]],
        verification: dict[str, Any],
    ) -> Self:
        """Summed up from what the clients noted, what was done to the system, and the receipts in the end."""
        flags = Counter(reason for receipt in receipts for reason in receipt["reviewReasons"])
        return cls(notebook.counts, notebook.latest_s, notebook.by_state(), faults, flags, settled_s, violations, verification)

    @property
    def is_right(self) -> bool:
        """Whether nothing is open and nobody found anything."""
        return self.settled_s is not None and not any(self.violations.values()) and bool(self.verification["right"])

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"right": self.is_right}


class Display:
    """To people on stderr: the status in place on a terminal, as lines elsewhere. The result on stdout."""

    def __init__(self) -> None:
        self.errors = Console(stderr=True)
        self.is_live = self.errors.is_terminal
        self._status: Status | None = self.errors.status("starting", spinner="line") if self.is_live else None

    @property
    def every_s(self) -> float:
        """Seconds between two statuses."""
        return LIVE_S if self.is_live else STATUS_S

    def running(self) -> AbstractContextManager[object]:
        """While statuses may come."""
        return self._status or nullcontext()

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self.errors.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def status(self, text: str) -> None:
        """How it goes."""
        if self._status:
            self._status.update(text)
        else:
            self.say(text)

    def result(self, result: Result, *, as_json: bool) -> None:
        """What it came to."""
        if as_json:
            click.echo(json.dumps(result.as_json()))
            return
        console = Console()
        console.print(_table(result))
        for where, violations in result.violations.items():
            console.print(f"violations {where}: {len(violations) or 'none'}", style="red" if violations else "green")
            for violation in violations[:SHOWN_VIOLATIONS]:
                console.print(f"  {violation}", markup=False, highlight=False)
        console.print(_invariants(result.verification))
        for violation in result.verification["violations"][:SHOWN_VIOLATIONS]:
            console.print(f"  {violation}", markup=False, highlight=False)
        verdict = "Nothing lost, nothing done twice, nothing open." if result.is_right else "VIOLATED."
        console.print(verdict, style="bold green" if result.is_right else "bold red")


def _table(result: Result) -> Table:
    table = Table("what", "how many")
    table.columns[1].justify = "right"
    for title, counts in (
        ("acknowledged", result.acknowledged),
        ("fault", result.faults),
        ("flagged", result.flags),
    ):
        table.add_section()
        for name, count in sorted(counts.items()):
            table.add_row(f"{title}: {name}", f"{count:,}")
        table.add_row(f"{title}, all", f"{counts.total():,}", style="bold")
    table.add_section()
    for name, count in sorted(result.load.items()):
        table.add_row(f"load: {name}", f"{count:,}")
    table.add_row("load: how late an order began at the latest", f"{result.latest_order_s:.2f} s")
    table.add_section()
    closed = f"never within {SETTLES_WITHIN_S:.0f} s" if result.settled_s is None else f"{result.settled_s:.1f} s"
    table.add_row("from the last fault until nothing was open", closed, style="bold")
    return table


def _invariants(verification: dict[str, Any]) -> Table:
    table = Table("", "what must hold", "checked", "violations")
    for column in table.columns[2:]:
        column.justify = "right"
    for each in verification["invariants"]:
        style = "red" if each["violations"] else "green"
        table.add_row(
            each["invariant"], each["sentence"], f"{each['checked']:,} {each['things']}", f"[{style}]{each['violations']:,}[/]"
        )
    return table
