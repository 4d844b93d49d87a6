"""Cards expire by their dates: each is closed once, in batches, whosever it is, and its number is erased."""

import asyncio

import pytest
from sqlalchemy import text

from domain.card import CardDetails
from domain.event import EventType
from domain.stored_card import CardReason, CardState, CardTransition
from gateway import card_expiry
from gateway.card_expiry import CardExpiry
from persistence.card_numbers import get_card_numbers
from persistence.card_transitions import get_histories
from persistence.cards import get_cards, lock_cards
from persistence.events import page_of_events
from tests.gateway.kept_cards import keeper

JUNE, JULY = CardDetails("4111111111111111", "123", 6, 2026), CardDetails("4111111111111111", "123", 7, 2026)
TO_JULY_S = 29.5 * 86_400  # from noon of the first of June


@pytest.fixture
def keep(parts, tenant):
    return keeper(parts, tenant, JUNE)


@pytest.fixture
def expiry(parts, watch):
    return CardExpiry(parts.database, watch, parts.world)


@pytest.fixture
async def nothing_else(owner):
    """The tests of a module share a database, and the round looks at all of it."""
    async with owner.without_tenant() as tx:
        await tx.execute(text("update cards set state = 'CLOSED', reason = 'LOST' where state <> 'CLOSED'"))


pytestmark = pytest.mark.usefixtures("nothing_else")


async def test_a_card_is_closed_when_its_month_is_over_and_not_a_second_before(database, tenant, here, keep, expiry):
    kept = await keep()

    here.pass_by(TO_JULY_S - 1)
    before = await expiry.run_once()
    here.pass_by(1)
    after = await expiry.run_once()
    again = await expiry.run_once()

    assert (before, after, again) == (0, 1, 0)
    async with database.tenant(tenant) as tx:
        card = (await get_cards(tx, tenant, [kept.id]))[kept.id]
        ((step,),) = await get_histories(tx, tenant, [kept.id])
        numbers = await get_card_numbers(tx, tenant, [kept.id])
        (logged,) = await page_of_events(tx, tenant, after=0, limit=9)
        entries = (await tx.execute(text("select count(*) from audit_log where tenant_id = :t"), {"t": tenant})).scalar_one()
    assert (card.state, card.reason, card.state_since) == (CardState.CLOSED, CardReason.EXPIRED, here.time)
    assert step == CardTransition(CardState.ACTIVE, CardState.CLOSED, CardReason.EXPIRED, "expiry", here.time)
    assert numbers == {}
    assert (logged.event.type, logged.event.previous_state, logged.event.idempotency_key) == (
        EventType.CARD_CLOSED,
        "ACTIVE",
        None,
    )
    assert entries == 0, "nobody asked for it"


@pytest.mark.parametrize("state", [CardState.INACTIVE, CardState.ACTIVE, CardState.FROZEN])
async def test_a_card_expires_in_whatever_open_state(database, tenant, here, keep, expiry, state):
    kept = await keep(state=state, reason=CardReason.LOST if state is CardState.FROZEN else None)
    later = await keep(customer="customer-2", card=JULY)
    here.pass_by(TO_JULY_S)

    await expiry.run_once()

    async with database.tenant(tenant) as tx:
        found = await get_cards(tx, tenant, [kept.id, later.id])
    assert (found[kept.id].reason, found[later.id].state) == (CardReason.EXPIRED, CardState.ACTIVE)


async def test_all_partners_cards_expire_in_batches(database, tenant, other_tenant, here, keep, expiry, monkeypatch):
    monkeypatch.setattr(card_expiry, "PAGE", 2)
    for number in range(5):
        await keep(customer=f"customer-{number}")
    await keep(in_tenant=other_tenant)
    here.pass_by(TO_JULY_S)

    closed = await expiry.run_once()

    assert closed == 6
    async with database.tenant(tenant) as tx:
        events = await page_of_events(tx, tenant, after=0, limit=9)
    assert [each.sequence for each in events] == [1, 2, 3, 4, 5]


async def test_two_rounds_at_once_close_each_card_once(database, tenant, here, keep, expiry):
    for number in range(20):
        await keep(customer=f"customer-{number}")
    here.pass_by(TO_JULY_S)

    closed = await asyncio.gather(*(expiry.run_once() for _ in range(3)))

    assert sum(closed) == 20
    async with database.tenant(tenant) as tx:
        assert len(await page_of_events(tx, tenant, after=0, limit=99)) == 20


async def test_a_card_that_somebody_is_busy_with_comes_with_the_next_round(database, tenant, here, keep, expiry):
    kept = await keep()
    here.pass_by(TO_JULY_S)

    async with database.tenant(tenant) as tx:
        await lock_cards(tx, tenant, [kept.id])
        meanwhile = await expiry.run_once()
    afterwards = await expiry.run_once()

    assert (meanwhile, afterwards) == (0, 1)
