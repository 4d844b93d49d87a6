"""What the commands for staff have in common: the check of a name, and lists for people and for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.audit import MAX_NOTE_LENGTH
from domain.card import holds_card_number
from domain.request import MAX_NAME_LENGTH

MAX_OPERATOR_LENGTH = 100  # beside the login, within MAX_ACTOR_LENGTH of the audit log
MAX_TABLE_WIDTH = 1000  # characters: far more than the longest row has


def checked_name(name: str) -> str:
    """The name, if it is one. Raises ClickException with a sentence."""
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise click.ClickException(f"A name has 1 to {MAX_NAME_LENGTH} printable characters.")
    return name


def checked_operator(name: str) -> str:
    """Who does it, for the audit log. Raises ClickException with a sentence."""
    if not 0 < len(name) <= MAX_OPERATOR_LENGTH or not name.isprintable() or name.isspace():
        raise click.ClickException(f"Say who you are with --by, in 1 to {MAX_OPERATOR_LENGTH} printable characters.")
    return name


def checked_note(note: str) -> str:
    """Why it is done, for the audit log. Raises ClickException with a sentence that does not repeat it."""
    if not note.strip():
        raise click.ClickException("A note says why: what the bank said, and where that can be read.")
    if len(note) > MAX_NOTE_LENGTH:
        raise click.ClickException(f"The note has {len(note)} characters; at most {MAX_NOTE_LENGTH} are kept.")
    if not note.isprintable():
        raise click.ClickException("The note has a character that can't be printed; give it as one line of text.")
    if holds_card_number(note):
        raise click.ClickException(
            "The note has what can be a card number in it, which must not be kept. Its last four digits will do."
        )
    return note


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
    """A table with a heading for each field of `columns`, or a line of JSON for each row."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    show_table(list(columns.values()), [[str(row[field] or "") for field in columns] for row in rows])


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table in which nothing is cut: an id has to be copied whole, so on a narrow screen the lines run on."""
    table = Table(*headings, show_lines=any("\n" in cell for row in rows for cell in row))
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console()
    needed = console.measure(table, options=console.options.update(width=MAX_TABLE_WIDTH)).maximum
    console.width = max(console.width, needed)
    console.print(table)


def printable(text: str) -> str:
    """Text of others without what would move a terminal's cursor or colour it."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)
