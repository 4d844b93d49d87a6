"""When keys were used last: noted in memory, written in batches. A crash loses the last minute, and nobody is charged by it."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from domain.api_key import ApiKey
from gateway.rounds import again_and_again
from persistence.api_keys import note_last_use
from persistence.database import Database, DatabaseAway

WRITE_EVERY_S = 60.0  # a key is written at most once in this time by each process, however often it is used
MAX_NOTED = 10_000  # keys between two writings; the use of more of them is not noted


class LastUsed:
    """One of these in a process; `writing` writes for as long as it is entered, and once more in the end."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._noted: dict[UUID, tuple[UUID, datetime]] = {}

    def note(self, key: ApiKey) -> None:
        """It was used just now."""
        if key.id in self._noted or len(self._noted) < MAX_NOTED:
            self._noted[key.id] = (key.tenant_id, self._now())

    async def write(self) -> None:
        """Write what was noted. Raises DatabaseAway; what is not written then is kept for the next time."""
        of_tenants: defaultdict[UUID, dict[UUID, datetime]] = defaultdict(dict)
        noted, self._noted = self._noted, {}
        for key_id, (tenant_id, at) in noted.items():
            of_tenants[tenant_id][key_id] = at
        try:
            while of_tenants:
                tenant_id = next(iter(of_tenants))
                async with self._database.tenant(tenant_id) as tx:
                    await note_last_use(tx, tenant_id, of_tenants[tenant_id])
                del of_tenants[tenant_id]
        except DatabaseAway:
            unwritten = {key_id: (tenant, at) for tenant, keys in of_tenants.items() for key_id, at in keys.items()}
            self._noted = unwritten | self._noted
            raise

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write every now and then."""
        stopped = asyncio.Event()
        task = asyncio.create_task(again_and_again("the last use of keys", self.write, WRITE_EVERY_S, stopped))
        try:
            yield
        finally:
            stopped.set()
            await task
            with contextlib.suppress(DatabaseAway):
                await self.write()
