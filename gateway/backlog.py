"""How much of a partner's waits for the bank already. While the bank is away payments are accepted, but not without end."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from persistence.attempts import count_open_attempts
from persistence.database import Database

MAX_BACKLOG = 10_000  # open attempts of one partner: half a minute's work of a bank that does 330 calls a second
LOOK_EVERY = timedelta(seconds=1)  # a count is one scan of an index, up to MAX_BACKLOG entries; what comes in between gets in
MAX_REMEMBERED = 10_000  # partners whose count is remembered; beyond that all are counted anew


@dataclass(slots=True)
class _Count:
    open_attempts: int
    counted_at: datetime


class Backlog:
    """Counts each partner's open attempts, at most once in LOOK_EVERY and in any process for itself."""

    def __init__(self) -> None:
        self._counts: dict[UUID, _Count] = {}

    async def is_full(self, database: Database, tenant_id: UUID, now: datetime) -> bool:
        """Whether another payment of this partner had better wait outside."""
        count = self._counts.get(tenant_id)
        if count is None or now - count.counted_at >= LOOK_EVERY:
            if len(self._counts) >= MAX_REMEMBERED:
                self._counts.clear()
            # Whoever comes meanwhile goes by the last count: one look a second, not one for each request.
            count = self._counts[tenant_id] = _Count(count.open_attempts if count else 0, now)
            async with database.tenant(tenant_id) as tx:
                count.open_attempts = await count_open_attempts(tx, tenant_id, limit=MAX_BACKLOG)
        return count.open_attempts >= MAX_BACKLOG
