"""What the checker found, for people and for programs. Some of it comes from the bank, so nothing in it may move a cursor."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from app.verification import Verification
from domain.violation import Invariant, Violation

MAX_SHOWN = 50  # violations for people; with more of them a program reads the rest
MAX_CHARACTERS = 500  # of what each side says
STYLES = {True: "green", False: "bold red"}


def json_of(found: Verification) -> Mapping[str, Any]:
    """JSON values. `violations` has the first ones only; `invariants` counts all of them."""
    return {
        "right": found.is_right,
        "partners": found.partners,
        "payments": found.payments,
        "underWay": found.under_way,
        "resting": found.resting,
        "moving": found.moving,
        "flags": dict(sorted(found.flags.items())),
        "strangers": found.strangers,
        "invariants": [
            {
                "invariant": invariant.name,
                "sentence": invariant.sentence,
                "things": invariant.things,
                "checked": found.checked[invariant],
                "violations": found.broken[invariant],
            }
            for invariant in Invariant
        ],
        "violations": [
            {
                "invariant": each.breach.invariant.name,
                "kind": each.breach.name,
                "sentence": each.breach.sentence,
                "partner": each.partner,
                "payment": each.payment,
                "ours": each.ours,
                "bank": each.bank,
            }
            for each in found.violations
        ],
        "notChecked": found.not_checked,
    }


def show(found: Verification, *, as_json: bool) -> None:
    """Write it to stdout: one line of JSON, or a table with what was found below."""
    if as_json:
        click.echo(json.dumps(json_of(found)))
        return
    console = Console()
    for part in _parts(found):
        console.print(part, soft_wrap=isinstance(part, Text))


def _parts(found: Verification) -> Iterator[Text | Table]:
    yield Text(
        f"{_count(found.payments, 'payment')} of {_count(found.partners, 'partner')}; {found.under_way:,} under way, "
        f"{found.resting:,} resting for an operator"
    )
    yield _table(found)
    if found.flags:
        yield Text("Flags      " + ", ".join(f"{_printable(flag)}: {count:,}" for flag, count in sorted(found.flags.items())))
    if found.strangers:
        yield Text(f"Strangers  {_count(found.strangers, 'effect')} at the bank under keys that are not of this gateway's kind")
    for sentence in found.not_checked:
        yield Text(f"Not seen   {sentence}", style="yellow")
    for violation in found.violations[:MAX_SHOWN]:
        yield from _violation(violation)
    total = sum(found.broken.values())
    if total > MAX_SHOWN:
        yield Text(f"\n… and {total - MAX_SHOWN:,} more. --json has the first {len(found.violations):,}.")
    verdict = "Everything that was checked is right." if found.is_right else f"{_count(total, 'violation')}."
    yield Text(f"\n{verdict}", style=STYLES[found.is_right])


def _table(found: Verification) -> Table:
    table = Table("", "What must hold", Column("Checked", justify="right"), Column("Violations", justify="right"))
    for invariant in Invariant:
        count, broken = found.checked[invariant], found.broken[invariant]
        table.add_row(
            invariant.name,
            Text(invariant.sentence),
            Text(f"{count:,} {invariant.things}"),
            Text(f"{broken:,}", style=STYLES[not broken]),
        )
    return table


def _violation(violation: Violation) -> Iterator[Text]:
    where = " of ".join(each for each in (violation.payment, violation.partner) if each)
    breach = violation.breach
    yield Text(f"\n{breach.invariant.name} {breach.name}  {where}".rstrip(), style="bold red")
    yield Text(f"   {breach.sentence}")
    yield Text(f"   ours  {_printable(violation.ours)}")
    if violation.bank is not None:
        yield Text(f"   bank  {_printable(violation.bank)}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _printable(text: str) -> str:
    shown = "".join(character if character.isprintable() else "?" for character in text[:MAX_CHARACTERS])
    return shown + ("…" if len(text) > MAX_CHARACTERS else "")
