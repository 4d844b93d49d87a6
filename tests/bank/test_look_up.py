"""Looking something up at the bank: the answer is true in every state, and its books are the same afterwards, byte by byte."""

import asyncio
from datetime import timedelta
from random import Random

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bank.answer import Done, Kept, NotKept, Unclarity, Unclear, read_look_up
from bank.client import (
    NO_AMOUNT,
    NO_CARD,
    NO_CVV,
    NO_HOLD,
    AuthorizeCall,
    BankClient,
    CaptureCall,
    RefundCall,
    VoidCall,
    bank_http,
)
from bank.mock import BankSettings, VirtualTime, create_bank
from domain.card import CardDetails, is_card_number
from domain.discrepancy import HoldStanding
from domain.payment import Verb

CARD = CardDetails("4111111111111111", "123", 12, 2030)
AMOUNT = 500


class BankInATest:
    """A mock bank, its books, and a client of it."""

    def __init__(self, bank, time):
        self.time = time
        self.client = BankClient(bank_http("http://bank", httpx.ASGITransport(app=bank.app)))
        self._control = httpx.AsyncClient(transport=httpx.ASGITransport(app=bank.control), base_url="http://control")

    async def books(self):
        return (await self._control.get("/ledger")).content

    async def turn(self, **dials):
        assert (await self._control.patch("/chaos", json=dials)).status_code == 200

    async def expire(self, authorization):
        assert (await self._control.post(f"/authorizations/{authorization}/expire")).status_code == 200

    async def look_up(self, verb, key, reference=None, amount_minor=AMOUNT):
        """Whatever comes of it, the books stay as they are."""
        before = await self.books()
        answer = await self.client.look_up(verb, key, reference=reference, amount_minor=amount_minor)
        assert await self.books() == before
        return answer

    async def hold_standing(self, authorization, amount_minor=AMOUNT):
        before = await self.books()
        standing = await self.client.hold_standing(authorization, amount_minor, "a key of no operation")
        assert await self.books() == before
        return standing

    async def close(self):
        await self.client.close()
        await self._control.aclose()


def a_bank():
    time = VirtualTime()
    settings = BankSettings(failure_rate=0, min_latency_ms=0, max_latency_ms=0, state="memory", seed=1)
    return BankInATest(create_bank(settings, clock=time.clock, sleep=time.sleep), time)


@pytest.fixture
async def bank():
    made = a_bank()
    yield made
    await made.close()


@pytest.fixture
async def done(bank):
    """One of each: an active hold, a captured and refunded one, a voided one. Keys are named after what they did."""
    hold = await bank.client.send(AuthorizeCall(CARD, AMOUNT), "active")
    captured = await bank.client.send(AuthorizeCall(CARD, AMOUNT), "to be captured")
    voided = await bank.client.send(AuthorizeCall(CARD, AMOUNT), "to be voided")
    capture = await bank.client.send(CaptureCall(captured.reference, AMOUNT), "capture")
    void = await bank.client.send(VoidCall(voided.reference), "void")
    refund = await bank.client.send(RefundCall(capture.reference, AMOUNT), "refund")
    answers = {"active": hold, "captured": captured, "voided": voided, "capture": capture, "void": void, "refund": refund}
    assert all(isinstance(each, Done) for each in answers.values())
    return {name: answer.reference for name, answer in answers.items()}


async def test_a_kept_key_brings_back_the_reference(bank, done):
    assert await bank.look_up(Verb.AUTHORIZE, "active") == Kept(done["active"])
    assert await bank.look_up(Verb.CAPTURE, "capture", done["captured"]) == Kept(done["capture"])
    assert await bank.look_up(Verb.VOID, "void", done["voided"]) == Kept(done["void"])
    assert await bank.look_up(Verb.VOID, "void") == Kept(done["void"])
    assert await bank.look_up(Verb.REFUND, "refund", done["capture"]) == Kept(done["refund"])


async def test_a_key_that_is_not_kept_says_so(bank, done):
    assert await bank.look_up(Verb.AUTHORIZE, "unknown") == NotKept()
    assert await bank.look_up(Verb.VOID, "unknown", done["active"]) == NotKept()
    assert await bank.look_up(Verb.REFUND, "unknown", done["capture"]) == NotKept()
    assert await bank.look_up(Verb.CAPTURE, "active", done["active"]) == NotKept(HoldStanding.ACTIVE), "a key is of a path"


async def test_a_capture_that_is_not_kept_and_a_fresh_key_tell_where_the_hold_stands(bank, done):
    await bank.expire(done["active"])
    fresh = await bank.client.send(AuthorizeCall(CARD, AMOUNT), "fresh")
    expected = {
        fresh.reference: HoldStanding.ACTIVE,
        done["active"]: HoldStanding.EXPIRED,
        done["captured"]: HoldStanding.USED,
        done["voided"]: HoldStanding.USED,
    }

    assert {each: await bank.look_up(Verb.CAPTURE, "unknown", each) for each in expected} == {
        each: NotKept(standing) for each, standing in expected.items()
    }
    assert {each: await bank.hold_standing(each) for each in expected} == expected


async def test_a_key_that_the_bank_lost_is_not_kept_although_it_has_done_it(bank):
    await bank.turn(faults=[{"kind": "500_after_effect", "stores_key": False}])
    await bank.client.send(AuthorizeCall(CARD, AMOUNT), "lost")

    assert await bank.look_up(Verb.AUTHORIZE, "lost") == NotKept()


async def test_a_key_is_forgotten_after_a_day(bank, done):
    bank.time.pass_by(timedelta(hours=25).total_seconds())

    assert await bank.look_up(Verb.AUTHORIZE, "active") == NotKept()


@pytest.mark.parametrize("kept", [True, False])
async def test_while_the_banks_database_is_down_nothing_is_said_to_be_missing(bank, done, kept):
    """It does not find a kept key then, and would refuse a senseless body before it asks its database (contract §7.3)."""
    await bank.turn(database_down=True)

    answers = [
        await bank.look_up(Verb.AUTHORIZE, "active" if kept else "unknown"),
        await bank.look_up(Verb.CAPTURE, "capture" if kept else "unknown", done["captured"]),
        await bank.look_up(Verb.VOID, "void" if kept else "unknown", done["voided"]),
        await bank.look_up(Verb.REFUND, "refund" if kept else "unknown", done["capture"]),
        await bank.hold_standing(done["active"]),
    ]

    assert answers == [Unclear(Unclarity.BANK_ERROR, "status 400", may_have_acted=False)] * 5


async def test_a_not_found_that_is_not_true_is_unclear_for_what_the_bank_gave_us(bank, done):
    """A failed locking read (contract §7.4). The key was looked for before that, so a kept one is still found."""
    await bank.turn(misleading_errors=True)
    unclear = Unclear(Unclarity.BANK_ERROR, "status 400", may_have_acted=False)

    assert await bank.look_up(Verb.CAPTURE, "unknown", done["active"]) == unclear
    assert await bank.look_up(Verb.REFUND, "unknown", done["capture"]) == unclear
    assert await bank.hold_standing(done["active"]) == unclear
    assert await bank.look_up(Verb.AUTHORIZE, "active") == Kept(done["active"])
    assert await bank.look_up(Verb.VOID, "void", done["voided"]) == Kept(done["void"])
    assert await bank.look_up(Verb.AUTHORIZE, "unknown") == NotKept()
    assert await bank.look_up(Verb.VOID, "unknown", done["active"]) == NotKept()


async def test_a_bank_that_fails_still_knows_what_it_keeps(bank, done):
    """A replay has neither latency nor failures (contract §1)."""
    await bank.turn(failure_rate=1)

    assert await bank.look_up(Verb.CAPTURE, "capture", done["captured"]) == Kept(done["capture"])
    assert await bank.look_up(Verb.CAPTURE, "unknown", done["captured"]) == Unclear(
        Unclarity.BANK_ERROR, "status 500", may_have_acted=False
    )


async def test_a_kept_answer_that_says_something_else_is_unclear(bank, done):
    other_amount = await bank.look_up(Verb.AUTHORIZE, "active", amount_minor=AMOUNT + 1)
    other_hold = await bank.look_up(Verb.CAPTURE, "capture", done["active"])

    assert other_amount == Unclear(Unclarity.UNINTELLIGIBLE, "status 200 with another amount", may_have_acted=True)
    assert other_hold == Unclear(Unclarity.UNINTELLIGIBLE, "status 200 with another authorization_id", may_have_acted=True)


async def test_a_look_up_after_which_the_key_is_used_leaves_it_fresh(bank):
    await bank.look_up(Verb.AUTHORIZE, "later")

    answer = await bank.client.send(AuthorizeCall(CARD, AMOUNT), "later")

    assert isinstance(answer, Done)
    assert not answer.replayed


@pytest.mark.parametrize("amount_minor", [AMOUNT - 1, NO_AMOUNT, AMOUNT])
async def test_a_wrong_belief_of_ours_about_the_amount_captures_nothing(bank, done, amount_minor):
    assert await bank.look_up(Verb.CAPTURE, "unknown", done["active"], amount_minor) == NotKept(HoldStanding.ACTIVE)


async def test_a_200_that_is_no_replay_is_never_taken_for_a_kept_answer():
    body = b'{"capture_id":"cap_1","authorization_id":"auth_1","status":"captured","amount":500}'
    expected = {"authorization_id": "auth_1", "amount": 500}

    answer = read_look_up(Verb.CAPTURE, expected, 200, {}, body)

    assert answer == Unclear(Unclarity.UNINTELLIGIBLE, "status 200 that is no replay", may_have_acted=True)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("silent"), httpx.ReadError("reset")])
async def test_a_look_up_that_gets_no_answer_did_nothing(error):
    def fail(request):
        raise error

    answer = await BankClient(bank_http("http://bank", httpx.MockTransport(fail))).look_up(
        Verb.AUTHORIZE, "k", reference=None, amount_minor=AMOUNT
    )

    assert isinstance(answer, Unclear)
    assert not answer.may_have_acted


async def test_a_hold_standing_asked_with_a_used_key_is_unclear(bank, done):
    answer = await bank.client.hold_standing(done["captured"], AMOUNT, "capture")

    assert isinstance(answer, Unclear)


def test_nobody_has_the_card_the_hold_and_the_amount_that_look_ups_use():
    assert is_card_number(NO_CARD), "or the bank would refuse it without a look into its database"
    assert set(NO_CARD) == set(NO_CVV) == {"0"}
    assert NO_HOLD.endswith("_00000000-0000-0000-0000-000000000000")
    assert NO_AMOUNT == 2**63 - 1


class AnySequence(RuleBasedStateMachine):
    """Operations, faults, time, and look-ups of anything with anything: their books never change, and what they say is true."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed):
        self.runner = asyncio.Runner()
        self.chance = Random(seed)
        self.bank = a_bank()
        self.authorizations, self.captures = (
            ["auth_ffffffff-ffff-4fff-bfff-ffffffffffff"],
            ["cap_ffffffff-ffff-4fff-bfff-ffffffffffff"],
        )
        self.keys = ["unknown"]
        self.kept = {}  # verb and key: reference, what it was about, and when
        self.dials = {"database_down": False, "misleading_errors": False, "failure_rate": 0}

    def teardown(self):
        if hasattr(self, "runner"):
            self.runner.run(self.bank.close())
            self.runner.close()

    def operate(self, verb, call, about):
        key = f"key-{len(self.keys)}"
        answer = self.runner.run(self.bank.client.send(call, key))
        self.keys.append(key)
        if isinstance(answer, Done):
            self.kept[verb, key] = answer.reference, about, self.bank.time.now_ns
        return answer

    @rule(loses_key=st.booleans())
    def authorize(self, loses_key):
        if loses_key:
            self.runner.run(
                self.bank.turn(clear_faults=True, faults=[{"kind": "hang_up_window", "bound_s": 0, "stores_key": False}])
            )
        answer = self.operate(Verb.AUTHORIZE, AuthorizeCall(CARD, AMOUNT), None)
        if isinstance(answer, Done):
            self.authorizations.append(answer.reference)
            if loses_key:
                del self.kept[Verb.AUTHORIZE, self.keys[-1]]
        self.runner.run(self.bank.turn(clear_faults=True))

    @rule()
    def capture(self):
        hold = self.chance.choice(self.authorizations)
        answer = self.operate(Verb.CAPTURE, CaptureCall(hold, AMOUNT), hold)
        if isinstance(answer, Done):
            self.captures.append(answer.reference)

    @rule()
    def void(self):
        hold = self.chance.choice(self.authorizations)
        self.operate(Verb.VOID, VoidCall(hold), hold)

    @rule()
    def refund(self):
        capture = self.chance.choice(self.captures)
        self.operate(Verb.REFUND, RefundCall(capture, AMOUNT), capture)

    @rule(hours=st.sampled_from([1, 13, 200]))
    def time_passes(self, hours):
        self.bank.time.pass_by(hours * 3600)

    @rule(dial=st.sampled_from(["database_down", "misleading_errors"]))
    def turn(self, dial):
        self.dials[dial] = not self.dials[dial]
        self.runner.run(self.bank.turn(**{dial: self.dials[dial]}))

    @rule(rate=st.sampled_from([0, 0.5, 1]))
    def fail(self, rate):
        self.dials["failure_rate"] = rate
        self.runner.run(self.bank.turn(failure_rate=rate))

    @rule(verb=st.sampled_from(Verb), amount_minor=st.sampled_from([AMOUNT, AMOUNT + 1, 0, NO_AMOUNT]))
    def look_up(self, verb, amount_minor):
        key = self.chance.choice(self.keys)
        about = self.chance.choice(self.captures if verb is Verb.REFUND else self.authorizations)
        answer = self.runner.run(self.bank.look_up(verb, key, about, amount_minor))

        reference, kept_about, at_ns = self.kept.get((verb, key), (None, None, 0))
        is_kept = reference is not None and self.bank.time.now_ns - at_ns < 24 * 3600 * 10**9
        match answer:
            case Kept(found):
                assert is_kept
                assert found == reference
                assert kept_about in (None, about)
                assert verb is Verb.VOID or amount_minor == AMOUNT
            case NotKept(hold):
                assert not is_kept
                assert not self.dials["database_down"]
                assert (hold is not None) is (verb is Verb.CAPTURE)
            case Unclear(why, _, may_have_acted):
                assert may_have_acted is (why is Unclarity.UNINTELLIGIBLE)
                if not any(self.dials.values()) and why is not Unclarity.UNINTELLIGIBLE:
                    assert about in (self.authorizations[0], self.captures[0]), "only for what it never gave us"
                if why is Unclarity.UNINTELLIGIBLE:
                    assert is_kept and (about != kept_about or amount_minor != AMOUNT)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
