"""Clients: each tells its story, asks again after whatever went wrong, and remembers what it was told."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from domain.answer import Answer, IdempotencyInProgress, Performed
from domain.card import CardDetails
from domain.money import Money
from domain.payment import PaymentState, Verb
from domain.request import AuthorizeRequest, OperateRequest, WaitFor
from domain.settlement import STUCK
from gateway.gateway import Gateway, Overloaded
from persistence.database import DatabaseAway
from tests.simulation.cast import Cast
from tests.simulation.plan import Step, Story
from tests.simulation.stage import EPOCH, Stage

MAX_ASKS = 30  # of one operation; with pauses of up to forty seconds that is beyond everything that lasts
PAUSE_S, PAUSE_CAP_S = 0.3, 40.0


class Known(NamedTuple):
    """What a key has answered for: the payment, and for which of two bodies."""

    payment_id: UUID
    of_other_body: bool
    accepted_at: datetime


@dataclass
class Told:
    """What clients were told, and what of it contradicts itself."""

    acknowledged: defaultdict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    payment_of: dict[tuple[UUID, str], Known] = field(default_factory=dict)  # by partner and key
    forgotten_before: datetime = EPOCH - timedelta(days=1)  # keys of payments accepted before this may be anybody's again
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, actor: str, partner: UUID, step: Step, answer: Answer) -> None:
        """Remember an answer."""
        self.answers[type(answer).__name__] += 1
        if not isinstance(answer, Performed):
            return
        payment = answer.payment
        self.acknowledged[payment.id] |= set(payment.reached)
        known = self.payment_of.get((partner, step.key))
        if known is None or known.accepted_at < self.forgotten_before:
            self.payment_of[partner, step.key] = Known(payment.id, step.other_body, payment.reached[PaymentState.PENDING])
        elif (known.payment_id, known.of_other_body) != (payment.id, step.other_body):
            self.wrong.append(f"{actor}: its key answered for {known}, and now for {(payment.id, step.other_body)}")
        if answer.pending is None and payment.state is PaymentState.PENDING:
            self.wrong.append(f"{actor}: {payment.id} is PENDING, and nobody is said to work on it")


class Client:
    """Tells one story."""

    def __init__(
        self, stage: Stage, cast: Cast, told: Told, story: Story, partner: UUID, cards: Mapping[str, CardDetails]
    ) -> None:
        self._stage, self._cast, self._told = stage, cast, told
        self._story, self._partner, self._cards = story, partner, cards
        self._payment: UUID | None = None

    async def tell(self) -> None:
        """From its beginning to the end of its last step."""
        await asyncio.sleep(self._story.begins_s)
        under_way: list[asyncio.Task[None]] = []
        for step in self._story.steps:
            if under_way and not step.at_once:
                await asyncio.wait(under_way)
            await asyncio.sleep(step.after_s)
            under_way.append(asyncio.ensure_future(self._perform(step)))
        await asyncio.gather(*under_way)

    async def _perform(self, step: Step) -> None:
        wish = self._wish(step)
        for count in range(MAX_ASKS):
            answer = await self._ask(step, wish, count)
            if answer is not None:
                self._told.note(str(step), self._partner, step, answer)
                if isinstance(answer, Performed):
                    self._payment = answer.payment.id
                if _is_final(answer):
                    return
            await asyncio.sleep(min(PAUSE_S * 2**count, PAUSE_CAP_S))
        self._told.wrong.append(f"{step}: asked {MAX_ASKS} times, and no final answer")

    async def _ask(self, step: Step, wish: AuthorizeRequest | OperateRequest, count: int) -> Answer | None:
        """Ask once. None: no answer that is one."""
        api = self._cast.apis[(step.number + count) % len(self._cast.apis)]
        if api.process is None or api.stopping:
            return None
        request = self._stage.start(api.process, str(step), self._call(api.gateway, step, wish))
        await asyncio.wait([request], timeout=step.patience_s if count == 0 else None)
        if not request.done():  # we hang up
            if step.cancels:
                request.cancel()
            request.add_done_callback(partial(self._outcome, step))  # which nobody hears
            return None
        return self._outcome(step, request)

    def _outcome(self, step: Step, request: asyncio.Task[Answer]) -> Answer | None:
        if request.cancelled():  # its process died
            return None
        error = request.exception()
        if error is None:
            return request.result()
        if not isinstance(error, DatabaseAway | Overloaded):
            self._told.wrong.append(f"{step}: {error!r}")
        return None

    def _call(self, gateway: Gateway, step: Step, wish: AuthorizeRequest | OperateRequest) -> Coroutine[Any, Any, Answer]:
        if isinstance(wish, AuthorizeRequest):
            return gateway.authorize(self._partner, wish, WaitFor.ACCEPTANCE if step.accepts else WaitFor.OUTCOME)
        return gateway.operate(self._partner, step.verb, wish)

    def _wish(self, step: Step) -> AuthorizeRequest | OperateRequest:
        story = self._story
        if step.verb is not Verb.AUTHORIZE:
            # With another body it is a request for another payment, which there is not.
            return OperateRequest(step.key, UUID(int=1) if step.other_body else self._payment)
        amount = Money(story.amount + step.other_body)
        return AuthorizeRequest(step.key, story.order, f"customer of {story.order}", amount, self._cards[story.card])


def _is_final(answer: Answer) -> bool:
    match answer:
        case Performed(payment, _, pending):
            return pending is None or bool(STUCK & payment.review_reasons)  # what an operator has to settle stays open
        case IdempotencyInProgress():
            return False
        case _:
            return True
