"""Forgets what is old enough: idempotency keys, reports, events, deliveries of webhooks. Attempts and payments stay."""

from datetime import timedelta
from uuid import UUID

from domain.failpoint import Failpoint
from domain.ids import time_ordered_uuid
from domain.reconciliation import REPORTS_KEPT
from domain.webhook import DELIVERIES_KEPT
from gateway.parts import Parts
from persistence.attempts import forget_keys
from persistence.database import Database
from persistence.events import forget_events
from persistence.partners import partner_ids
from persistence.reconciliations import forget_reports
from persistence.remembered_answers import forget_answers
from persistence.webhook_deliveries import forget_deliveries
from persistence.webhook_endpoints import forget_endpoints
from persistence.webhook_secrets import forget_secrets

REAP_EVERY_S = 3600.0  # keys live for weeks; an hour more or less is nothing
KEEP = timedelta(days=35)  # the promise is 30 days: a retry on the last day must not meet the reaper
KEEP_EVENTS = timedelta(days=400)  # a year, and time to look at it
LEAST_EVENTS = timedelta(days=30)  # as long as idempotency keys: whoever may repeat a request may want to hear of it, too
PAGE = 500  # rows of one transaction: some milliseconds of locks that nobody waits for


class Reaper:
    """The worker's round over what is old. `watch` is a database with the worker's login: no other may delete events."""

    def __init__(self, parts: Parts, watch: Database, keep_events: timedelta = KEEP_EVENTS) -> None:
        assert keep_events >= LEAST_EVENTS, "the settings see to that, and the database too"
        self._parts = parts
        self._watch = watch
        self._keep_events = keep_events

    async def run_once(self) -> int:
        """Forget what was closed more than KEEP ago, whatever partner's. Returns how many keys."""
        reaped = 0
        after: UUID | None = None
        while True:
            async with self._watch.without_tenant() as tx:
                tenants = await partner_ids(tx, after)
            if not tenants:
                return reaped
            for tenant_id in tenants:
                while page := await self._reap_page(tenant_id):
                    reaped += page
                while await self._forget_answers(tenant_id):
                    pass
                while await self._forget_reports(tenant_id):
                    pass
                while await self._forget_webhooks(tenant_id):
                    pass
                while await self._forget_events(tenant_id):
                    pass
            after = tenants[-1]

    async def _reap_page(self, tenant_id: UUID) -> int:
        before = self._parts.world.now() - KEEP
        async with self._parts.database.tenant(tenant_id) as tx:
            reaped = await forget_keys(tx, tenant_id, before=before, limit=PAGE)
            if reaped:
                await self._parts.world.reach(Failpoint.KEYS_REAPED)
        return reaped

    async def _forget_answers(self, tenant_id: UUID) -> int:
        before = self._parts.world.now() - KEEP
        async with self._parts.database.tenant(tenant_id) as tx:
            return await forget_answers(tx, tenant_id, before=before, limit=PAGE)

    async def _forget_reports(self, tenant_id: UUID) -> int:
        before = self._parts.world.now() - REPORTS_KEPT
        async with self._parts.database.tenant(tenant_id) as tx:
            return await forget_reports(tx, tenant_id, before=before, limit=PAGE)

    async def _forget_events(self, tenant_id: UUID) -> int:
        before = self._parts.world.now() - self._keep_events
        async with self._watch.tenant(tenant_id) as tx:
            return await forget_events(tx, before=before, limit=PAGE)

    async def _forget_webhooks(self, tenant_id: UUID) -> int:
        now = self._parts.world.now()
        async with self._parts.database.tenant(tenant_id) as tx:
            await forget_secrets(tx, tenant_id, now)
            before = time_ordered_uuid(now - DELIVERIES_KEPT, 0)
            forgotten = await forget_deliveries(tx, tenant_id, before=before, limit=PAGE)
            if not forgotten:
                await forget_endpoints(tx, tenant_id)
        return forgotten
