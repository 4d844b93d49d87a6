"""What the checker reads: everything, in pages of one moment each, and also rows that no other query would survive."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain.audit import AuditEntry
from domain.payment import BankReferences, ReviewReason, Verb
from domain.records import History, Terms
from gateway.driving import IN_DOUBT_AFTER
from persistence.audit import record
from persistence.verification import (
    BEGINNING,
    at_one_moment,
    count_unsettled_attempts,
    get_histories,
    page_of_event_numbers,
    page_of_histories,
)

MANY = 100


@pytest.fixture(scope="module")
async def unguarded(owner):
    """This module's database without the constraints that keep broken rows out."""
    async with owner.without_tenant() as tx:
        for statement in (
            "alter table payments drop constraint payments_follow_the_state_machine",
            "alter table payments drop constraint payments_authorized_have_a_hold",
            "alter table attempts drop constraint attempts_closed_forget_the_card",
            "alter table attempts drop constraint attempts_verb_check",
        ):
            await tx.execute(text(statement))


@pytest.fixture
async def captured(gateway, tenant, wish, on):
    """The id of a captured payment."""
    payment = (await gateway.authorize(tenant, wish(order="order-1", customer="customer-1"))).payment
    await gateway.operate(tenant, Verb.CAPTURE, on(payment.id))
    return payment.id


async def history_of(database, tenant) -> History:
    async with database.tenant(tenant) as tx:
        await at_one_moment(tx)
        (history,) = await page_of_histories(tx, tenant, BEGINNING, MANY)
    return history


async def change(owner, tenant, statement, **values):
    async with owner.tenant(tenant) as tx:
        await tx.execute(text(statement), {"tenant": tenant, **values})


async def test_a_payment_comes_with_its_attempts_and_events(database, tenant, captured):
    history = await history_of(database, tenant)

    assert history.tenant_id == tenant
    assert history.payment.id == captured
    assert history.payment.terms == Terms("order-1", "customer-1", 1999, "USD", "VISA", "1111")
    assert sorted(each.verb for each in history.attempts) == ["AUTHORIZE", "CAPTURE"]
    assert not any(each.is_open or each.keeps_card for each in history.attempts)
    assert sorted(each.resolution.state for each in history.attempts) == ["AUTHORIZED", "CAPTURED"]
    assert [(each.sequence, each.type, each.previous_state, each.payment.state) for each in history.events] == [
        (1, "payment.created", None, "PENDING"),
        (2, "payment.authorized", "PENDING", "AUTHORIZED"),
        (3, "payment.captured", "AUTHORIZED", "CAPTURED"),
    ]
    assert {each.payment.terms for each in history.events} == {history.payment.terms}
    assert history.events[-1].payment.bank == history.payment.bank
    assert {each.payment.state: each.occurred_at for each in history.events} == history.payment.reached


async def test_an_open_attempt_keeps_its_card_and_has_no_outcome(gateway, database, tenant, wish, line):
    line.accidents = ["reset"] * IN_DOUBT_AFTER
    await gateway.authorize(tenant, wish())

    history = await history_of(database, tenant)

    (attempt,) = history.open_attempts
    tried = (attempt.tries, attempt.unanswered)
    assert (attempt.keeps_card, attempt.resolution, tried) == (True, None, (IN_DOUBT_AFTER, IN_DOUBT_AFTER))


async def test_pages_join_without_a_seam(gateway, database, tenant, wish):
    made = [(await gateway.authorize(tenant, wish())).payment.id for _ in range(5)]

    read: list[UUID] = []
    async with database.tenant(tenant) as tx:
        while page := await page_of_histories(tx, tenant, read[-1] if read else BEGINNING, 2):
            read += [each.payment.id for each in page]
        again = await get_histories(tx, tenant, [made[3], made[1], uuid4()])

    assert read == sorted(made)
    assert set(again) == {made[1], made[3]}


async def test_a_page_is_of_one_moment_and_writes_nothing(gateway, database, tenant, captured, on):
    async with database.tenant(tenant) as tx:
        await at_one_moment(tx)
        before = await page_of_histories(tx, tenant, BEGINNING, MANY)
        await gateway.operate(tenant, Verb.REFUND, on(captured))
        after = await page_of_histories(tx, tenant, BEGINNING, MANY)
        read_only = (await tx.execute(text("show transaction_read_only"))).scalar_one()

    assert before == after
    assert read_only == "on"
    assert (await history_of(database, tenant)).payment.state == "REFUNDED"


async def test_another_partners_payments_are_not_read(database, captured, other_tenant):
    async with database.tenant(other_tenant) as tx:
        assert await page_of_histories(tx, other_tenant, BEGINNING, MANY) == []


SURPRISES = {
    "a state that there is not": "update payments set state = 'PAID'",
    "a brand and reasons that there are not": "update payments set card_brand = 'x', review_reasons = array['WHAT', null]",
    "the end of time": "update payments set captured_at = 'infinity'",
    "the beginning of time": "update payments set created_at = '-infinity'",
    "the year 1": "update payments set created_at = '0001-01-01Z'",
    "no reference": "update payments set bank_authorization = null",
    "a verb that there is not": "update attempts set verb = 'PAY'",
    "an attempt at the end of time": "update attempts set opened_at = 'infinity', closed_at = 'infinity'",
    "a resolution of null": "update attempts set resolution = 'null'",
    "a resolution that is a number": "update attempts set resolution = '7'",
    "a resolution without a payment": "update attempts set resolution = '{}'",
    "a resolution whose payment is a list": """update attempts set resolution = '{"payment": [1]}'""",
    "an event of an unknown type": "update events set type = 'x', previous_state = 'y'",
    "an event that tells nothing": "update events set payment = '{}'",
    "an event with an amount in words": """update events set payment = '{"amount": {"minor_units": "ten"}}'""",
    "an event with half a cent": """update events set payment = '{"amount": {"minor_units": 19.5}}'""",
    "an event with all the money": """update events set payment = ('{"amount": {"minor_units": ' || repeat('9', 5000) || '}}')::jsonb""",
    "an event of nested things": """update events set payment = '{"state": {"a": []}, "bank": "x"}'""",
}


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("statement", SURPRISES.values(), ids=SURPRISES)
async def test_a_row_that_ought_not_to_exist_is_read(owner, database, tenant, captured, statement):
    before = await history_of(database, tenant)

    await change(owner, tenant, f"{statement} where tenant_id = :tenant")
    after = await history_of(database, tenant)

    assert after != before
    assert all(at.tzinfo for at in after.payment.reached.values())


async def test_what_a_document_does_not_tell_is_none(owner, database, tenant, captured):
    await change(owner, tenant, "update events set payment = '{}' where tenant_id = :tenant")

    event = (await history_of(database, tenant)).events[0]

    assert event.payment.state is None
    assert event.payment.terms == Terms(None, None, None, None, None, None)
    assert event.payment.bank == BankReferences()


async def test_flags_that_the_audit_log_says_were_taken_off_are_settled(gateway, parts, database, tenant, wish, here):
    payment = (await gateway.authorize(tenant, wish())).payment
    flagged = replace(payment, review_reasons=frozenset({ReviewReason.BANK_DISAGREES, ReviewReason.POSSIBLE_ORPHAN_HOLD}))
    settled = replace(payment, review_reasons=frozenset({ReviewReason.BANK_DISAGREES}))
    entries = [
        AuditEntry(id=here.world.new_uuid(), at=here.time, actor="x", action="x", payment_id=payment.id, note="", **both)
        for both in ({"before": flagged, "after": settled}, {"before": payment, "after": flagged}, {"before": flagged}, {})
    ]
    async with database.tenant(tenant) as tx:
        await record(tx, tenant, entries)

    assert (await history_of(database, tenant)).settled == {"POSSIBLE_ORPHAN_HOLD"}


async def test_an_audit_entry_that_ought_not_to_exist_settles_nothing(gateway, owner, database, tenant, wish, here):
    payment = (await gateway.authorize(tenant, wish())).payment
    for document in ("null", "7", "{}", '{"review_reasons": "x"}', '{"review_reasons": {"x": 1}}'):
        await change(
            owner,
            tenant,
            "insert into audit_log (tenant_id, id, at, actor, action, payment_id, note, before, after) "
            "values (:tenant, :id, now(), 'x', 'x', :payment, '', cast(:document as jsonb), cast(:document as jsonb))",
            id=here.world.new_uuid(),
            payment=payment.id,
            document=document,
        )

    assert (await history_of(database, tenant)).settled == frozenset()


async def test_the_numbers_of_events_come_with_the_counter(database, tenant, captured, other_tenant):
    async with database.tenant(tenant) as tx:
        first = await page_of_event_numbers(tx, tenant, 0, 2)
        rest = await page_of_event_numbers(tx, tenant, 2, 2)
    async with database.tenant(other_tenant) as tx:
        nothing = await page_of_event_numbers(tx, other_tenant, 0, 2)

    assert (first, rest, nothing) == (([1, 2], 3, 0), ([3], 3, 0), ([], None, 0))


async def test_open_attempts_are_counted_unless_they_rest_for_an_operator(gateway, owner, database, tenant, wish, line):
    line.accidents = ["reset"] * 12
    for _ in range(2):
        await gateway.authorize(tenant, wish())
    await change(
        owner,
        tenant,
        "update payments set review_reasons = array['BANK_UNINTELLIGIBLE'] where id = (select min(id::text)::uuid from payments "
        "where tenant_id = :tenant)",
    )

    async with database.tenant(tenant) as tx:
        assert await count_unsettled_attempts(tx, tenant) == 1
