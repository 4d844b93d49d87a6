"""`partner-api up`: the whole system on this machine."""

import sys
from pathlib import Path

import click

DATA_HELP = "Where data, secrets and logs are kept. Default: .data in the checkout, or here when installed."


@click.command(short_help="Start the whole system on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready, and nothing else.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the API; 0 takes a free one. Default: 8000, else a free one."
)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help=DATA_HELP)
@click.option("--bank-url", help="A bank that runs already. Default: $PARTNER_API_BANK_URL, else a mock.")
@click.option("--database-url", help="The owner's login. Default: $PARTNER_API_OWNER_DATABASE_URL, else one of our own.")
@click.option("--redis-url", help="A Redis that runs already. Default: $PARTNER_API_REDIS_URL, else one of our own.")
@click.option("--api-processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that serve the API.")
@click.option("--worker-processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes of the worker.")
@click.option("--demo", is_flag=True, help="Play the demo on a system of its own, stop it, and exit as the demo did.")
def up(
    *,
    as_json: bool,
    port: int | None,
    data: Path | None,
    bank_url: str | None,
    database_url: str | None,
    redis_url: str | None,
    api_processes: int,
    worker_processes: int,
    demo: bool,
) -> None:
    """Start everything: PostgreSQL, Redis, a bank, the API and its worker.

    What has a URL is used as it is; everything else is started here and stopped on Ctrl-C.
    """
    if sys.platform == "win32":
        raise click.ClickException("This needs Linux or macOS. On Windows run it in WSL, or use docker compose.")
    from app.supervisor import configuration, run  # noqa: PLC0415 - `--help` and other commands need none of it

    options = configuration.Options(
        data=data or default_data(),
        port=port,
        bank_url=bank_url,
        database_url=database_url,
        redis_url=redis_url,
        api_processes=api_processes,
        worker_processes=worker_processes,
    )
    sys.exit(run.demo(options) if demo else run.up(options, as_json=as_json))


def default_data() -> Path:
    """`.data` beside pyproject.toml when this is a checkout, in the current folder when it is installed."""
    root = Path(__file__).resolve().parents[2]
    return (root if (root / "dev.py").exists() else Path.cwd()) / ".data"
