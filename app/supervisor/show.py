"""Says that the system is ready: to a program in one line of JSON, to people with what they need next."""

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from app.supervisor.system import Ready

QUERY = """\
mutation {
  authorizePayment(input: {
    idempotencyKey: "first-try", orderId: "order-1", customerId: "customer-1"
    amount: { minorUnits: 2500, currency: USD }
    source: { card: { number: "4111111111111111", cvv: "123", expiryMonth: 12, expiryYear: 2030 } }
  }) {
    ... on PaymentPayload { payment { id state amount { formatted } } }
    ... on UserError { code message }
  }
}"""


def show(ready: "Ready", *, as_json: bool) -> None:
    """Writes to stdout, coloured when it is a terminal. Raises OSError when nobody reads it."""
    if as_json:
        click.echo(json.dumps(ready.as_json()))
    elif sys.stdout.isatty():
        _colourful(ready)
    else:
        click.echo(_plain(ready))
    sys.stdout.flush()


def _plain(ready: "Ready") -> str:
    headers = json.dumps({"Authorization": f"Bearer {ready.api_key}"})
    return (
        f"The partner API is ready.\n\n"
        f"  Explorer  {ready.graphql}\n  API key   {ready.api_key}\n  Test key  {ready.test_api_key}\n  Headers   {headers}\n"
        f"  Bank      {ready.bank_url}\n\n"
        f"Try this in the explorer:\n\n{QUERY}\n\nCtrl-C stops everything."
    )


def _colourful(ready: "Ready") -> None:
    from rich.console import Console  # noqa: PLC0415 - 100 ms that a program reading JSON need not wait for
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("Explorer", Text(ready.graphql, style=f"bold link {ready.graphql}")),
        ("API key", Text(ready.api_key, style="bold green", overflow="fold")),
        ("Test key", Text(ready.test_api_key, overflow="fold")),
        ("Bank", Text(ready.bank_url)),
    ):
        table.add_row(Text(name, style="dim"), value)
    console = Console()
    console.print(Panel(table, title="The partner API is ready", border_style="green", expand=False))
    # Outside of any frame, so that they can be copied.
    console.print("Paste these headers …", style="dim")
    click.echo(json.dumps({"Authorization": f"Bearer {ready.api_key}"}))
    console.print("… and this into the explorer:", style="dim")
    console.print(Text(QUERY, style="cyan"))
    console.print("Ctrl-C stops everything.", style="dim")
