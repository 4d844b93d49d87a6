"""The audit log: what is recorded stays as it was, and is found again page by page."""

from dataclasses import replace

import pytest
from sqlalchemy import exc, text

from domain.audit import RECONCILIATION, AuditEntry
from domain.event import Event, EventType, Subject
from domain.ids import IdKind
from domain.payment import ReviewReason, review
from gateway.attempts import begin_authorizations
from persistence.audit import newest_entries, record
from persistence.events import append_events, page_of_events


@pytest.fixture
async def payment(parts, tenant, wish):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    return begun.payment


@pytest.fixture
def entry(here, payment):
    """Makes entries, a second apart."""

    def make(**how):
        here.pass_by(1)
        usual = {"actor": "ada", "action": "payment.reason_acknowledged", "payment_id": payment.id, "note": "seen"}
        return AuditEntry(id=here.world.new_uuid(), at=here.time, **{**usual, **how})

    return make


async def test_what_is_recorded_is_read_as_it_was(database, tenant, payment, entry):
    flagged = review(payment, ReviewReason.POSSIBLE_ORPHAN_HOLD)
    entries = [
        entry(before=flagged, after=payment, note="the bank has released it – “ok”"),
        entry(actor=RECONCILIATION, payment_id=None, note=""),
    ]

    async with database.tenant(tenant) as tx:
        await record(tx, tenant, entries)
        found = await newest_entries(tx, tenant, limit=10)

    assert found == entries[::-1]


async def test_pages_meet_every_entry_once_newest_first(database, tenant, parts, wish, payment, entry):
    (other,) = await begin_authorizations(parts, tenant, [wish()])
    entries = [entry(payment_id=other.payment.id if index % 3 == 0 else payment.id) for index in range(8)]
    async with database.tenant(tenant) as tx:
        await record(tx, tenant, entries)

    async def walk(**of):
        met, last = [], None
        async with database.tenant(tenant) as tx:
            while page := await newest_entries(tx, tenant, **of, older_than=last, limit=3):
                met, last = met + page, page[-1].id
        return met

    assert await walk() == entries[::-1]
    assert await walk(payment_id=payment.id) == [each for each in entries[::-1] if each.payment_id == payment.id]


async def test_another_partner_finds_nothing_and_can_not_write_into_the_log(database, tenant, other_tenant, payment, entry):
    one = entry(before=review(payment, ReviewReason.BANK_DISAGREES), after=payment)
    async with database.tenant(tenant) as tx:
        await record(tx, tenant, [one])

    async with database.tenant(other_tenant) as tx:
        assert await newest_entries(tx, other_tenant, limit=10) == []
        assert await newest_entries(tx, tenant, limit=10) == []
    with pytest.raises(exc.DBAPIError, match="row-level security"):
        async with database.tenant(other_tenant) as tx:
            await record(tx, tenant, [replace(one, id=payment.id)])


@pytest.mark.parametrize("change", ["update audit_log set note = 'never mind'", "delete from audit_log"])
async def test_the_apis_login_can_not_change_what_is_recorded(database, tenant, entry, change):
    async with database.tenant(tenant) as tx:
        await record(tx, tenant, [entry()])

    with pytest.raises(exc.DBAPIError, match="permission denied"):
        async with database.tenant(tenant) as tx:
            await tx.execute(text(change))


async def test_an_entry_is_recorded_once(database, tenant, entry):
    one = entry()

    with pytest.raises(exc.IntegrityError):
        async with database.tenant(tenant) as tx:
            await record(tx, tenant, [one, one])


async def test_an_entry_and_an_event_of_something_else_than_a_payment_are_written_together(database, tenant, here, entry):
    thing = Subject(IdKind.USER, here.world.new_uuid(), {"state": "ACTIVE"})
    event = Event(here.world.new_uuid(), EventType.USER_CREATED, here.time, thing, None, "key-1")
    told = entry(payment_id=None, action="user.created", subject="usr_1")

    async with database.tenant(tenant) as tx:
        await append_events(tx, tenant, [event], [told])
        found, logged = await newest_entries(tx, tenant, limit=10), await page_of_events(tx, tenant, after=1, limit=10)

    assert found == [told]
    assert [each.event for each in logged] == [event]
