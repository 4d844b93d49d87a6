"""Reconciliation: one pass over everything of a partner that could differ from the bank's books, page by page.

No transaction is open while the bank is asked. A page is written in one, together with how far the run is, so that whoever takes a
run over goes on where the last written page ended. Doing it twice finds what is left to find.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from domain.partner import Mode
from domain.reconciliation import Phase, Place, Run, Trigger, look_back_to
from gateway.comparing import Compared, at_rest, compare_at_rest, compare_recent
from gateway.looks import LOOKS_AT_ONCE, Looks, Unanswered
from gateway.parts import Parts
from gateway.repairs import record_page
from persistence.attempts import open_attempts_of
from persistence.database import DatabaseAway
from persistence.payments import get_payments
from persistence.reconciliations import (
    begin_run,
    last_finished_run,
    page_at_rest,
    page_of_recent,
    renew_run,
    take_over_run,
)

PAGE = 100  # compared in 13 s at the bank's middling latency, which is what a crash costs; and as many locks for one transaction
LEASE_S = 60.0  # a run that its worker left is taken over after so long; renewed three times in between
RENEW_EVERY_S = LEASE_S / 3
PATIENCE_S = 600.0  # of an operator with a run that somebody else is at: five thousand payments at the bank's middling latency
LOOK_AGAIN_S = 1.0  # how often that is looked at meanwhile
REST_S = 60.0  # until a run goes on that gave way to payments, or whose bank was away

log = logging.getLogger(__name__)
OnPage = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """Everything was looked at."""

    run: Run


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The bank is away or busy, or we are to stop: somebody goes on from here later."""

    run: Run


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Somebody else is at it."""


Ending = Finished | Interrupted | Elsewhere


class Reconciliation:
    """Makes runs. Payments of more than `repair_limit_minor` cents are flagged where they are repaired."""

    def __init__(self, parts: Parts, *, repair_limit_minor: int, is_stopped: Callable[[], bool] = lambda: False) -> None:
        self._parts = parts
        self._repair_limit_minor = repair_limit_minor
        self._is_stopped = is_stopped
        self._slots = asyncio.Semaphore(LOOKS_AT_ONCE)

    @property
    def mode(self) -> Mode:
        """Whose tenants these runs are of."""
        return self._parts.mode

    async def reconcile(self, tenant_id: UUID, trigger: Trigger, on_page: OnPage = lambda _: None) -> Ending:
        """Begin a run, or go on with the one that was left, and bring it to its end. Raises DatabaseAway; it is resumed then."""
        run = await self._begin(tenant_id, trigger)
        if run is None:
            return Elsewhere()
        looks = Looks(self._parts, tenant_id, self._slots, self._is_stopped)
        while run.phase is not Phase.DONE:
            on_page(run)
            read = self._at_rest if run.phase is Phase.AT_REST else self._recent
            questions, last = await read(tenant_id, run, looks)
            answers = await self._ask_all(tenant_id, run, questions)
            compared = [each for each in answers if isinstance(each, Compared)]
            if len(compared) < len(answers):
                return await self._interrupt(tenant_id, run)
            until = self._parts.world.now() + timedelta(seconds=LEASE_S)
            advanced = await record_page(
                self._parts, tenant_id, replace(run, lease_until=until), compared, last, self._repair_limit_minor
            )
            if advanced is None:
                log.warning("lease lost: a reconciliation goes on elsewhere")
                return Elsewhere()
            run = advanced
        on_page(run)
        return Finished(run)

    async def reconcile_from_now(self, tenant_id: UUID, on_page: OnPage = lambda _: None) -> Ending:
        """A run of an operator's, begun now: one that was left is finished first, and one under way elsewhere is waited for."""
        world = self._parts.world
        asked_at = world.now()
        patient_until = asked_at + timedelta(seconds=PATIENCE_S)
        while True:
            ending = await self.reconcile(tenant_id, Trigger.OPERATOR, on_page)
            if isinstance(ending, Elsewhere) and world.now() < patient_until and not self._is_stopped():
                await world.sleep(LOOK_AGAIN_S)
            elif not (isinstance(ending, Finished) and ending.run.started_at < asked_at):
                return ending

    async def _begin(self, tenant_id: UUID, trigger: Trigger) -> Run | None:
        world = self._parts.world
        now = world.now()
        until, token = now + timedelta(seconds=LEASE_S), world.new_uuid()
        async with self._parts.database.tenant(tenant_id) as tx:
            since = look_back_to(now, await last_finished_run(tx, tenant_id))
            run = Run(id=world.new_uuid(), trigger=trigger, started_at=now, since=since, lease_until=until, lease_token=token)
            if await begin_run(tx, tenant_id, run):
                return run
            return await take_over_run(tx, tenant_id, now=now, lease_until=until, lease_token=token)

    async def _interrupt(self, tenant_id: UUID, run: Run) -> Interrupted:
        """Give the lease back: at once for the next worker when it is only we who stop."""
        rest_s = 0.0 if self._is_stopped() else REST_S
        async with self._parts.database.tenant(tenant_id) as tx:
            await renew_run(tx, tenant_id, run, self._parts.world.now() + timedelta(seconds=rest_s))
        return Interrupted(run)

    async def _at_rest(
        self, tenant_id: UUID, run: Run, looks: Looks
    ) -> tuple[list[Awaitable[Compared | Unanswered]], Place | None]:
        """The next page's questions about payments at rest, and where it ends; None: with its phase."""
        async with self._parts.database.tenant(tenant_id) as tx:
            payments = await page_at_rest(tx, tenant_id, run, PAGE)
            under_way = await open_attempts_of(tx, tenant_id, [payment.id for payment in payments])
        items = [at_rest(payment, under_way.get(payment.id)) for payment in payments]
        last = Place(payments[-1].id) if len(payments) == PAGE else None
        return [compare_at_rest(looks, item) for item in items if item is not None], last

    async def _recent(
        self, tenant_id: UUID, run: Run, looks: Looks
    ) -> tuple[list[Awaitable[Compared | Unanswered]], Place | None]:
        """The same about closed operations."""
        async with self._parts.database.tenant(tenant_id) as tx:
            operations = await page_of_recent(tx, tenant_id, run, PAGE)
            payments = await get_payments(tx, tenant_id, [operation.payment_id for operation in operations])
        last = Place(operations[-1].id, operations[-1].closed_at) if len(operations) == PAGE else None
        return [compare_recent(looks, operation, payments[operation.payment_id]) for operation in operations], last

    async def _ask_all(
        self, tenant_id: UUID, run: Run, questions: Sequence[Awaitable[Compared | Unanswered]]
    ) -> list[Compared | Unanswered]:
        """All answers, in the order of the questions. The run's lease is kept alive meanwhile; who has lost it learns at the end."""
        answers = asyncio.gather(*questions)
        while not answers.done():
            await self._parts.world.wait(answers, RENEW_EVERY_S)
            if not answers.done():
                await self._renew(tenant_id, run)
        return await answers

    async def _renew(self, tenant_id: UUID, run: Run) -> None:
        try:
            async with self._parts.database.tenant(tenant_id) as tx:
                await renew_run(tx, tenant_id, run, self._parts.world.now() + timedelta(seconds=LEASE_S))
        except DatabaseAway as error:
            log.warning("the lease of a reconciliation is not renewed, the database is away: %s", error)
