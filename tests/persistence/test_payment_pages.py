"""Pages: whatever the filter, the size and the direction, every payment once and in order."""

from datetime import UTC, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from domain.card import CardBrand, CardSummary
from domain.money import Money
from domain.payment import Payment, PaymentState, ReviewReason, review
from gateway.attempts import begin_authorizations
from persistence.payment_pages import Cursor, PaymentFilter, count_payments, cursor_of, page_of_payments
from persistence.payments import get_payments, lock_payments, save_payments


def paid(page):
    """The payments of a page."""
    return [each.payment for each in page.standings]


@pytest.fixture(scope="module")
def shelf():
    """The payments of this module's one partner, put there by the first test."""
    return {}


@pytest.fixture
async def filled(shelf, parts, tenant, wish, here, database):
    """A partner with thirty payments, some of them in the same instant."""
    if not shelf:
        for index in range(30):
            if index % 3 == 0:
                here.pass_by(1)
            request = wish(customer=f"customer-{index % 2}", amount=100 + index)
            await begin_authorizations(parts, tenant, [request])
        async with database.tenant(tenant) as tx:
            page = await page_of_payments(tx, tenant, PaymentFilter(), limit=100)
        shelf.update(tenant=tenant, payments=paid(page))
    return shelf["tenant"], shelf["payments"]


async def test_the_newest_come_first_and_ties_have_an_order(filled):
    _, payments = filled

    assert len(payments) == 30
    assert payments == sorted(payments, key=lambda each: (each.created_at, each.id), reverse=True)


@given(size=st.integers(1, 12), backward=st.booleans(), customer=st.sampled_from([None, "customer-0", "customer-1", "nobody"]))
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_walking_the_pages_meets_every_payment_once(filled, database, size, backward, customer):
    tenant, payments = filled
    expected = [each for each in payments if customer in (None, each.customer_id)]
    where = PaymentFilter(customer_id=customer)

    met, cursor, more = [], None, True
    while more:
        async with database.tenant(tenant) as tx:
            bounds = {"before" if backward else "after": cursor}
            page = await page_of_payments(tx, tenant, where, limit=size, backward=backward, **bounds)
        met = paid(page) + met if backward else met + paid(page)
        more = page.has_previous if backward else page.has_next
        cursor = cursor_of(paid(page)[0 if backward else -1]) if more else None

    assert met == expected


async def test_a_filter_has_to_hold_in_every_part(filled, database):
    tenant, payments = filled
    middle = payments[15].created_at
    where = PaymentFilter(
        customer_id="customer-1",
        states=[PaymentState.PENDING],
        created_after=middle - timedelta(seconds=2),
        created_before=middle,
        min_amount=100,
        max_amount=125,
    )

    async with database.tenant(tenant) as tx:
        page = await page_of_payments(tx, tenant, where, limit=100)
        count = await count_payments(tx, tenant, where)

    assert paid(page) == [
        each
        for each in payments
        if each.customer_id == "customer-1"
        and middle - timedelta(seconds=2) <= each.created_at < middle
        and 100 <= each.amount.minor_units <= 125
    ]
    assert count == len(paid(page)) > 0


async def test_what_needs_review_is_found_through_its_own_index(filled, database):
    tenant, payments = filled
    flagged = payments[3::9]
    scans = text("select pg_stat_get_xact_numscans('payments_to_review'::regclass)")

    async with database.tenant(tenant) as tx:
        locked = await lock_payments(tx, tenant, [each.id for each in flagged])
        await save_payments(tx, tenant, [review(each, ReviewReason.BANK_DISAGREES) for each in locked.values()])
    async with database.tenant(tenant) as tx:
        page = await page_of_payments(tx, tenant, PaymentFilter(needs_review=True), limit=2)
        count = await count_payments(tx, tenant, PaymentFilter(needs_review=True))
        scanned = (await tx.execute(scans)).scalar_one()
        others = await count_payments(tx, tenant, PaymentFilter(needs_review=False))
    async with database.tenant(tenant) as tx:
        await save_payments(tx, tenant, flagged)

    assert [each.id for each in paid(page)] == [each.id for each in flagged[:2]]
    assert page.has_next
    assert (count, others) == (len(flagged), 30 - len(flagged))
    assert scanned == 2


async def test_no_state_asked_for_is_no_payment(filled, database):
    tenant, _ = filled

    async with database.tenant(tenant) as tx:
        page = await page_of_payments(tx, tenant, PaymentFilter(states=[]), limit=10)

    assert paid(page) == []
    assert not page.has_next


async def test_a_page_stays_the_same_while_new_payments_arrive(filled, database, parts, wish, here):
    tenant, payments = filled
    cursor = cursor_of(payments[10])
    async with database.tenant(tenant) as tx:
        before = await page_of_payments(tx, tenant, PaymentFilter(), limit=5, after=cursor)

    here.pass_by(3600)
    (begun,) = await begin_authorizations(parts, tenant, [wish(customer="late")])
    async with database.tenant(tenant) as tx:
        after = await page_of_payments(tx, tenant, PaymentFilter(), limit=5, after=cursor)
        newest = await page_of_payments(tx, tenant, PaymentFilter(), limit=1)

    assert after == before
    assert paid(newest)[0].id == begun.payment.id


async def test_what_is_read_is_what_was_written(parts, tenant, wish, database):
    (begun,) = await begin_authorizations(parts, tenant, [wish(order="Ünïcode 🛋", customer="c")])

    async with database.tenant(tenant) as tx:
        found = await get_payments(tx, tenant, [begun.payment.id, uuid4()])

    assert found == {begun.payment.id: begun.payment}


@given(st.text(max_size=60))
@settings(derandomize=True)
def test_only_our_own_cursors_are_taken(text):
    cursor = Cursor.decode(text)

    assert cursor is None or cursor.encode() == text


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
@settings(derandomize=True)
def test_a_cursor_survives_its_way_through_the_client(at, payment_id):
    payment = Payment(
        id=payment_id,
        order_id="o",
        customer_id="c",
        amount=Money(1),
        card=CardSummary(CardBrand.VISA, "1111"),
        state=PaymentState.PENDING,
        reached={PaymentState.PENDING: at},
    )

    assert Cursor.decode(cursor_of(payment).encode()) == Cursor(at, payment_id)
