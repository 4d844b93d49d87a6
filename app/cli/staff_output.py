"""What the commands for staff have in common: the check of a name, and lists for people and for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from domain.request import MAX_NAME_LENGTH


def checked_name(name: str) -> str:
    """The name, if it is one. Raises ClickException with a sentence."""
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise click.ClickException(f"A name has 1 to {MAX_NAME_LENGTH} printable characters.")
    return name


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
    """A table with a heading for each field of `columns`, or a line of JSON for each row."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    table = Table(*columns.values())
    for row in rows:
        table.add_row(*(str(row[field] or "") for field in columns))
    Console().print(table)
