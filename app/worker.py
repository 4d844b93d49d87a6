"""The worker process: recovery, until it is told to stop."""

import asyncio
import logging
import signal

from app.main import open_house
from app.settings import WorkSettings
from gateway.recovery import Recovery
from gateway.world import real_world
from persistence.database import Database

WATCH_CONNECTIONS = 1  # one look at a time

log = logging.getLogger(__name__)


async def work_until_stopped(settings: WorkSettings) -> None:
    """Recover until SIGTERM or SIGINT, then finish what is under way."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    watch = Database(settings.worker_database_url.get_secret_value(), pool_size=WATCH_CONNECTIONS)
    try:
        async with open_house(settings, real_world()) as house:
            await watch.check_login()
            log.info("working")
            await Recovery(house.parts, watch).run(stopped)
    finally:
        await watch.close()
    log.info("stopped")
