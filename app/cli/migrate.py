"""`partner-api migrate`: the database's schema and logins."""

import click


@click.command(short_help="Bring the database to this version's schema.")
def migrate() -> None:
    """Bring the database to this version's schema, and create the logins of the API and the worker.

    Run it before each new version; running it again, or twice at once, changes nothing. It reads
    PARTNER_API_OWNER_DATABASE_URL, and takes the names and passwords of the two logins out of PARTNER_API_DATABASE_URL and
    PARTNER_API_WORKER_DATABASE_URL.
    """
    from app.cli import log_to_stderr, run  # noqa: PLC0415
    from app.settings import MigrateSettings, read_settings  # noqa: PLC0415
    from persistence.migrate import login_of  # noqa: PLC0415
    from persistence.migrate import migrate as bring_up  # noqa: PLC0415

    settings = read_settings(MigrateSettings)
    log_to_stderr(settings.log_level)
    try:
        app = login_of(settings.database_url.get_secret_value())
        worker = login_of(settings.worker_database_url.get_secret_value())
    except ValueError as error:
        raise click.ClickException(f"{error}.") from None
    before, after = run(bring_up(settings.owner_database_url.get_secret_value(), app=app, worker=worker))
    click.echo(f"The database is at {after}" + (" already." if before == after else f", from {before or 'nothing'}."))
