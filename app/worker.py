"""The worker process: its rounds, until it is told to stop."""

import asyncio
import logging
import signal
from datetime import timedelta

from app.failpoints import reach_for
from app.house import open_house
from app.settings import WorkSettings
from app.webhooks import open_courier
from gateway.card_expiry import CLOSE_EVERY_S, CardExpiry
from gateway.expiry import EXPIRE_EVERY_S, Expiry
from gateway.issuing import ISSUE_EVERY_S, IssuingRound
from gateway.reaper import REAP_EVERY_S, Reaper
from gateway.reconciliation import Reconciliation
from gateway.recovery import Recovery
from gateway.rounds import again_and_again
from gateway.schedule import Schedule
from gateway.usage import DRAIN_EVERY_S, UsageBooks
from gateway.world import real_world
from persistence.counters import RedisCounters
from persistence.database import Database

WATCH_CONNECTIONS = 3  # each round looks for a moment, and recovery must not wait for a long look of another's

log = logging.getLogger(__name__)


async def work_until_stopped(settings: WorkSettings) -> None:
    """Make the rounds until SIGTERM or SIGINT, then finish what is under way."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    watch = Database(settings.worker_database_url.get_secret_value(), pool_size=WATCH_CONNECTIONS)
    counters = RedisCounters(settings.redis_url.get_secret_value())
    try:
        async with open_house(settings, real_world(reach_for(settings.failpoint))) as house:
            await watch.check_login()
            log.info("working")
            expiry = Expiry(house.parts, watch, timedelta(hours=settings.hold_hours))
            card_expiry = CardExpiry(house.parts.database, watch, house.parts.world)
            reaper = Reaper(house.parts, watch, timedelta(days=settings.event_retention_days))
            usage = UsageBooks(house.parts.database, watch, house.parts.world, counters)
            async with open_courier(house, settings, watch) as courier, asyncio.TaskGroup() as rounds:
                rounds.create_task(courier.run(stopped))
                for parts in house.of_each_mode:
                    reconciliation = Reconciliation(
                        parts, repair_limit_minor=settings.repair_limit_minor, is_stopped=stopped.is_set
                    )
                    schedule = Schedule(reconciliation, watch, parts.world, timedelta(seconds=settings.reconcile_every_s))
                    rounds.create_task(Recovery(parts, watch).run(stopped))
                    rounds.create_task(schedule.run(stopped))
                    issuing = IssuingRound(parts, watch)
                    rounds.create_task(again_and_again("issuing", issuing.run_once, ISSUE_EVERY_S, stopped))
                rounds.create_task(again_and_again("expiry", expiry.run_once, EXPIRE_EVERY_S, stopped))
                rounds.create_task(again_and_again("the expiry of cards", card_expiry.run_once, CLOSE_EVERY_S, stopped))
                rounds.create_task(again_and_again("usage", usage.run_once, DRAIN_EVERY_S, stopped))
                rounds.create_task(again_and_again("the reaper", reaper.run_once, REAP_EVERY_S, stopped))
    finally:
        await counters.close()
        await watch.close()
    log.info("stopped")
