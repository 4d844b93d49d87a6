"""An operator's word against the real thing: what it closes, what it leaves, who is fenced out, and what is written down."""

import asyncio
import json
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import exc, text

from domain.answer import InvalidTransition
from domain.payment import Authorized, PaymentState, ReviewReason, Verb, review
from domain.settlement import Acknowledge, AskAgain, ConfirmDone, LearnReference, RuleOut
from gateway.attempts import LEASE_S, Finding, begin_authorizations, finish, lease_end
from gateway.settlement import BeingAsked, Unfit, Word, Written, settle_payment
from persistence.attempts import attempts_by_keys, lease_due_attempts
from persistence.audit import newest_entries
from persistence.payments import get_payments, lock_payments, save_payments

S, R = PaymentState, ReviewReason
REFERENCE = "{}_0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def tell(parts, tenant):
    """An operator says something of a payment."""

    async def say(payment_id, settlement, **how):
        return await settle_payment(parts, tenant, payment_id, Word(settlement, "ada (login deploy)", "ticket 17"), **how)

    return say


@pytest.fixture
def now(database, tenant):
    """The payment as it stands."""

    async def read(payment_id):
        async with database.tenant(tenant) as tx:
            return (await get_payments(tx, tenant, [payment_id]))[payment_id]

    return read


@pytest.fixture
def flag(database, tenant):
    """Puts a flag on a payment."""

    async def put(payment_id, reason):
        async with database.tenant(tenant) as tx:
            locked = await lock_payments(tx, tenant, [payment_id])
            await save_payments(tx, tenant, [review(locked[payment_id], reason)])

    return put


@pytest.fixture
def log(database, tenant):
    """The audit log, the oldest entry first."""

    async def read():
        async with database.tenant(tenant) as tx:
            return (await newest_entries(tx, tenant, limit=100))[::-1]

    return read


@pytest.fixture
async def forgotten(gateway, tenant, wish, line, recovery, here):
    """A PENDING payment whose key the bank has forgotten, and the request that it came from."""
    line.accidents = ["lost answer"] + ["reset"] * 2
    request = wish()
    answer = await gateway.authorize(tenant, request)
    line.accidents = []
    here.pass_by(24 * 3600)
    await recovery.run_once()
    return answer.payment.id, request


@pytest.fixture
def stuck(operate, line, recovery, here):
    """Has the bank answer nonsense to an operation, until the payment is flagged and rests."""

    async def make(verb, payment_id, key):
        line.accidents = [_teapot] * 12
        await operate(verb, payment_id, key)
        here.pass_by(60)
        await recovery.run_once()

    return make


async def _teapot(request):
    return httpx.Response(418, text="teapot", request=request)


async def events_of(database, tenant, payment_id):
    query = text("select type, idempotency_key from events where tenant_id = :t and payment_id = :p order by sequence")
    async with database.tenant(tenant) as tx:
        return [tuple(row) for row in await tx.execute(query, {"t": tenant, "p": payment_id})]


# --- A payment that rests PENDING ------------------------------------------------------------------------------------


async def test_a_hold_that_the_bank_confirms_authorizes_the_payment_as_its_own_request_would_have(
    gateway, tenant, forgotten, tell, now, log, ledger, database, parts, operate
):
    payment_id, request = forgotten
    before = await now(payment_id)
    (hold,) = (await ledger())["authorizations"]

    answer = await tell(payment_id, ConfirmDone(Verb.AUTHORIZE, hold["authorization_id"]))
    replayed = await gateway.authorize(tenant, request)

    after = await now(payment_id)
    assert answer == Written(before, after)
    assert (after.state, after.bank.authorization) == (S.AUTHORIZED, hold["authorization_id"])
    assert after.review_reasons == {R.POSSIBLE_ORPHAN_HOLD}, "several tries had no answer, and one hold accounts for one of them"
    assert (replayed.payment, replayed.replayed) == (after, True)
    assert await events_of(database, tenant, payment_id) == [
        ("payment.created", request.idempotency_key),
        ("payment.authorized", request.idempotency_key),
    ]
    async with database.tenant(tenant) as tx:
        attempt = (await attempts_by_keys(tx, tenant, [request.idempotency_key]))[request.idempotency_key]
    assert attempt.sealed_card is None
    assert attempt.id in parts.wakeups.announced
    (entry,) = await log()
    assert (entry.actor, entry.action, entry.note) == ("ada (login deploy)", "payment.outcome_confirmed", "ticket 17")
    assert (entry.payment_id, entry.before, entry.after) == (payment_id, before, after)
    assert (await operate(Verb.CAPTURE, payment_id)).payment.state is S.CAPTURED


async def test_a_hold_that_the_bank_rules_out_declines_the_payment_and_frees_the_order(
    gateway, tenant, wish, forgotten, tell, now
):
    payment_id, request = forgotten

    answer = await tell(payment_id, RuleOut(Verb.AUTHORIZE))
    replayed = await gateway.authorize(tenant, request)
    anew = await gateway.authorize(tenant, wish(order=request.order_id))

    assert answer.after == await now(payment_id) == replayed.payment
    assert (replayed.payment.state, replayed.replayed) == (S.DECLINED, True)
    assert anew.payment.state is S.AUTHORIZED


# --- Operations that are stuck -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "prefix", "becomes"),
    [(Verb.CAPTURE, "cap", S.CAPTURED), (Verb.VOID, "void", S.VOIDED), (Verb.REFUND, "ref", S.REFUNDED)],
)
async def test_an_operation_that_the_bank_confirms_ends_as_its_own_answer_would_have_ended_it(
    authorized, operate, stuck, tell, now, verb, prefix, becomes
):
    payment = await authorized()
    if verb is Verb.REFUND:
        await operate(Verb.CAPTURE, payment.id)
    await stuck(verb, payment.id, f"stuck {payment.id}")
    reference = f"{prefix}_{uuid4()}"

    answer = await tell(payment.id, ConfirmDone(verb, reference))
    replayed = await operate(verb, payment.id, f"stuck {payment.id}")

    after = await now(payment.id)
    assert answer.after == after == replayed.payment
    assert (after.state, after.review_reasons) == (becomes, frozenset())
    assert getattr(after.bank, verb.value.lower()) == reference


async def test_an_operation_that_is_ruled_out_is_refused_for_ever_and_can_be_asked_for_anew(
    authorized, operate, stuck, tell, now, log
):
    payment = await authorized()
    await stuck(Verb.CAPTURE, payment.id, f"stuck {payment.id}")

    await tell(payment.id, RuleOut(Verb.CAPTURE))
    replayed = await operate(Verb.CAPTURE, payment.id, f"stuck {payment.id}")
    settled = await now(payment.id)
    anew = await operate(Verb.CAPTURE, payment.id)

    assert isinstance(replayed, InvalidTransition)
    assert replayed.message.startswith("The bank did not do the capture, as our operators found out")
    assert (settled.state, settled.review_reasons) == (S.AUTHORIZED, {R.BANK_DISAGREES})
    assert anew.payment.state is S.CAPTURED
    assert len(await log()) == 1


async def test_an_attempt_that_rests_is_asked_again_at_once(authorized, stuck, tell, now, recovery, log, database, tenant):
    payment = await authorized()
    await stuck(Verb.VOID, payment.id, f"stuck {payment.id}")
    before = await now(payment.id)

    too_early = await recovery.run_once()
    answer = await tell(payment.id, AskAgain())
    at_once = await recovery.run_once()

    after = await now(payment.id)
    async with database.tenant(tenant) as tx:
        attempt = (await attempts_by_keys(tx, tenant, [f"stuck {payment.id}"]))[f"stuck {payment.id}"]
    assert answer == Written(before, before)
    assert attempt.unanswered == 0, "nobody died over it"
    assert (too_early, at_once) == (0, 1)
    assert (after.state, after.review_reasons) == (S.VOIDED, {R.BANK_UNINTELLIGIBLE}), "the flag waits to be acknowledged"
    assert [entry.action for entry in await log()] == ["payment.asked_again"]


async def test_a_capture_that_somebody_else_asked_for_is_recorded_and_can_be_refunded(
    authorized, operate, line, tell, now, ledger, database, tenant, log
):
    payment = await authorized()
    capture = httpx.Request(
        "POST",
        "http://bank/api/v1/captures",
        json={"authorization_id": payment.bank.authorization, "amount": payment.amount.minor_units},
        headers={"Idempotency-Key": "somebody else"},
    )
    answered = await line.inner.handle_async_request(capture)
    reference = json.loads(await answered.aread())["capture_id"]
    refused = await operate(Verb.VOID, payment.id)

    answer = await tell(payment.id, ConfirmDone(Verb.CAPTURE, reference))
    refunded = await operate(Verb.REFUND, payment.id)

    assert isinstance(refused, InvalidTransition)
    assert (answer.before.review_reasons, answer.after.review_reasons) == ({R.BANK_DISAGREES}, frozenset())
    assert (answer.after.state, answer.after.bank.capture) == (S.CAPTURED, reference)
    assert refunded.payment.state is S.REFUNDED
    assert [event for event, _ in await events_of(database, tenant, payment.id)] == [
        "payment.created",
        "payment.authorized",
        "payment.captured",
        "payment.refunded",
    ]
    assert len(await log()) == 1


# --- References and flags ------------------------------------------------------------------------------------------------


async def test_a_capture_whose_reference_was_learned_can_be_refunded_again(authorized, operate, line, tell, now, ledger):
    payment = await authorized()
    line.accidents = ["lost key"]
    await operate(Verb.CAPTURE, payment.id, f"capture {payment.id}")
    refused = await operate(Verb.REFUND, payment.id)
    (capture,) = (await ledger())["captures"]

    answer = await tell(payment.id, LearnReference(Verb.CAPTURE, capture["capture_id"]))
    refunded = await operate(Verb.REFUND, payment.id)
    first_answer = await operate(Verb.CAPTURE, payment.id, f"capture {payment.id}")

    assert isinstance(refused, InvalidTransition)
    assert (answer.after.bank.capture, answer.after.review_reasons) == (capture["capture_id"], frozenset())
    assert refunded.payment.state is S.REFUNDED
    assert len((await ledger())["refunds"]) == 1
    assert first_answer.payment.bank.capture is None, "a repetition gets the first answer, as it was then"


async def test_a_flag_that_is_acknowledged_is_gone_without_an_event(gateway, tenant, wish, line, tell, now, log, database):
    line.accidents = ["lost key"]
    payment = (await gateway.authorize(tenant, wish())).payment

    answer = await tell(payment.id, Acknowledge(R.POSSIBLE_ORPHAN_HOLD))

    after = await now(payment.id)
    assert answer == Written(payment, after)
    assert after == replace(payment, review_reasons=frozenset())
    assert len(await events_of(database, tenant, payment.id)) == 2
    assert [(entry.action, entry.before, entry.after) for entry in await log()] == [("payment.flag_acknowledged", payment, after)]


async def test_the_reference_of_another_payment_is_refused(authorized, operate, line, tell, rows):
    other = await authorized()
    await operate(Verb.CAPTURE, other.id)
    payment = await authorized()
    line.accidents = ["lost key"]
    await operate(Verb.CAPTURE, payment.id)
    taken = (await operate(Verb.REFUND, other.id)).payment.bank.capture
    before = await rows()

    answer = await tell(payment.id, LearnReference(Verb.CAPTURE, taken))

    assert isinstance(answer, Unfit)
    assert answer.message.startswith("Another payment, pay_")
    assert await rows() == before


async def test_what_does_not_fit_is_refused_with_what_would_and_writes_nothing(authorized, flag, tell, rows):
    payment = await authorized()
    await flag(payment.id, R.POSSIBLE_ORPHAN_HOLD)
    before = await rows()

    answer = await tell(payment.id, LearnReference(Verb.CAPTURE, REFERENCE.format("cap")))

    assert isinstance(answer, Unfit)
    assert "AUTHORIZED" in answer.message
    assert answer.instead == (Acknowledge(R.POSSIBLE_ORPHAN_HOLD),)
    assert await rows() == before


# --- Who else is there ---------------------------------------------------------------------------------------------------


async def test_a_driver_that_wakes_up_after_the_settlement_is_fenced_out(parts, tenant, wish, flag, tell, now, here, rows):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    await flag(begun.payment.id, R.BANK_UNINTELLIGIBLE)
    here.pass_by(LEASE_S + 1)
    confirmed = REFERENCE.format("auth")
    await tell(begun.payment.id, ConfirmDone(Verb.AUTHORIZE, confirmed))
    settled = await rows()

    same = await finish(parts, tenant, [Finding(begun.attempt, Authorized(confirmed))])
    unchanged = await rows()
    other = await finish(parts, tenant, [Finding(begun.attempt, Authorized("auth_of-another-hold"))])

    assert (same, other) == ({}, {})
    assert unchanged == settled
    after = await now(begun.payment.id)
    assert (after.bank.authorization, after.review_reasons) == (confirmed, {R.POSSIBLE_ORPHAN_HOLD})


@pytest.mark.parametrize("died", [False, True])
async def test_a_driver_that_died_in_the_middle_of_a_try_leaves_that_try_unanswered(
    parts, tenant, wish, flag, tell, here, database, died
):
    request = wish()
    (begun,) = await begin_authorizations(parts, tenant, [request])
    await flag(begun.payment.id, R.BANK_UNINTELLIGIBLE)
    here.pass_by(LEASE_S + 1 if died else LEASE_S - 1)

    answer = await tell(begun.payment.id, AskAgain())

    async with database.tenant(tenant) as tx:
        attempt = (await attempts_by_keys(tx, tenant, [request.idempotency_key]))[request.idempotency_key]
    assert isinstance(answer, Written if died else BeingAsked)
    assert attempt.unanswered == int(died)


@pytest.mark.parametrize(
    "settlement", [ConfirmDone(Verb.AUTHORIZE, REFERENCE.format("auth")), RuleOut(Verb.AUTHORIZE), AskAgain()]
)
async def test_while_somebody_asks_the_bank_nothing_is_settled(parts, tenant, wish, flag, tell, here, rows, settlement):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    await flag(begun.payment.id, R.BANK_UNINTELLIGIBLE)
    before = await rows()

    answer = await tell(begun.payment.id, settlement)

    assert answer == BeingAsked(begun.attempt.lease_until)
    assert await rows() == before


async def test_a_worker_that_takes_the_attempt_in_the_same_moment_is_not_disturbed(
    parts, tenant, forgotten, tell, here, database, owner, log
):
    payment_id, request = forgotten
    here.pass_by(3601)
    waiting = text(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "
        "and query like '%update attempts%'"
    )

    async with database.tenant(tenant) as worker:
        (leased,) = await lease_due_attempts(
            worker, tenant, now=here.time, lease_until=lease_end(here.time), lease_token=uuid4(), limit=1
        )
        telling = asyncio.create_task(tell(payment_id, RuleOut(Verb.AUTHORIZE)))
        async with asyncio.timeout(10):
            while True:
                async with owner.without_tenant() as tx:
                    if (await tx.execute(waiting)).scalar_one():
                        break
                assert not telling.done()
    answer = await telling

    assert isinstance(answer, BeingAsked)
    async with database.tenant(tenant) as tx:
        attempt = (await attempts_by_keys(tx, tenant, [request.idempotency_key]))[request.idempotency_key]
    assert attempt == leased
    assert await log() == []


async def test_two_operators_at_once_settle_once(forgotten, tell, log, database, tenant):
    payment_id, _ = forgotten

    answers = await asyncio.gather(
        tell(payment_id, RuleOut(Verb.AUTHORIZE)), tell(payment_id, ConfirmDone(Verb.AUTHORIZE, REFERENCE.format("auth")))
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Unfit", "Written"]
    assert len(await log()) == 1
    assert len(await events_of(database, tenant, payment_id)) == 2


async def test_another_partners_payment_is_not_found(parts, other_tenant, forgotten, rows):
    payment_id, _ = forgotten
    before = await rows()

    for settlement in (RuleOut(Verb.AUTHORIZE), Acknowledge(R.BANK_KEY_EXPIRED), AskAgain()):
        assert await settle_payment(parts, other_tenant, payment_id, Word(settlement, "ada", "?")) is None
    assert await settle_payment(parts, other_tenant, uuid4(), Word(AskAgain(), "ada", "?")) is None

    assert await rows() == before


# --- All or nothing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settlement", [ConfirmDone(Verb.AUTHORIZE, REFERENCE.format("auth")), RuleOut(Verb.AUTHORIZE)])
async def test_a_dry_run_tells_the_same_and_changes_nothing(forgotten, tell, rows, parts, here, settlement):
    payment_id, _ = forgotten
    before, woken = await rows(), list(parts.wakeups.announced)

    shown = await tell(payment_id, settlement, dry_run=True)
    unchanged = await rows()
    done = await tell(payment_id, settlement)

    assert unchanged == before
    assert shown == done
    assert parts.wakeups.announced[: len(woken)] == woken
    assert len(parts.wakeups.announced) == len(woken) + 1


async def test_what_can_not_be_written_down_is_not_done(parts, tenant, forgotten, rows):
    payment_id, _ = forgotten
    before = await rows()

    with pytest.raises(exc.IntegrityError):
        await settle_payment(parts, tenant, payment_id, Word(RuleOut(Verb.AUTHORIZE), "ada", "n" * 1001))

    assert await rows() == before
