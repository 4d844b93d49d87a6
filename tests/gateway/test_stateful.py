"""The state machine through the real gateway, Postgres and bank: any sequence of requests, repetitions, lost answers and pauses."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app import keys
from bank.client import BankClient, bank_http
from bank.mock import BankSettings, VirtualTime, create_bank
from domain.answer import InvalidTransition, Performed, refusal_of
from domain.card import CardDetails
from domain.money import Money
from domain.payment import PaymentState, ReviewReason, Verb
from domain.request import AuthorizeRequest, OperateRequest
from gateway.gateway import Gateway
from gateway.parts import Parts
from gateway.recovery import Recovery
from gateway.vault.key_service import LocalKeyService
from gateway.vault.master_keys import agree_on_master_key
from gateway.vault.vault import Vault
from persistence.database import Database
from persistence.partners import insert_partner
from persistence.payments import get_standings
from tests.conftest import MASTER_KEY, PEPPER, DatabaseUrls, Here, Line, LineTransport, LocalWakeups

CARDS = {
    "good": CardDetails("4111111111111111", "123", 12, 2030),
    "poor": CardDetails("5555555555554444", "789", 9, 2030),
    "old": CardDetails("5105105105105100", "321", 3, 2020),
}
QUIET = {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0", "BANK_STATE": "memory", "BANK_SEED": "1"}
AT_THE_BANK = {  # how a hold stands there, for each state that rests on one and is at rest
    PaymentState.AUTHORIZED: "active",
    PaymentState.CAPTURED: "captured",
    PaymentState.REFUNDED: "captured",
    PaymentState.VOIDED: "voided",
    PaymentState.EXPIRED: "voided",
}
ACCIDENTS = st.sampled_from(
    [[], ["lost key"], ["lost answer"], ["refused"], ["reset"], ["lost key", "reset"], ["refused", "lost answer"]]
)


class System:
    """A gateway with its recovery, a partner and a bank, on an event loop of its own."""

    def __init__(self, urls: DatabaseUrls, seed: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.here = Here(chance=random.Random(seed))
        time = VirtualTime()
        self.bank = create_bank(BankSettings.from_environment(QUIET), clock=time.clock, sleep=time.sleep)
        self.line = Line(httpx.ASGITransport(app=self.bank.app))
        self.database, self.watch, self.owner = Database(urls.app), Database(urls.worker, pool_size=1), Database(urls.owner)
        self._key_service = LocalKeyService(keys.ring_of(MASTER_KEY))
        self.parts = Parts(
            database=self.database,
            bank=BankClient(bank_http("http://bank", LineTransport(self.line))),
            world=self.here.world,
            vault=Vault(self.database, self._key_service, self.here.world.now, fingerprint_key=PEPPER),
            fingerprint_secret=PEPPER,
            wakeups=LocalWakeups(),
        )
        self.gateway = Gateway(self.parts)
        self.tenant = self.here.world.new_uuid()
        self.run(self._found())

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def _found(self) -> None:
        await agree_on_master_key(self.database, self._key_service, self.here.time)
        async with self.owner.without_tenant() as tx:
            await insert_partner(tx, partner_id=self.tenant, name="FicMart", created_at=self.here.time)

    async def standings(self, ids: list[Any]) -> Any:
        async with self.database.tenant(self.tenant) as tx:
            return await get_standings(tx, self.tenant, ids)

    async def settle(self) -> None:
        """Let time pass until nothing is open any more."""
        self.line.accidents = []
        recovery = Recovery(self.parts, self.watch)
        for _ in range(4):
            self.here.pass_by(90)
            await recovery.run_once()

    def close(self) -> None:
        self.run(self.gateway.close(10))
        for each in (self.parts.bank, self.database, self.watch, self.owner):
            self.run(each.close())
        self.bank.close()
        self.loop.close()


class GatewayMachine(RuleBasedStateMachine):
    """What a shop does, and what happens to it."""

    make: ClassVar[Callable[[], System]]

    def __init__(self) -> None:
        super().__init__()
        self.system = type(self).make()
        self.asked: list[tuple[Verb | None, Any]] = []  # every request so far; None: to authorize
        self.payments: list[Any] = []
        self.count = 0

    def fresh(self, what: str) -> str:
        self.count += 1
        return f"{what}-{self.count}"

    def ask(self, verb: Verb | None, request: Any) -> Any:
        front, tenant = self.system.gateway, self.system.tenant
        work = front.authorize(tenant, request) if verb is None else front.operate(tenant, verb, request)
        return self.system.run(work)

    @rule(card=st.sampled_from(sorted(CARDS)), accidents=ACCIDENTS)
    def a_customer_pays(self, card: str, accidents: list[str]) -> None:
        self.system.line.accidents = [*accidents]
        request = AuthorizeRequest(self.fresh("key"), self.fresh("order"), "customer", Money(100), CARDS[card])

        answer = self.ask(None, request)

        assert isinstance(answer, Performed)
        assert not answer.replayed
        assert (card == "good") == (answer.payment.state is PaymentState.AUTHORIZED)
        assert ("lost key" in accidents or "reset" in accidents) <= (
            ReviewReason.POSSIBLE_ORPHAN_HOLD in answer.payment.review_reasons
        )
        self.asked.append((None, request))
        self.payments.append(answer.payment.id)

    @rule(
        data=st.data(),
        verb=st.sampled_from([Verb.CAPTURE, Verb.VOID, Verb.REFUND]),
        accidents=ACCIDENTS,
    )
    def the_shop_asks_for_something(self, data: st.DataObject, verb: Verb, accidents: list[str]) -> None:
        if not self.payments:
            return
        payment_id = data.draw(st.sampled_from(self.payments))
        request = OperateRequest(self.fresh("key"), payment_id)
        before = self.system.run(self.system.standings([payment_id]))[payment_id]
        expected = refusal_of(verb, before.payment, before.pending)
        self.system.line.accidents, asked = [*accidents], len(self.system.line.requests)

        answer = self.ask(verb, request)

        if expected is not None:
            assert answer == expected
            assert len(self.system.line.requests) == asked, "what is refused does not reach the bank"
        else:
            self.asked.append((verb, request))
            assert isinstance(answer, Performed | InvalidTransition)
        self.system.line.accidents = []

    @rule(data=st.data())
    def somebody_repeats_a_request(self, data: st.DataObject) -> None:
        if not self.asked:
            return
        verb, request = data.draw(st.sampled_from(self.asked))
        self.system.run(self.system.settle())
        first, asked = self.ask(verb, request), len(self.system.line.requests)

        again = self.ask(verb, request)

        assert again == first
        assert len(self.system.line.requests) == asked, "a replay does not reach the bank"

    @rule(data=st.data())
    def a_hold_runs_out(self, data: st.DataObject) -> None:
        holds = [hold for hold in self.system.bank.books.ledger.state.holds.values() if hold.state == "active"]
        if holds:
            hold = data.draw(st.sampled_from(holds))
            self.system.bank.books.ledger.move_expiry(hold, 0)

    @rule()
    def time_passes(self) -> None:
        self.system.run(self.system.settle())

    @invariant()
    def what_is_at_rest_stands_at_the_bank_as_we_say(self) -> None:
        holds = self.system.bank.books.ledger.state.holds
        for standing in self.system.run(self.system.standings(self.payments)).values():
            payment = standing.payment
            if standing.pending is None and payment.state in AT_THE_BANK:
                assert payment.bank.authorization is not None
                assert holds[payment.bank.authorization].state == AT_THE_BANK[payment.state], payment

    @invariant()
    def a_second_hold_is_flagged(self) -> None:
        holds = self.system.bank.books.ledger.state.holds.values()
        known = self.system.run(self.system.standings(self.payments)).values()
        references = {standing.payment.bank.authorization for standing in known}
        flagged = [each for each in known if ReviewReason.POSSIBLE_ORPHAN_HOLD in each.payment.review_reasons]
        unknown = [hold for hold in holds if hold.authorization_id not in references]
        assert not unknown or flagged

    def teardown(self) -> None:
        self.system.run(self.system.settle())
        for standing in self.system.run(self.system.standings(self.payments)).values():
            assert standing.pending is None
        self.system.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_asked_and_whatever_is_lost_bank_and_books_agree(database_urls: DatabaseUrls, seed: int) -> None:
    systems = iter(range(seed * 1_000, seed * 1_000 + 1_000))

    class Machine(GatewayMachine):
        make = staticmethod(lambda: System(database_urls, next(systems)))

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=15, stateful_step_count=25, deadline=None, derandomize=True, database=None)
    )
