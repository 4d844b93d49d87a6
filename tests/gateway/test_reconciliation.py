"""Every kind of discrepancy, planted at the bank or in our rows: found, done what is to be done, reported, and then at rest."""

import httpx
import pytest

from domain.answer import Performed
from domain.audit import RECONCILIATION
from domain.discrepancy import FLAGS, REPAIRABLE, DiscrepancyKind, Remedy
from domain.payment import (
    Captured,
    Decline,
    DeclineCode,
    Declined,
    Disagreed,
    PaymentState,
    Refunded,
    ReviewReason,
    Verb,
    Voided,
    review,
)
from domain.reconciliation import Counts
from gateway.attempts import Finding, begin_authorizations, begin_operations, finish
from gateway.driving import TRIES_AT_ONCE, call_of
from persistence.attempts import open_attempts_of

DAY_S = 86_400
K = DiscrepancyKind


@pytest.fixture
def behind_our_back(line):
    """Somebody else asks the bank."""

    async def ask(path, **body):
        request = httpx.Request("POST", f"http://bank/api/v1/{path}", json=body, headers={"Idempotency-Key": f"another's {body}"})
        response = await line.inner.handle_async_request(request)
        assert response.status_code == 200

    return ask


@pytest.fixture
def misread(parts, tenant, wish, on, authorized, operate):
    """An operation whose outcome we get wrong: the bank does it (unless it is not asked), and we record `outcome`."""

    async def make(verb, outcome, *, is_asked=True, amount=100):
        if verb is Verb.AUTHORIZE:
            (begun,) = await begin_authorizations(parts, tenant, [wish(amount=amount)])
        else:
            payment = await authorized(amount=amount)
            if verb is Verb.REFUND:
                payment = (await operate(Verb.CAPTURE, payment.id)).payment
            (begun,) = await begin_operations(parts, tenant, [(verb, on(payment.id))])
        if is_asked:
            await parts.bank.send(await call_of(parts, tenant, begun.attempt, begun.payment), begun.attempt.bank_key)
        await finish(parts, tenant, [Finding(begun.attempt, outcome)])
        return begun.payment.id

    return make


DECLINED = Declined(Decline(DeclineCode.INSUFFICIENT_FUNDS, "insufficient funds"))


class Plants:
    """One way for each kind of discrepancy to come about. Each leaves one payment behind, and returns its id."""

    def __init__(self, authorized, operate, misread, behind_our_back, control, line, gateway, tenant, wish, here, recover, parts):
        self.authorized, self.operate, self.misread, self.behind_our_back = authorized, operate, misread, behind_our_back
        self.control, self.line, self.gateway, self.tenant = control, line, gateway, tenant
        self.wish, self.here, self.recover, self.parts = wish, here, recover, parts

    async def hold_expired(self, amount=100):
        payment = await self.authorized(amount=amount)
        await self.control.post(f"/authorizations/{payment.bank.authorization}/expire")
        return payment.id

    async def hold_used_elsewhere(self):
        payment = await self.authorized(amount=100)
        await self.behind_our_back("captures", authorization_id=payment.bank.authorization, amount=100)
        return payment.id

    async def hold_not_used(self):
        return await self.misread(Verb.CAPTURE, Captured("cap_imagined"), is_asked=False)

    async def void_not_done(self):
        return await self.misread(Verb.VOID, Voided("void_imagined"), is_asked=False)

    async def hold_not_released(self):
        payment_id = await self.hold_expired()
        await self.operate(Verb.CAPTURE, payment_id)  # refused; the payment expires, and its release is opened
        async with self.parts.database.tenant(self.tenant) as tx:
            release = (await open_attempts_of(tx, self.tenant, [payment_id]))[payment_id]
        await finish(self.parts, self.tenant, [Finding(release, Disagreed("imagined"))])
        return payment_id

    async def hold_found(self, amount=100, after=("lost answer",)):
        self.line.accidents = [*after, *["reset"] * (TRIES_AT_ONCE - len(after))]
        answer = await self.gateway.authorize(self.tenant, self.wish(amount=amount, key="found"))
        self.line.accidents = []
        self.here.pass_by(DAY_S)
        await self.recover()  # leaves it alone: the bank may have forgotten the key
        return answer.payment.id

    async def orphan_hold(self):
        return await self.misread(Verb.AUTHORIZE, DECLINED)

    async def second_hold(self):
        await self.control.patch("/chaos", json={"faults": [{"kind": "other_id"}]})
        return (await self.authorized(amount=100)).id

    async def reference_found(self, amount=100):
        return await self.misread(Verb.CAPTURE, Captured(None), amount=amount)

    async def void_found(self):
        return await self.misread(Verb.VOID, Voided(None))

    async def refund_found(self):
        return await self.misread(Verb.REFUND, Refunded(None))

    async def other_capture(self):
        return await self.misread(Verb.CAPTURE, Captured("cap_imagined"))

    async def other_void(self):
        return await self.misread(Verb.VOID, Voided("void_imagined"))

    async def other_refund(self):
        return await self.misread(Verb.REFUND, Refunded("ref_imagined"))

    async def refused_but_done(self):
        return await self.misread(Verb.REFUND, Disagreed("imagined"))


@pytest.fixture
def plants(authorized, operate, misread, behind_our_back, control, line, gateway, tenant, wish, here, recover, parts):
    return Plants(authorized, operate, misread, behind_our_back, control, line, gateway, tenant, wish, here, recover, parts)


REPAIRED = {  # how the payment stands right after the run
    "hold_expired": (K.HOLD_EXPIRED, PaymentState.EXPIRED, Verb.VOID),
    "hold_not_released": (K.HOLD_NOT_RELEASED, PaymentState.EXPIRED, Verb.VOID),
    "hold_found": (K.HOLD_FOUND, PaymentState.AUTHORIZED, None),
    "reference_found": (K.REFERENCE_FOUND, PaymentState.CAPTURED, None),
    "void_found": (K.REFERENCE_FOUND, PaymentState.VOIDED, None),
    "refund_found": (K.REFERENCE_FOUND, PaymentState.REFUNDED, None),
}
FLAGGED = {
    "hold_used_elsewhere": K.HOLD_USED_ELSEWHERE,
    "hold_not_used": K.HOLD_NOT_USED,
    "void_not_done": K.HOLD_NOT_USED,
    "orphan_hold": K.ORPHAN_HOLD,
    "second_hold": K.SECOND_HOLD,
    "other_capture": K.OTHER_CAPTURE,
    "other_void": K.OTHER_VOID,
    "other_refund": K.OTHER_REFUND,
    "refused_but_done": K.REFUSED_BUT_DONE,
}


def test_every_kind_is_planted():
    assert {kind for kind, _, _ in REPAIRED.values()} == REPAIRABLE
    assert set(FLAGGED.values()) == set(FLAGS) == set(K) - REPAIRABLE


async def test_what_agrees_is_counted_and_nothing_is_done(authorized, operate, reconcile, standing, ledger):
    payments = [await authorized(amount=100) for _ in range(4)]
    for verb, payment in ((Verb.CAPTURE, payments[1]), (Verb.VOID, payments[2]), (Verb.CAPTURE, payments[3])):
        await operate(verb, payment.id)
    await operate(Verb.REFUND, payments[3].id)
    books, before = await ledger(), [await standing(payment.id) for payment in payments]

    counts, lines = await reconcile()

    assert counts == Counts(agreed=1 + 8)  # one hold at rest, eight operations
    assert lines == []
    assert [await standing(payment.id) for payment in payments] == before
    assert await ledger() == books


@pytest.mark.parametrize("name", REPAIRED)
async def test_what_the_banks_word_settles_is_repaired_once_and_agrees_from_then_on(
    plants, reconcile, standing, audited, recover, ledger, name
):
    kind, state, pending = REPAIRED[name]
    payment_id = await getattr(plants, name)()
    before, books = (await standing(payment_id)).payment, await ledger()

    counts, (line,) = await reconcile()
    after = await standing(payment_id)
    untouched = await ledger() == books
    (entry,) = await audited(payment_id)
    await recover()  # voids the holds that were released
    again, nothing = await reconcile()

    assert (counts.repaired, counts.flagged, counts.unanswered) == (1, 0, 0)
    assert (line.payment_id, line.discrepancy.kind, line.remedy) == (payment_id, kind, Remedy.REPAIRED)
    assert (after.payment.state, after.pending.verb if after.pending else None) == (state, pending)
    assert ReviewReason.RECONCILED not in after.payment.review_reasons
    assert untouched, "the bank was only asked"
    assert (entry.actor, entry.action, entry.before, entry.after) == (
        RECONCILIATION,
        "payment.reconciled",
        before,
        after.payment,
    )
    assert line.discrepancy.ours in entry.note and line.discrepancy.the_banks in entry.note
    assert (again, nothing) == (Counts(agreed=again.agreed), [])
    assert len(await audited(payment_id)) == 1


@pytest.mark.parametrize("name", FLAGGED)
async def test_what_only_a_person_can_settle_is_flagged_and_reported_for_as_long_as_it_lasts(
    plants, reconcile, standing, audited, ledger, name
):
    kind = FLAGGED[name]
    payment_id = await getattr(plants, name)()
    before, books = (await standing(payment_id)).payment, await ledger()

    counts, lines = await reconcile()
    after = (await standing(payment_id)).payment

    assert (counts.repaired, counts.flagged) == (0, 1)
    assert [(line.payment_id, line.discrepancy.kind, line.remedy) for line in lines] == [(payment_id, kind, Remedy.FLAGGED)]
    assert after == review(before, FLAGS[kind])
    changed = [("payment.flagged", before, after)] if after != before else []  # a refusal by the bank is flagged when it happens
    assert [(entry.action, entry.before, entry.after) for entry in await audited(payment_id)] == changed
    assert await ledger() == books


async def test_a_hold_used_elsewhere_is_in_every_report_and_changes_nothing_twice(plants, reconcile, standing, audited):
    payment_id = await plants.hold_used_elsewhere()
    await reconcile()
    flagged = await standing(payment_id)

    counts, lines = await reconcile()

    assert counts.flagged == 1
    assert [line.discrepancy.kind for line in lines] == [K.HOLD_USED_ELSEWHERE]
    assert await standing(payment_id) == flagged
    assert len(await audited(payment_id)) == 1


async def test_a_repaired_capture_can_be_refunded(plants, reconcile, operate, standing):
    payment_id = await plants.reference_found()
    refused = await operate(Verb.REFUND, payment_id)
    await reconcile()

    refunded = await operate(Verb.REFUND, payment_id)

    assert not isinstance(refused, Performed)
    assert refunded.payment.state is PaymentState.REFUNDED
    assert not (await standing(payment_id)).payment.review_reasons


async def test_a_hold_that_was_found_answers_the_request_that_asked_for_it(
    plants, reconcile, gateway, tenant, wish, standing, parts
):
    payment_id = await plants.hold_found()
    order = (await standing(payment_id)).payment.order_id
    await reconcile()

    replayed = await gateway.authorize(tenant, wish(key="found", order=order, amount=100))

    assert (replayed.payment.id, replayed.payment.state, replayed.replayed) == (payment_id, PaymentState.AUTHORIZED, True)
    assert replayed.payment.review_reasons == {ReviewReason.POSSIBLE_ORPHAN_HOLD}, "five more tries may have left a hold each"
    assert parts.wakeups.announced


async def test_an_authorization_of_which_the_bank_keeps_nothing_stays_as_it_is(plants, reconcile, standing):
    payment_id = await plants.hold_found(after=("lost key",))
    before = await standing(payment_id)

    counts, lines = await reconcile()

    assert counts == Counts(agreed=1)
    assert lines == []
    assert await standing(payment_id) == before


async def test_a_reference_that_the_bank_has_lost_too_stays_unknown(operate, authorized, line, reconcile, standing):
    payment = await authorized(amount=100)
    line.accidents = ["lost key"]
    captured = (await operate(Verb.CAPTURE, payment.id)).payment

    counts, lines = await reconcile()

    assert captured.review_reasons == {ReviewReason.CAPTURE_REFERENCE_UNKNOWN}
    assert counts == Counts(agreed=3)  # the authorization, the capture, and its hold: used, as we say
    assert lines == []
    assert (await standing(payment.id)).payment == captured


async def test_a_lost_capture_that_the_bank_never_made_is_found_at_any_age(misread, reconcile, here, standing):
    payment_id = await misread(Verb.CAPTURE, Captured(None), is_asked=False)
    here.pass_by(3 * DAY_S)

    counts, (line,) = await reconcile()

    assert counts == Counts(flagged=1)
    assert line.discrepancy.kind is K.HOLD_NOT_USED
    assert ReviewReason.BANK_DISAGREES in (await standing(payment_id)).payment.review_reasons


async def test_what_a_hold_and_a_key_both_tell_is_one_line_and_counted_once(misread, reconcile):
    """At rest, because the reference is unknown; recent, because it was captured just now."""
    await misread(Verb.CAPTURE, Captured(None), is_asked=False)

    counts, lines = await reconcile()

    assert counts == Counts(agreed=1, flagged=1)
    assert [line.discrepancy.kind for line in lines] == [K.HOLD_NOT_USED]


async def test_an_expired_hold_that_somebody_else_voided_is_told_and_not_voided_again(
    plants, reconcile, behind_our_back, standing
):
    payment_id = await plants.hold_not_released()
    await behind_our_back("voids", authorization_id=(await standing(payment_id)).payment.bank.authorization)

    _, (line,) = await reconcile()

    assert (line.discrepancy.kind, line.remedy) == (K.HOLD_USED_ELSEWHERE, Remedy.FLAGGED)
    assert (await standing(payment_id)).pending is None
