"""`partner-api serve`: the API."""

import click


@click.command(short_help="Serve the GraphQL API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@click.option("--fd", type=int, default=None, help="A listening socket handed over by the parent, instead of host and port.")
def serve(host: str, port: int, fd: int | None) -> None:
    """Serve the GraphQL API at /graphql, with /healthz and /readyz beside it.

    Needs a migrated database. On SIGTERM it takes no new requests and finishes what is under way at the bank.
    """
    from app.cli import allow_many_connections, log_to_stderr, run  # noqa: PLC0415
    from app.house import check_house  # noqa: PLC0415
    from app.main import create_app  # noqa: PLC0415
    from app.server import server_of  # noqa: PLC0415
    from app.settings import ServeSettings, read_settings  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415

    settings = read_settings(ServeSettings)
    log_to_stderr(settings.log_level)
    allow_many_connections()
    run(check_house(settings, real_world()))
    server_of(create_app(settings), outcome_wait_s=settings.outcome_wait_s, host=host, port=port, fd=fd).run()
