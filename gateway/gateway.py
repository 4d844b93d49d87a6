"""The front door: authorize, capture, void, refund. Each begins durably, asks the bank in a task of its own, and answers honestly.

The bank's task outlives the caller: a client that hangs up must not make us hang up on the bank (contract §7.1).
"""

import asyncio
import logging
from datetime import timedelta
from uuid import UUID

from domain.answer import Answer, IdempotencyInProgress, InvalidTransition, Performed
from domain.attempt import Attempt, Resolution
from domain.audit import UNKNOWN_ORIGIN, Origin
from domain.failpoint import Failpoint
from domain.payment import Payment, Verb
from domain.request import OUTCOME_WAIT_S, AuthorizeRequest, OperateRequest, WaitFor
from gateway.attempts import Beginning, Begun, Known, begin_authorizations, begin_operations
from gateway.backlog import MAX_BACKLOG, Backlog
from gateway.driving import drive
from gateway.parts import Parts
from persistence.attempts import attempts_by_keys, get_attempts
from persistence.database import DatabaseAway
from persistence.payments import get_standings

MAX_UNDER_WAY = 10_000  # attempts driven by one process: each is a task of a few kB, and 10,000 are minutes of the bank's work
MAX_WAITING_FOR_OTHERS = (
    1_000  # requests that wait for the first one with their key; a client that repeats itself more is in a loop
)
OVERLOADED_RETRY_S = 5  # what a refused caller is told to wait: some thousands of attempts fewer

log = logging.getLogger(__name__)


class Overloaded(Exception):
    """So many payments are under way that another one could not be carried. Weather: 503 with Retry-After; nothing was done."""


class Gateway:
    """One of these in a process; `close` drains it."""

    def __init__(self, parts: Parts, *, outcome_wait_s: float = OUTCOME_WAIT_S) -> None:
        self._parts = parts
        self._outcome_wait_s = outcome_wait_s
        self._backlog = Backlog()
        self._under_way: dict[UUID, asyncio.Task[Resolution | None]] = {}
        self._waiting_for_others = 0

    async def authorize(
        self, tenant_id: UUID, request: AuthorizeRequest, wait: WaitFor = WaitFor.OUTCOME, origin: Origin = UNKNOWN_ORIGIN
    ) -> Answer:
        """Hold the amount on the card for the order. Raises DatabaseAway or Overloaded; then repeat with the same key."""
        await self._make_room(tenant_id, request.idempotency_key)
        (beginning,) = await begin_authorizations(self._parts, tenant_id, [request], [origin])
        return await self._answer(tenant_id, beginning, request.idempotency_key, wait)

    async def operate(self, tenant_id: UUID, verb: Verb, request: OperateRequest, origin: Origin = UNKNOWN_ORIGIN) -> Answer:
        """Capture, void or refund a payment, all of it. Raises DatabaseAway or Overloaded; then repeat with the same key."""
        await self._make_room(tenant_id, request.idempotency_key)
        (beginning,) = await begin_operations(self._parts, tenant_id, [(verb, request)], [origin])
        return await self._answer(tenant_id, beginning, request.idempotency_key, WaitFor.OUTCOME)

    async def close(self, drain_s: float) -> int:
        """Wait for what is under way, at most `drain_s` seconds. Returns how many are left to recovery."""
        if self._under_way:
            await asyncio.wait(list(self._under_way.values()), timeout=drain_s)
        return len(self._under_way)

    async def _make_room(self, tenant_id: UUID, key: str) -> None:
        """Refuse before anything is done or promised. A repetition is let in: what was accepted once is answered for ever."""
        if len(self._under_way) >= MAX_UNDER_WAY:
            crowd = f"{MAX_UNDER_WAY} payments are under way in this process"
        elif await self._backlog.is_full(self._parts.database, tenant_id, self._parts.world.now()):
            crowd = f"{MAX_BACKLOG} payments of this partner wait for the bank"
        else:
            return
        async with self._parts.database.tenant(tenant_id) as tx:
            if not await attempts_by_keys(tx, tenant_id, [key]):
                raise Overloaded(crowd)

    async def _answer(self, tenant_id: UUID, beginning: Beginning, key: str, wait: WaitFor) -> Answer:
        match beginning:
            case Begun(attempt, payment):
                await self._parts.world.reach(Failpoint.REQUEST_COMMITTED)
                task = self._start(tenant_id, attempt, payment)
                if wait is WaitFor.ACCEPTANCE:
                    return Performed(payment, replayed=False, pending=attempt.pending)
                await self._parts.world.wait(task, self._outcome_wait_s)
                if task.done() and not task.cancelled() and (resolution := task.result()) is not None:
                    return _resolved(resolution, replayed=False)
                return await self._as_it_stands(tenant_id, attempt, replayed=False)
            case Known(attempt) if attempt.resolution is not None:
                return _resolved(attempt.resolution, replayed=True)
            case Known(attempt) if wait is WaitFor.ACCEPTANCE:
                return await self._as_it_stands(tenant_id, attempt, replayed=True)
            case Known(attempt):
                return await self._join(tenant_id, attempt, key)
            case refusal:
                return refusal

    def _start(self, tenant_id: UUID, attempt: Attempt, payment: Payment) -> asyncio.Task[Resolution | None]:
        task = asyncio.create_task(self._drive(tenant_id, attempt, payment), name=attempt.bank_key)
        self._under_way[attempt.id] = task
        task.add_done_callback(lambda _: self._under_way.pop(attempt.id, None))
        return task

    async def _drive(self, tenant_id: UUID, attempt: Attempt, payment: Payment) -> Resolution | None:
        """Nobody may be listening to this task: what goes wrong is logged, and recovery goes on when the lease runs out."""
        try:
            return await drive(self._parts, tenant_id, attempt, payment)
        except DatabaseAway as error:
            log.warning("%s stays open, the database is away: %s", attempt.bank_key, error)
        except Exception:
            log.exception("%s stays open", attempt.bank_key)
        return None

    async def _join(self, tenant_id: UUID, attempt: Attempt, key: str) -> Answer:
        """Wait for the request that came first with this key, wherever it runs."""
        if self._waiting_for_others >= MAX_WAITING_FOR_OTHERS:
            return IdempotencyInProgress(key)
        self._waiting_for_others += 1
        try:
            task = self._under_way.get(attempt.id)
            if task is not None:
                await self._parts.world.wait(task, self._outcome_wait_s)
                return await self._as_it_stands(tenant_id, attempt, replayed=True)
            now = self._parts.world.now
            until = now() + timedelta(seconds=self._outcome_wait_s)
            with self._parts.wakeups.expect(attempt.id) as expected:
                answer = await self._as_it_stands(tenant_id, attempt, replayed=True)
                while isinstance(answer, Performed) and answer.pending is not None and now() < until:
                    await expected.wait((until - now()).total_seconds())
                    answer = await self._as_it_stands(tenant_id, attempt, replayed=True)
            return answer
        finally:
            self._waiting_for_others -= 1

    async def _as_it_stands(self, tenant_id: UUID, attempt: Attempt, *, replayed: bool) -> Answer:
        """What is known by now: the outcome, or honestly that the bank has not answered yet."""
        async with self._parts.database.tenant(tenant_id, promised=True) as tx:
            standing = (await get_standings(tx, tenant_id, [attempt.payment_id]))[attempt.payment_id]
            # In this order: nothing under way any more means that by now the attempt has its resolution.
            current = (await get_attempts(tx, tenant_id, [attempt.id]))[attempt.id]
        if current.resolution is not None:
            return _resolved(current.resolution, replayed=replayed)
        return Performed(standing.payment, replayed, pending=standing.pending)


def _resolved(resolution: Resolution, *, replayed: bool) -> Answer:
    if resolution.refusal is not None:
        return InvalidTransition(resolution.payment.id, resolution.payment.state, resolution.refusal)
    return Performed(resolution.payment, replayed)
