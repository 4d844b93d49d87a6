"""The worker's round over partners whose reconciliation is due. Any number of workers share them: a run has one lease."""

import asyncio
import logging
from datetime import timedelta
from uuid import UUID

from domain.reconciliation import Trigger
from gateway.reconciliation import Elsewhere, Finished, Interrupted, Reconciliation
from gateway.rounds import again_and_again
from gateway.world import World
from persistence.database import Database, DatabaseAway
from persistence.reconciliations import partners_due

LOOK_EVERY_S = 30.0  # a run is due to the hour; half a minute more or less is nothing
RUNS_AT_ONCE = (
    4  # partners at a time: one with a million holds must not keep the others waiting; the bank sees no more calls for it
)

log = logging.getLogger(__name__)


class Schedule:
    """`watch` is a database with the worker's login, which sees who is due. A partner's run begins `every` so often."""

    def __init__(self, reconciliation: Reconciliation, watch: Database, world: World, every: timedelta) -> None:
        self._reconciliation = reconciliation
        self._watch = watch
        self._world = world
        self._every = every
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    async def run(self, stopped: asyncio.Event) -> None:
        """Start what is due until `stopped` is set, then wait until every run has come to the end of its page."""
        await again_and_again("reconciliation", self.start_due, LOOK_EVERY_S, stopped)
        await self.settle()

    async def run_once(self) -> int:
        """Bring everything that is due to an end. Returns how many runs that were."""
        started = await self.start_due()
        await self.settle()
        return started

    async def start_due(self) -> int:
        """Start runs of partners that are due, as far as there is room. Returns how many."""
        async with self._watch.without_tenant() as tx:
            due = await partners_due(tx, self._world.now(), self._every, self._reconciliation.mode)
        waiting = [each for each in due if each not in self._tasks]
        chosen = waiting[: RUNS_AT_ONCE - len(self._tasks)]
        for tenant_id in chosen:
            self._tasks[tenant_id] = asyncio.create_task(self._reconcile(tenant_id))
        return len(chosen)

    async def settle(self) -> None:
        """Wait until no run of ours is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _reconcile(self, tenant_id: UUID) -> None:
        try:
            ending = await self._reconciliation.reconcile(tenant_id, Trigger.SCHEDULE)
        except DatabaseAway as error:
            log.warning("the reconciliation of %s is left, the database is away: %s", tenant_id, error)
        except Exception:
            log.exception("the reconciliation of %s is left", tenant_id)
        else:
            match ending:
                case Finished(run):
                    log.info("reconciled %s: %s", tenant_id, run.counts)
                case Interrupted(run):
                    log.warning("the reconciliation of %s gives way after %d payments", tenant_id, run.counts.checked)
                case Elsewhere():
                    log.info("the reconciliation of %s goes on elsewhere", tenant_id)
        finally:
            del self._tasks[tenant_id]
