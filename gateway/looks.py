"""Questions to the bank that have no effect there: where a hold stands, and what is kept under a key.

Payments go first. Few questions are under way at a time; and when the bank is away or busy, or when we are to stop, the rest is
not asked.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Literal, TypeVar
from uuid import UUID

from bank.answer import Kept, NotKept, Unclarity, Unclear
from bank.breaker import BreakerState, is_failure
from domain.backoff import backoff_s
from domain.discrepancy import HoldStanding
from domain.ids import IdKind, encode_id
from domain.payment import Payment, Verb
from gateway.parts import Parts

LOOKS_AT_ONCE = (
    8  # of a process: a bank of 330 calls a second at a middling second each does not notice, and 100 are done in 13 s
)
TRIES = 3  # with 5 % independent failures one question in 8,000 stays open, and the next run asks it again
RETRY_BASE_S, RETRY_CAP_S = 0.2, 2.0  # as for payments: an error of the bank's is over in an instant
SLOT_WAIT_S = 5.0  # for a slot among the payments' calls; none in that time, and the bank has better things to do

log = logging.getLogger(__name__)
T = TypeVar("T")


class Unanswered(Enum):
    """Why a question has no answer."""

    UNCLEAR = "asked, and nothing clear came back"
    UNASKED = "not asked: the bank is away or busy, or we are to stop"


class Looks:
    """The questions of one run. `slots` are shared by all runs of a process."""

    def __init__(self, parts: Parts, tenant_id: UUID, slots: asyncio.Semaphore, is_stopped: Callable[[], bool]) -> None:
        self._parts = parts
        self._tenant_id = tenant_id
        self._slots = slots
        self._is_stopped = is_stopped
        self._gives_way = False

    async def hold(self, payment: Payment) -> HoldStanding | Unanswered:
        """Where a payment's hold stands."""
        authorization, amount_minor = payment.bank.authorization, payment.amount.minor_units
        assert authorization is not None, "only a payment that was authorized rests on a hold"
        key = encode_id(IdKind.PAYMENT, payment.id)  # no operation has this one, and a refusal is never stored (contract §5)
        return await self._ask(lambda: self._parts.bank.hold_standing(authorization, amount_minor, key))

    async def key(self, payment: Payment, verb: Verb, key: str) -> Kept | NotKept | Unanswered:
        """What the bank keeps under the key of an operation on a payment."""
        subject = payment.bank.capture if verb is Verb.REFUND else payment.bank.authorization
        amount_minor = payment.amount.minor_units
        return await self._ask(lambda: self._parts.bank.look_up(verb, key, reference=subject, amount_minor=amount_minor))

    async def _ask(self, question: Callable[[], Awaitable[T | Unclear]]) -> T | Unanswered:
        async with self._slots:
            why = Unclarity.NOT_SENT
            for number in range(1, TRIES + 1):
                answer = await self._ask_once(question)
                if answer is Unanswered.UNASKED or not isinstance(answer, Unclear):
                    return answer
                why = answer.why
                log.info("no answer to a look, try %d: %s %s", number, why, answer.detail)
                if number < TRIES:
                    await self._pause(number, answer)
            self._gives_way = self._gives_way or why is Unclarity.NOT_SENT
            return Unanswered.UNASKED if self._gives_way else Unanswered.UNCLEAR

    async def _ask_once(self, question: Callable[[], Awaitable[T | Unclear]]) -> T | Unclear | Literal[Unanswered.UNASKED]:
        """The one place that decides whether the bank is asked at all."""
        async with self._parts.bank_slots.slot(self._tenant_id, SLOT_WAIT_S) as has_slot:
            self._gives_way = self._gives_way or not has_slot
            if self._gives_way or self._is_stopped():
                return Unanswered.UNASKED
            breaker, now = self._parts.breaker, self._parts.world.now
            is_probe = breaker.state(now()) is BreakerState.HALF_OPEN
            if not breaker.admits(now()):
                self._gives_way = True
                return Unanswered.UNASKED
            answer = await question()
            # A kept answer comes without the bank's latency and failures (contract §1). It shows that the bank is there, which is what
            # a probe asks; but many of them must not hide that payments fail.
            if is_probe or not isinstance(answer, Kept):
                breaker.record(now(), ok=not (isinstance(answer, Unclear) and is_failure(answer)))
            return answer

    async def _pause(self, number: int, answer: Unclear) -> None:
        world = self._parts.world
        pause_s = backoff_s(number, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, random=world.random())
        await world.sleep(max(pause_s, min(answer.retry_after_s or 0.0, RETRY_CAP_S)))
