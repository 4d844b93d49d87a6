"""`partner-api serve`: the API."""

import math

import click

ANSWER_S = 2  # for what a request does besides waiting for the bank


@click.command(short_help="Serve the GraphQL API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@click.option("--fd", type=int, default=None, help="A listening socket handed over by the parent, instead of host and port.")
def serve(host: str, port: int, fd: int | None) -> None:
    """Serve the GraphQL API at /graphql, with /healthz and /readyz beside it.

    Needs a migrated database. On SIGTERM it takes no new requests and finishes what is under way at the bank.
    """
    import uvicorn  # noqa: PLC0415

    from app.cli import allow_many_connections, log_to_stderr  # noqa: PLC0415
    from app.graphql_ws import MAX_MESSAGE_BYTES  # noqa: PLC0415
    from app.main import create_app  # noqa: PLC0415
    from app.settings import ServeSettings, read_settings  # noqa: PLC0415

    settings = read_settings(ServeSettings)
    log_to_stderr(settings.log_level)
    allow_many_connections()
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        fd=fd,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=None,  # the protocol has pings of its own, which browsers' clients see
        proxy_headers=False,  # from where a request came is app.client_address's to say; uvicorn would believe any local peer
        timeout_keep_alive=65,  # longer than the usual proxy's 60 s, so that it is the proxy who closes
        # A request is answered within the outcome's wait; then the bank's calls are drained.
        timeout_graceful_shutdown=math.ceil(settings.outcome_wait_s) + ANSWER_S,
    )
