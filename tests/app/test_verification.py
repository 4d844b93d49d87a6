"""The checker over real payments: right ones are right, and what moves or can't be seen is told, not judged."""

from datetime import timedelta

import httpx
import pytest

from app import verification
from bank.ledger import NotALedger
from domain.payment import PaymentState, ReviewReason, Verb
from domain.settlement import Acknowledge, ConfirmDone
from domain.violation import Breach, Invariant
from gateway.parts import Parts
from gateway.reaper import KEEP, Reaper
from gateway.recovery import Recovery
from gateway.settlement import Word, settle_payment
from persistence.database import Database, DatabaseAway
from persistence.verification import count_unsettled_attempts
from tests.app.verifying import STEPS, Till

S = PaymentState
SETTLED = [state for state in PaymentState if state is not S.PENDING]


async def test_payments_in_every_state_are_right(till: Till) -> None:
    payments = [await till.payment_in(state) for state in PaymentState]

    found = await till.verify(acknowledged={each.id: frozenset({S.PENDING.value}) for each in payments})

    assert found.violations == []
    assert found.is_right
    assert (found.partners, found.payments, found.under_way, found.strangers) == (1, 7, 1, 0)
    assert [sentence[:2] for sentence in found.not_checked] == ["I8"], "what no database can tell, and nothing else"
    assert found.checked == {
        Invariant.I1: 7,
        Invariant.I2: 7,
        Invariant.I3: 18,
        Invariant.I4: 1,
        Invariant.I5: 6,
        Invariant.I6: 18,
        Invariant.I7: 18,
        Invariant.I9: 12,
    }


FAULTS = [
    {"kind": "500_after_effect"},
    *({"kind": kind, "stores_key": kept} for kind in ("truncated_json", "other_amount") for kept in (True, False)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_whatever_happened_to_the_banks_answers_the_books_are_right(till: Till, fault: dict[str, object]) -> None:
    for verbs in STEPS.values():
        await till.control.patch("/chaos", json={"faults": [fault]})
        payment = await till.authorize()
        for verb in verbs:
            await till.control.patch("/chaos", json={"faults": [fault]})
            await till.operate(verb, payment)

    found = await till.verify()

    assert found.violations == []
    assert (found.payments, found.under_way) == (4, 0)


async def test_without_a_ledger_our_own_books_are_judged_and_the_rest_is_said(till: Till, owner: Database) -> None:
    await till.payment_in(S.CAPTURED)

    found = await verification.verify(owner, None, now=till.here.time, tenants=[till.tenant])

    assert found.is_right
    assert found.checked[Invariant.I6] == 3
    assert found.checked[Invariant.I1] == found.checked[Invariant.I5] == 0
    assert found.not_checked[0].startswith("I1, I5: no ledger was given")
    assert found.not_checked[1] == "I2: nobody said what was acknowledged."


async def test_all_partners_are_read_unless_some_are_named(till: Till, owner: Database, other_tenant: object) -> None:
    await till.payment_in(S.CAPTURED)

    everybody = await verification.verify(owner, await till.ledger(), now=till.here.time)

    assert everybody.partners > 1
    assert not [each for each in everybody.violations if each.tenant_id == till.tenant]


async def test_the_apis_login_is_enough_for_a_partner_that_is_named(till: Till, database: Database) -> None:
    await till.payment_in(S.REFUNDED)

    found = await verification.verify(database, await till.ledger(), now=till.here.time, tenants=[till.tenant])

    assert (found.payments, found.is_right) == (1, True)


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_no_payment_is_lost_between_two_pages(till: Till, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(verification, "PAGE", page)
    monkeypatch.setattr(verification, "NUMBERS_PAGE", page)
    payments = [await till.payment_in(S.AUTHORIZED) for _ in range(3)]
    heard: list[int] = []

    found = await till.verify(acknowledged={each.id: frozenset() for each in payments}, on_page=heard.append)

    assert found.violations == []
    assert (found.payments, found.checked[Invariant.I7]) == (3, 6)
    assert heard[-1] == 3


async def test_a_payment_whose_idempotency_keys_were_forgotten_is_right(till: Till, parts: Parts, watch: Database) -> None:
    for state in SETTLED:
        await till.payment_in(state)
    till.here.pass_by((KEEP + timedelta(days=1)).total_seconds())

    forgotten = await Reaper(parts, watch).run_once()

    found = await till.verify()
    assert forgotten >= 10
    assert found.violations == []
    assert (found.payments, found.checked[Invariant.I5], found.checked[Invariant.I9]) == (6, 6, 12)


async def test_flags_are_counted_and_excuse_what_they_are_for(till: Till) -> None:
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "stores_key": False}]})
    payment = await till.authorize()

    found = await till.verify()

    assert found.violations == []
    assert found.flags == {ReviewReason.POSSIBLE_ORPHAN_HOLD: 1}
    assert payment.review_reasons == {ReviewReason.POSSIBLE_ORPHAN_HOLD}


async def test_a_second_hold_that_an_operator_has_looked_into_is_right(till: Till, parts: Parts) -> None:
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "stores_key": False}]})
    payment = await till.authorize()
    word = Word(Acknowledge(ReviewReason.POSSIBLE_ORPHAN_HOLD), "ada", "the bank lets the other one go")

    await settle_payment(parts, till.tenant, payment.id, word)

    found = await till.verify()
    assert (found.violations, found.flags) == ([], {})
    assert len((await till.ledger())["authorizations"]) == 2


async def test_what_an_operator_said_of_a_stuck_authorization_is_compared(till: Till, parts: Parts, recovery: Recovery) -> None:
    await till.control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "count": 3, "stores_key": False}]})
    payment = await till.authorize()
    till.here.pass_by(24 * 3600)
    await recovery.run_once()
    first, *_ = (await till.ledger())["authorizations"]

    await settle_payment(
        parts, till.tenant, payment.id, Word(ConfirmDone(Verb.AUTHORIZE, first["authorization_id"]), "ada", "told")
    )

    found = await till.verify()
    assert found.violations == []
    assert found.checked[Invariant.I5] == 1


async def test_a_payment_that_rests_for_an_operator_is_counted_and_is_no_violation(till: Till, recovery: Recovery) -> None:
    await till.payment_in(S.PENDING)
    till.here.pass_by(24 * 3600)
    await recovery.run_once()

    found = await till.verify()

    assert found.violations == []
    assert (found.resting, found.under_way) == (1, 0)
    assert found.flags == {ReviewReason.BANK_KEY_EXPIRED: 1}


async def test_a_payment_on_which_the_bank_disagrees_is_not_compared_and_told(till: Till) -> None:
    payment = await till.payment_in(S.AUTHORIZED)
    void = {"authorization_id": payment.bank.authorization}
    await till.line.inner.handle_async_request(
        httpx.Request("POST", "http://bank/api/v1/voids", json=void, headers={"Idempotency-Key": "somebody's"})
    )
    before = await till.breaches()

    await till.operate(Verb.CAPTURE, payment)

    found = await till.verify()
    assert before == {Breach.STATES_DIFFER}
    assert (found.violations, found.disputed, found.strangers, found.checked[Invariant.I5]) == ([], 1, 1, 0)
    assert found.not_checked[0] == "I5: payments with the flag BANK_DISAGREES, which an operator has to compare: 1."


async def test_what_is_not_a_ledger_is_refused(till: Till) -> None:
    with pytest.raises(NotALedger, match="no list of captures"):
        await till.verify({"authorizations": []})


async def test_effects_under_keys_of_another_kind_are_strangers(till: Till) -> None:
    await till.payment_in(S.CAPTURED)
    document = await till.ledger()
    document["authorizations"].append(
        {**document["authorizations"][0], "idempotency_key": "another's", "authorization_id": "auth_x"}
    )

    found = await till.verify(document)

    assert (found.strangers, found.is_right) == (1, True)


async def test_a_bank_that_is_not_ours_alone_may_know_keys_that_we_dont(till: Till) -> None:
    await till.payment_in(S.CAPTURED)
    document = await till.ledger()
    document["authorizations"].append({**document["authorizations"][0], "idempotency_key": "att_x", "authorization_id": "auth_x"})

    alone, shared = await till.verify(document), await till.verify(document, bank_is_ours=False)

    assert [each.breach for each in alone.violations] == [Breach.UNKNOWN_KEY]
    assert (shared.is_right, shared.unclaimed) == (True, 1)
    assert shared.not_checked[0].endswith("another partner's or another installation's: 1.")


async def test_a_payment_that_moved_after_the_ledger_was_read_is_judged_by_a_newer_one(till: Till) -> None:
    payment = await till.payment_in(S.AUTHORIZED)
    document = await till.ledger()
    await till.operate(Verb.CAPTURE, payment)

    hasty = await till.breaches(document)
    patient = await till.verify(document, look_again=till.ledger)

    assert hasty == {Breach.STATES_DIFFER}
    assert patient.violations == []
    assert (patient.moving, patient.checked[Invariant.I5]) == (0, 1)


async def test_a_payment_that_moves_during_the_second_look_is_looked_at_again(till: Till) -> None:
    payment = await till.payment_in(S.AUTHORIZED)
    document = await till.ledger()
    await till.operate(Verb.CAPTURE, payment)
    looks: list[str] = []

    async def look_again() -> object:
        looks.append("look")
        older = await till.ledger()
        if len(looks) == 1:
            await till.operate(Verb.REFUND, payment)
        return older

    found = await till.verify(document, look_again=look_again)

    assert found.violations == []
    assert looks == ["look", "look"]


async def test_a_payment_that_never_stands_still_is_told_and_not_judged(till: Till, owner: Database) -> None:
    payment = await till.payment_in(S.AUTHORIZED)
    stale = await till.ledger()
    await till.operate(Verb.CAPTURE, payment)
    reasons = iter(ReviewReason)

    async def look_again() -> object:
        await till.sql("update payments set review_reasons = array[:reason]", reason=next(reasons).value)
        return stale

    found = await till.verify(stale, look_again=look_again)

    assert found.violations == []
    assert found.moving == 1
    assert found.not_checked[0] == "I1, I5: payments that changed each time they were looked at: 1."


async def test_what_is_wrong_for_good_is_found_by_the_second_look(till: Till) -> None:
    await till.payment_in(S.CAPTURED)
    document = await till.ledger()
    document["captures"].clear()

    async def look_again() -> object:
        return document

    found = await till.verify(document, look_again=look_again)

    assert [each.breach for each in found.violations] == [Breach.STATES_DIFFER]


async def test_contested_payments_are_settled_before_there_are_too_many(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PAGE", 1)
    monkeypatch.setattr(verification, "MAX_CONTESTED", 2)
    for _ in range(3):
        await till.payment_in(S.AUTHORIZED)
    looks: list[str] = []

    async def look_again() -> object:
        looks.append("look")
        return await till.ledger()

    empty = {**await till.ledger(), "authorizations": []}
    found = await till.verify(empty, look_again=look_again)

    assert found.violations == []
    assert len(looks) == 2


async def test_no_more_violations_are_kept_than_anybody_reads_and_all_are_counted(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MAX_KEPT", 2)
    for _ in range(3):
        await till.payment_in(S.AUTHORIZED)

    found = await till.verify({**await till.ledger(), "authorizations": []})

    assert len(found.violations) == 2
    assert found.broken == {Invariant.I1: 3}
    assert not found.is_right


async def test_waiting_ends_when_nothing_is_open(till: Till, owner: Database) -> None:
    await till.payment_in(S.PENDING)

    async def sleep(seconds: float) -> None:
        till.here.pass_by(seconds)
        await till.recovery.run_once()

    world = till.here.world
    left = await verification.wait_until_settled(
        owner, type(world)(world.now, world.random, world.random_bits, sleep), wait_s=120, tenants=[till.tenant]
    )

    assert left == 0
    assert (await till.verify()).under_way == 0


async def test_waiting_ends_in_time_and_says_what_is_open(till: Till, owner: Database) -> None:
    await till.payment_in(S.PENDING)
    began = till.here.time

    left = await verification.wait_until_settled(owner, till.here.world, wait_s=10, tenants=[till.tenant])

    assert left == 1
    assert (till.here.time - began).total_seconds() == 10


async def test_waiting_does_not_wait_for_an_operator(till: Till, owner: Database) -> None:
    await till.payment_in(S.PENDING)
    await till.sql("update payments set review_reasons = array['BANK_KEY_EXPIRED']")

    async with owner.tenant(till.tenant) as tx:
        assert await count_unsettled_attempts(tx, till.tenant) == 0


async def test_waiting_outlasts_a_database_that_is_away_and_says_so_when_it_stays_away(till: Till) -> None:
    nowhere = Database("postgresql://nobody:nothing@127.0.0.1:1/none")

    with pytest.raises(DatabaseAway):
        await verification.wait_until_settled(nowhere, till.here.world, wait_s=2, tenants=[till.tenant])

    assert till.here.slept[-4:] == [verification.WAIT_STEP_S] * 4
