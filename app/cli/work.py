"""`partner-api work`: the worker."""

import click


@click.command(short_help="Run the worker: finish what was left open.")
def work() -> None:
    """Run the worker: it finishes what a crash or a silent bank left open. Any number of them may run.

    On SIGTERM it takes nothing new and finishes what is under way at the bank.
    """
    from app.cli import allow_many_connections, log_to_stderr, run  # noqa: PLC0415
    from app.settings import WorkSettings, read_settings  # noqa: PLC0415
    from app.worker import work_until_stopped  # noqa: PLC0415

    settings = read_settings(WorkSettings)
    log_to_stderr(settings.log_level)
    allow_many_connections()
    run(work_until_stopped(settings), is_busy=True)
