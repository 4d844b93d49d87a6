"""Expiry: a hold that is about to run out is released. The bank keeps its money blocked for ever otherwise (contract §6)."""

from datetime import timedelta
from uuid import UUID

from domain.failpoint import Failpoint
from gateway.changes import expire
from gateway.parts import Parts
from persistence.attempts import open_attempts_of
from persistence.database import Database
from persistence.payments import lock_old_holds, tenants_with_old_holds

EXPIRE_EVERY_S = 60.0  # a hold lives for days; a minute more or less is nothing
MARGIN = timedelta(hours=1)  # before the bank's own end of a hold: its clock may be another (contract §7.5), and so may ours
PAGE = 100  # payments of one transaction: their locks are held for some milliseconds


class Expiry:
    """The worker's round over old holds. `watch` is a database with the worker's login; `hold_life` is the bank's (168 hours)."""

    def __init__(self, parts: Parts, watch: Database, hold_life: timedelta) -> None:
        self._parts = parts
        self._watch = watch
        self._life = hold_life - min(MARGIN, hold_life / 2)

    async def run_once(self) -> int:
        """Expire the holds that are old enough, whatever partner's. Returns how many.

        A hold is never older than its payment, so none outlives the bank's own limit. One with an attempt open is left to that.
        """
        until = self._parts.world.now() - self._life
        async with self._watch.without_tenant() as tx:
            tenants = await tenants_with_old_holds(tx, until)
        expired = 0
        for tenant_id in tenants:
            while page := await self._expire_page(tenant_id):
                expired += page
        return expired

    async def _expire_page(self, tenant_id: UUID) -> int:
        until = self._parts.world.now() - self._life
        async with self._parts.database.tenant(tenant_id) as tx:
            old = await lock_old_holds(tx, tenant_id, until, PAGE)
            under_way = await open_attempts_of(tx, tenant_id, [payment.id for payment in old])
            resting = [payment for payment in old if payment.id not in under_way]
            await expire(self._parts, tx, tenant_id, resting)
            if resting:
                await self._parts.world.reach(Failpoint.HOLDS_EXPIRED)
        return len(resting)
