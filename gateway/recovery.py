"""Recovery: takes over open attempts whose lease ran out and climbs the same stairs as a request. There is no second code path."""

import asyncio
import logging
from typing import assert_never
from uuid import UUID

from bank.breaker import BreakerState
from domain.attempt import Attempt
from domain.failpoint import Failpoint
from domain.payment import Payment
from gateway.attempts import lease_end
from gateway.driving import drive
from gateway.parts import Parts
from gateway.rounds import again_and_again
from persistence.attempts import lease_due_attempts, tenants_with_due_attempts
from persistence.database import Database, DatabaseAway
from persistence.payments import get_payments

MAX_AT_ONCE = 200  # attempts driven at a time: some 200 a second at the bank's middling latency, half of what it can take
TICK_S = 0.5  # between two looks at what is due; one look is one index scan

log = logging.getLogger(__name__)


class Recovery:
    """The worker's loop over the tenants of its parts' mode.

    `watch` is a database with the worker's login, which sees across tenants who has work due.
    """

    def __init__(self, parts: Parts, watch: Database) -> None:
        self._parts = parts
        self._watch = watch
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stopped: asyncio.Event) -> None:
        """Look for due attempts until `stopped` is set, then finish what is under way."""
        await again_and_again("recovery", self.start_due, TICK_S, stopped)
        await self.settle()

    async def run_once(self) -> int:
        """Drive everything that is due now to an outcome or to its next rest. Returns how many attempts that were."""
        started = await self.start_due()
        await self.settle()
        return started

    async def start_due(self) -> int:
        """Lease what is due and start driving it, as far as there is room. Returns how many.

        Partners share the room: a backlog of one must not hold up the others' few.
        """
        room = self._room()
        if room <= 0:
            return 0
        async with self._watch.without_tenant() as tx:
            tenants = await tenants_with_due_attempts(tx, self._parts.world.now(), self._parts.mode)
        first = int(self._parts.world.random() * len(tenants))  # if there is less room than partners, everybody's turn comes
        started = 0
        for left, tenant_id in zip(range(len(tenants), 0, -1), tenants[first:] + tenants[:first], strict=True):
            share = -(-(room - started) // left)
            started += await self._start_due_of(tenant_id, share) if share else 0
        return started

    def _room(self) -> int:
        """How many more can be driven: none while the bank is away, and one to find out whether it is back."""
        now, breaker = self._parts.world.now(), self._parts.breaker
        match breaker.state(now):
            case BreakerState.CLOSED:
                return MAX_AT_ONCE - len(self._tasks)
            case BreakerState.HALF_OPEN:
                return int(breaker.reopens_in_s(now) == 0)
            case BreakerState.OPEN:
                return 0
            case state:
                assert_never(state)

    async def settle(self) -> None:
        """Wait until nothing is under way. Every attempt ends by itself: its calls and its tries are bounded."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _start_due_of(self, tenant_id: UUID, share: int) -> int:
        now = self._parts.world.now()
        async with self._parts.database.tenant(tenant_id) as tx:
            attempts = await lease_due_attempts(
                tx,
                tenant_id,
                now=now,
                lease_until=lease_end(now),
                lease_token=self._parts.world.new_uuid(),
                limit=share,
            )
            payments = await get_payments(tx, tenant_id, [attempt.payment_id for attempt in attempts])
        if attempts:
            await self._parts.world.reach(Failpoint.LEASES_TAKEN_OVER)
        for attempt in attempts:
            task = asyncio.create_task(self._drive(tenant_id, attempt, payments[attempt.payment_id]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(attempts)

    async def _drive(self, tenant_id: UUID, attempt: Attempt, payment: Payment) -> None:
        try:
            resolution = await drive(self._parts, tenant_id, attempt, payment)
        except DatabaseAway as error:
            log.warning("%s stays open, the database is away: %s", attempt.bank_key, error)
        except Exception:
            log.exception("%s stays open", attempt.bank_key)
        else:
            if resolution is not None:
                log.info("recovered %s %s: %s", attempt.verb.value, attempt.bank_key, resolution.payment.state.value)
