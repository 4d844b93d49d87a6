"""Where plays take place: a virtual loop with the three logins of a real Postgres, and processes put together as `app/` does."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app import keys
from bank.breaker import Breaker
from domain.ids import time_ordered_uuid
from gateway.parts import Parts
from gateway.vault.key_service import LocalKeyService
from gateway.vault.master_keys import agree_on_master_key
from gateway.vault.vault import Vault
from persistence.database import Database
from persistence.partners import insert_partner
from tests.databases import DatabaseUrls
from tests.simulation.bank_line import Line
from tests.simulation.stage import EPOCH, GATEWAY_LOG, GO, Point, Process, Stage
from tests.simulation.staged_parts import StagedDatabase, StagedWakeups, staged_world
from tests.simulation.virtual_loop import VirtualLoop

KEY_SERVICE = LocalKeyService(keys.ring_of(b"m" * 32))
PEPPER = b"p" * 32


@dataclass(frozen=True)
class Scene:
    """The loop and the logins, each with one connection: on stage no two transactions are ever in progress.

    `vault` has every partner's key at hand before a play begins, and its clock stands still: no process looks for one on stage.
    """

    loop: VirtualLoop
    vault: Vault
    app: Database
    worker: Database
    owner: Database

    async def partner(self, number: int) -> UUID:
        """A partner of this number."""
        partner_id = time_ordered_uuid(EPOCH, number)
        async with self.owner.without_tenant() as tx:
            await insert_partner(tx, partner_id=partner_id, name=f"Partner {number}", created_at=EPOCH)
        await self.vault.current_key(partner_id)
        return partner_id

    async def sweep(self) -> None:
        """Empty every table that belongs to partners, so that the next play finds what the first one found."""
        async with self.owner.without_tenant() as tx:
            await tx.execute(text("truncate partners cascade"))

    async def forget_open_attempts(self) -> None:
        """Let nobody find what was left undone."""
        async with self.owner.without_tenant() as tx:
            await tx.execute(text("update attempts set lease_until = 'infinity' where closed_at is null"))

    def parts(self, stage: Stage, process: Process, line: Line, wakeups: StagedWakeups) -> Parts:
        """What a process's gateway works with."""
        return Parts(
            database=StagedDatabase(stage, self.app),  # type: ignore[arg-type]
            bank=line.client(process),
            world=staged_world(stage, process),
            vault=self.vault,
            fingerprint_secret=PEPPER,
            wakeups=wakeups,
            breaker=Breaker(stage.random),
        )

    def watch(self, stage: Stage) -> StagedDatabase:
        """What a worker looks for work with."""
        return StagedDatabase(stage, self.worker)


@asynccontextmanager
async def scene(urls: DatabaseUrls) -> AsyncIterator[Scene]:
    """The logins, connected for as long as it lasts. On a virtual loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    opened = [Database(url, pool_size=1) for url in (urls.app, urls.worker, urls.owner)]
    try:
        await agree_on_master_key(opened[0], KEY_SERVICE, EPOCH)
        vault = Vault(opened[0], KEY_SERVICE, lambda: EPOCH, fingerprint_key=PEPPER)
        yield Scene(loop, vault, *opened)
    finally:
        for database in opened:
            await database.close()


@contextmanager
def virtual_runner() -> Iterator[asyncio.Runner]:
    """Runs coroutines on a virtual loop."""
    level = GATEWAY_LOG.level
    GATEWAY_LOG.setLevel(logging.ERROR)  # it warns of each lost lease, and here leases get lost by the thousand
    gc.collect()
    gc.freeze()  # what is there by now stays, and need not be looked through after every play
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            yield runner
    finally:
        gc.unfreeze()
        GATEWAY_LOG.setLevel(level)


class Straight:
    """The director of rehearsals: everybody in the order of arrival, and nothing goes wrong."""

    def choose(self, points: Sequence[Point]) -> tuple[Point, str]:
        return points[0], GO

    def dies_at(self, *_: object) -> bool:
        return False


async def settled(process: Process) -> None:
    """Return when a process has nothing under way."""
    while process.tasks:
        await asyncio.wait(list(process.tasks))
