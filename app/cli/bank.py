"""`partner-api bank`: a bank to run against."""

import os

import click


@click.command(short_help="Run a mock bank for development and tests.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=None, type=click.IntRange(1, 65535), help="The port; else $PORT, else 8787.")
@click.option(
    "--control-port",
    default=None,
    type=click.IntRange(1, 65535),
    help="The control address's port; else $BANK_CONTROL_PORT.",
)
def bank(host: str, port: int | None, control_port: int | None) -> None:
    """Run a bank that keeps the real bank's contract, failures included. For development and tests: its cards are not real.

    It reads the real bank's variables (FAILURE_RATE, MIN_LATENCY_MS, MAX_LATENCY_MS, AUTH_EXPIRY_HOURS) and its own
    (BANK_STATE, BANK_SEED, BANK_ACCOUNTS), which docs/bank-mock.md describes. Try it at /docs.
    """
    from bank.mock.serve import BankSettings, serve  # noqa: PLC0415

    try:
        settings = BankSettings.from_environment(os.environ)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    serve(host, port or settings.port, control_port or settings.control_port, settings)
