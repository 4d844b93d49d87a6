"""Writes usage down: takes the counters out of Redis, tenant by tenant, and adds each to the books exactly once."""

import logging
from uuid import UUID

from gateway.world import World
from persistence.counters import CountersAway, RedisCounters
from persistence.database import Database
from persistence.partners import PAGE, partner_ids
from persistence.usage import add_usage

DRAIN_EVERY_S = 2.0  # what a Redis that dies may take with it, and how late a report is

log = logging.getLogger(__name__)


class UsageBooks:
    """The worker's round. `watch` is the worker's login, which sees all partners' ids."""

    def __init__(self, database: Database, watch: Database, world: World, counters: RedisCounters) -> None:
        self._database = database
        self._watch = watch
        self._world = world
        self._counters = counters

    async def run_once(self) -> int:
        """Write down what there is; how many tenants had something. While Redis is away, nothing is lost and nothing done."""
        drained, after = 0, None
        try:
            while True:
                async with self._watch.without_tenant() as tx:
                    page = await partner_ids(tx, after)
                for tenant_id in await self._counters.waiting(page) if page else ():
                    drained += await self.drain(tenant_id)
                if len(page) < PAGE:
                    return drained
                after = page[-1]
        except CountersAway as error:
            log.warning("Redis is away, usage is written down later: %s", error)
            return drained

    async def drain(self, tenant_id: UUID) -> bool:
        """One tenant's counters. Each of the three steps can be the last of a process; the next one goes on from there."""
        drain = await self._counters.take(tenant_id, self._world.new_uuid())
        if drain is None:
            return False
        async with self._database.tenant(tenant_id, promised=True) as tx:
            await add_usage(tx, tenant_id, drain.id, drain.used, self._world.now())
        await self._counters.drop(tenant_id, drain.id)
        return True
