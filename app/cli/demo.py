"""`partner-api demo`: FicMart's orders, played against a running system."""

import asyncio
import sys

import click


@click.command(short_help="Play a shop's orders and check the bank's books.")
@click.option(
    "--graphql-url",
    envvar="PARTNER_API_DEMO_GRAPHQL_URL",
    default="http://127.0.0.1:8000/graphql",
    show_default=True,
    show_envvar=True,
    help="The API.",
)
@click.option(
    "--api-key",
    envvar="PARTNER_API_DEMO_API_KEY",
    required=True,
    show_envvar=True,
    help="A partner's key. Better as a variable: others can see options.",
)
@click.option(
    "--bank-url",
    envvar="PARTNER_API_DEMO_BANK_URL",
    show_envvar=True,
    help="The bank that the API uses, to look its references up.",
)
@click.option(
    "--bank-control-url",
    envvar="PARTNER_API_DEMO_BANK_CONTROL_URL",
    show_envvar=True,
    help="The mock bank's control address: expires a hold, and shows the ledger.",
)
@click.option("--orders", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many come at once.")
def demo(*, graphql_url: str, api_key: str, bank_url: str | None, bank_control_url: str | None, orders: int) -> None:
    """Play FicMart's orders as a client, print what happened, and check it against the bank's books.

    Exits with 0 only when every expectation held.
    """
    from app.demo.play import Settings, play, real_outside  # noqa: PLC0415 - `--help` and other commands need none of it
    from app.demo.report import report_for  # noqa: PLC0415

    settings = Settings(
        graphql_url=graphql_url,
        api_key=api_key,
        bank_url=bank_url or None,
        bank_control_url=bank_control_url or None,
        orders=orders,
    )
    sys.exit(asyncio.run(play(settings, report_for(), real_outside())))
