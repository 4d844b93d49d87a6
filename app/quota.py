"""Quotas: how much of a month's cost a partner has used. They warn, and stop nobody.

The books are asked once a minute for each partner that asks for something, and nobody waits for the answer: a warning may come a
minute late, and none comes before the first look.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cachetools import LRUCache

from domain.caller import Caller
from domain.usage import quota_reached
from persistence.database import Database, DatabaseAway
from persistence.usage import cost_between

LOOK_EVERY_S = 60.0  # a partner that uses its whole quota in a day is told within a thousandth of that
REMEMBERED = 10_000  # partners, some 200 bytes each
LOOKS_AT_ONCE = 2  # of a process: this must never be what a payment waits for

log = logging.getLogger(__name__)


class Quotas:
    """`now` tells the month, `monotonic` in seconds the age of what is known."""

    def __init__(self, database: Database, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._monotonic = monotonic
        self._used: LRUCache[UUID, int] = LRUCache(REMEMBERED)
        self._looked_at: LRUCache[UUID, float] = LRUCache(REMEMBERED)
        self._looking: set[asyncio.Task[None]] = set()

    def warnings(self, caller: Caller) -> list[dict[str, Any]]:
        """What the caller should be told."""
        now_s = self._monotonic()
        if now_s - self._looked_at.get(caller.tenant_id, -LOOK_EVERY_S) >= LOOK_EVERY_S and len(self._looking) < LOOKS_AT_ONCE:
            self._looked_at[caller.tenant_id] = now_s
            look = asyncio.create_task(self._look(caller.tenant_id))
            self._looking.add(look)
            look.add_done_callback(self._looking.discard)
        used, quota = self._used.get(caller.tenant_id, 0), caller.tier.monthly_cost
        percent = quota_reached(used, quota)
        if percent is None:
            return []
        message = f"You have used {percent} % of this month's {quota} points. Nothing is stopped; talk to us about a larger tier."
        return [{"type": "QUOTA", "message": message, "percent": percent, "used": used, "quota": quota}]

    async def settled(self) -> None:
        """Return when no look is under way."""
        while self._looking:
            await asyncio.wait(self._looking)

    async def _look(self, tenant_id: UUID) -> None:
        today = self._now().astimezone(UTC).date()
        try:
            async with self._database.tenant(tenant_id) as tx:
                self._used[tenant_id] = await cost_between(tx, tenant_id, today.replace(day=1), today)
        except DatabaseAway as error:
            log.warning("a quota was not looked at, the database is away: %s", error)
