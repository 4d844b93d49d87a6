"""A worker's rounds: what it does again and again until it is told to stop."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from persistence.database import DatabaseAway

log = logging.getLogger(__name__)


async def again_and_again(what: str, work: Callable[[], Awaitable[object]], every_s: float, stopped: asyncio.Event) -> None:
    """Do it, rest for `every_s` seconds, do it again. What goes wrong is logged: one bad round must not end all that follow."""
    while not stopped.is_set():
        try:
            await work()
        except DatabaseAway as error:
            log.warning("%s: the database is away, again in %.1f s: %s", what, every_s, error)
        except Exception:
            log.exception("%s went wrong, again in %.1f s", what, every_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await stopped.wait()
