"""The small case, played: one payment, a runner, a second one that takes over from it, and in the end a client that asks again."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from bank.answer import Done
from bank.mock.validation import check_digit
from domain.answer import Answer, InvalidTransition, Performed
from domain.card import CardDetails
from domain.money import Money
from domain.payment import PaymentState, Verb
from domain.request import AuthorizeRequest, OperateRequest
from gateway.attempts import LEASE_S, Begun, Finding, begin_authorizations, begin_operations, finish
from gateway.driving import call_of
from gateway.gateway import Gateway
from gateway.interpretation import interpret
from gateway.parts import Parts
from gateway.recovery import Recovery
from tests.simulation.bank_line import staged_bank
from tests.simulation.scene import Scene, Straight, settled
from tests.simulation.stage import Process, Stage, Step
from tests.simulation.staged_parts import StagedWakeups
from tests.simulation.walk import Branch

AMOUNT = 1999
BATCH = 500  # branches with one partner and one bank; then the books are looked at
ROUNDS = 8  # of recovery in the end, half a minute apart; two minutes are promised
REST_S = 31.0  # above gateway.driving.REST_CAP_S
RICH = CardDetails("4111111111111111", "123", 12, 2030)

Wish = AuthorizeRequest | OperateRequest


@dataclass(frozen=True)
class Case:
    """What is asked, of a card with money for how many holds; a capture may be `late`: after the hold has run out."""

    verb: Verb
    funds: int = 3
    late: bool = False
    two_workers: bool = False

    def __str__(self) -> str:
        words = [self.verb.value.lower(), *(["of a hold that ran out"] if self.late else [])]
        words += [f"on a card with money for {self.funds}"] if self.verb is Verb.AUTHORIZE else []
        return " ".join([*words, "by two workers" if self.two_workers else "by a request and a worker"])


@dataclass
class Played:
    """A branch that was played: its history, what was wrong on the way, and which payment it was about."""

    branch: Branch
    history: list[Step]
    wrong: list[str]
    payment_id: UUID | None


class SmallCase:
    """Plays a batch of branches. Each has a payment and a card of its own; the partner and the bank are shared."""

    def __init__(self, scene: Scene, tenant: UUID, case: Case) -> None:
        self._scene, self._tenant, self._case = scene, tenant, case
        self._stage = Stage(scene.loop, Straight(), "")
        self._played = 0
        self._rehearsed: list[UUID] = []
        rich = {"card_number": RICH.number, "cvv": RICH.cvv, "expiry_month": 12, "expiry_year": 2030, "balance": 10**9}
        each = {"prefix": "400000", "count": BATCH, "cvv": "123", "balance": AMOUNT * case.funds}
        self.line = staged_bank(self._stage, orjson.dumps([rich, each]).decode())

    async def play(self, branch: Branch) -> Played:
        """One branch, to the client's last question."""
        wish = await self._wish()
        stage = self._set(f"{self._case}, {self._tenant}, {self._played}", branch)
        self._played += 1
        wrong: list[str] = []

        async def script() -> UUID | None:
            await self._play(branch, wish)
            branch.closed = True
            return None if branch.known else await self._ask_again(wish, wrong)

        payment_id = await stage.perform(script)
        if branch.known:
            await self._scene.forget_open_attempts()
        return Played(branch, stage.history, wrong + stage.surprises, payment_id)

    async def _play(self, branch: Branch, wish: Wish) -> None:
        stage, first, second = self._stage, Process("first"), Process("second")
        if self._case.two_workers:
            branch.closed = True
            dead = Process("dead")
            await stage.start(dead, "request", self._begin(self._parts(dead), [wish]))
            branch.closed = False
            stage.pass_time(LEASE_S + 1)
            self._work(first)
        else:
            stage.start(first, "request", self._ask(Gateway(self._parts(first)), wish))

        def take_over() -> None:
            stage.note(first, "", "its lease runs out")
            stage.pass_time(LEASE_S + 1)
            self._work(second)

        def give_up() -> None:
            stage.kill(first)
            stage.kill(second)

        branch.first, branch.take_over, branch.give_up = first, take_over, give_up
        await settled(first)
        if not branch.known:
            branch.run_out(calm=branch.calm)
        await settled(second)

    async def _ask_again(self, wish: Wish, wrong: list[str]) -> UUID | None:
        """What a client does that has not heard: the same once more, until it has an outcome."""
        third = Process("third")
        gateway = Gateway(self._parts(third))
        for _ in range(ROUNDS):
            answer = await self._stage.start(third, "client", self._ask(gateway, wish))
            match answer:
                case Performed(payment, _, None) if payment.state is not PaymentState.PENDING:
                    return payment.id
                case Performed():
                    self._stage.pass_time(REST_S)
                    self._work(third)
                    await settled(third)
                case InvalidTransition(payment_id, PaymentState.EXPIRED) if self._case.late:
                    for _ in range(2):  # of which one voids the hold, even if somebody has just died who wanted to
                        self._stage.pass_time(REST_S)
                        self._work(third)
                        await settled(third)
                    return payment_id
                case _:
                    wrong.append(f"asked again, and answered {answer}")
                    return None
        wrong.append("I4: still no outcome")
        return None

    def _work(self, process: Process) -> None:
        recovery = Recovery(self._parts(process), self._scene.watch(self._stage))  # type: ignore[arg-type]
        self._stage.start(process, "worker", recovery.run_once())

    async def _ask(self, gateway: Gateway, wish: Wish) -> Answer:
        if isinstance(wish, AuthorizeRequest):
            return await gateway.authorize(self._tenant, wish)
        return await gateway.operate(self._tenant, self._case.verb, wish)

    async def _begin(self, parts: Parts, wishes: Sequence[Wish], verb: Verb | None = None) -> list[Begun]:
        authorizations = [wish for wish in wishes if isinstance(wish, AuthorizeRequest)]
        operations = [(verb or self._case.verb, wish) for wish in wishes if isinstance(wish, OperateRequest)]
        begun = await begin_authorizations(parts, self._tenant, authorizations) if authorizations else []
        begun += await begin_operations(parts, self._tenant, operations) if operations else []
        return [each for each in begun if isinstance(each, Begun)]

    def _parts(self, process: Process) -> Parts:
        return self._scene.parts(self._stage, process, self.line, StagedWakeups(self._stage))

    def _set(self, seed: str, director: Branch | Straight) -> Stage:
        self._stage = self.line.stage = Stage(self._scene.loop, director, seed)
        return self._stage

    async def _wish(self) -> Wish:
        name = f"branch {self._played}"
        if self._case.verb is Verb.AUTHORIZE:
            stem = f"400000{self._played:09d}"
            card = CardDetails(stem + check_digit(stem), "123", 12, 2035)
            return AuthorizeRequest(name, name, "customer", Money(AMOUNT), card)
        if not self._rehearsed:
            await self._set(f"{self._case}, {self._tenant}, rehearsal", Straight()).perform(self._rehearse)
        return OperateRequest(name, self._rehearsed.pop())

    async def _rehearse(self) -> None:
        """Bring the batch's payments into the state that the case starts from."""
        parts = self._parts(Process("rehearsal"))
        names = [f"rehearsed {number}" for number in range(BATCH)]
        wishes: list[Wish] = [AuthorizeRequest(name, name, "customer", Money(AMOUNT), RICH) for name in names]
        payments = await self._through(parts, await self._begin(parts, wishes))
        if self._case.verb is Verb.REFUND:
            asked = [OperateRequest(f"capture of {payment}", payment) for payment in payments]
            payments = await self._through(parts, await self._begin(parts, asked, Verb.CAPTURE))
        if self._case.late:
            ledger = self.line.bank.books.ledger
            for hold in ledger.state.holds.values():
                ledger.move_expiry(hold, 0)
        self._rehearsed = payments

    async def _through(self, parts: Parts, begun: Sequence[Begun]) -> list[UUID]:
        findings = []
        for each in begun:
            answer = await parts.bank.send(await call_of(parts, self._tenant, each.attempt, each.payment), each.attempt.bank_key)
            assert isinstance(answer, Done)
            findings.append(Finding(each.attempt, interpret(each.attempt.verb, each.payment, answer, 0)))
        assert len(await finish(parts, self._tenant, findings)) == BATCH
        return [each.payment.id for each in begun]
