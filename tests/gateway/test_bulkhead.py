"""Slots for calls to the bank: never more than there are, never more for a partner than its share, and turns in between."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.payment import PaymentState
from gateway.attempts import LEASE_S, begin_authorizations
from gateway.bulkhead import Bulkhead
from gateway.driving import CALL_S, drive
from gateway.recovery import Recovery
from persistence.payments import get_payments

ONE, OTHER, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)
SOON, LONG_S = 0.0, 60.0


async def test_a_partner_gets_its_share_and_no_more_and_the_others_find_room():
    bulkhead = Bulkhead(slots=4, share=2)

    async with AsyncExitStack() as held:
        mine = [await held.enter_async_context(bulkhead.slot(ONE, SOON)) for _ in range(3)]
        others = [await held.enter_async_context(bulkhead.slot(OTHER, SOON)) for _ in range(3)]

    assert mine == [True, True, False]
    assert others == [True, True, False]


async def test_a_slot_that_is_given_back_goes_to_the_oldest_call_of_the_partner_whose_turn_it_is():
    bulkhead, order = Bulkhead(slots=1, share=1), []

    async def call(tenant, name):
        async with bulkhead.slot(tenant, LONG_S) as has_slot:
            assert has_slot
            order.append(name)

    async with bulkhead.slot(THIRD, SOON):
        calls = [
            asyncio.create_task(call(*each)) for each in ((ONE, "a1"), (ONE, "a2"), (ONE, "a3"), (OTHER, "b1"), (OTHER, "b2"))
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*calls)

    assert order == ["a1", "b1", "a2", "b2", "a3"]


async def test_who_gives_up_or_is_cancelled_takes_no_slot_with_it():
    bulkhead = Bulkhead(slots=1, share=1)

    async def call():
        async with bulkhead.slot(ONE, LONG_S):
            pass

    async with bulkhead.slot(OTHER, SOON):
        async with bulkhead.slot(ONE, SOON) as has_slot:
            assert not has_slot
        cancelled = asyncio.create_task(call())
        await asyncio.sleep(0)
        cancelled.cancel()
        late = asyncio.create_task(call())
        await asyncio.sleep(0)
    late.cancel()  # in the very moment in which the slot has come
    await asyncio.gather(cancelled, late, return_exceptions=True)

    async with bulkhead.slot(THIRD, SOON) as has_slot:
        assert has_slot


async def test_a_payment_that_gets_no_slot_is_left_to_recovery_and_nobody_suspects_a_second_hold(
    parts, tenant, wish, here, database, watch, line
):
    async def nothing_comes(*_):
        here.pass_by(LEASE_S - CALL_S)

    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    crowded = replace(parts, bank_slots=Bulkhead(slots=0, wait=nothing_comes))

    resolution = await drive(crowded, tenant, begun.attempt, begun.payment)
    here.pass_by(60)
    await Recovery(parts, watch).run_once()

    async with database.tenant(tenant) as tx:
        payment = (await get_payments(tx, tenant, [begun.payment.id]))[begun.payment.id]
    assert resolution is None
    assert len(line.requests) == 1
    assert payment.state is PaymentState.AUTHORIZED
    assert not payment.review_reasons


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    calls=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3), st.booleans()), max_size=40),
    slots=st.integers(1, 5),
    share=st.integers(1, 5),
)
def test_whatever_comes_and_goes_no_limit_is_passed_and_no_slot_is_lost(calls, slots, share):
    """Each call: whose, for how many turns of the loop it holds its slot, and whether it is cancelled on the way."""

    async def play():
        bulkhead, taken, peak, peak_of = Bulkhead(slots, share), [], 0, 0

        async def call(tenant, turns):
            nonlocal peak, peak_of
            async with bulkhead.slot(UUID(int=tenant), LONG_S) as has_slot:
                assert has_slot
                taken.append(tenant)
                peak, peak_of = max(peak, len(taken)), max(peak_of, taken.count(tenant))
                try:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                finally:
                    taken.remove(tenant)

        tasks = []
        for tenant, turns, is_cancelled in calls:
            tasks.append(asyncio.create_task(call(tenant, turns)))
            await asyncio.sleep(0)
            if is_cancelled:
                tasks[-1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(each is None or isinstance(each, asyncio.CancelledError) for each in done)
        async with AsyncExitStack() as held:
            left = [await held.enter_async_context(bulkhead.slot(UUID(int=100 + n), SOON)) for n in range(slots + 1)]
        return peak, peak_of, left

    peak, peak_of, left = asyncio.run(play())

    assert peak <= slots
    assert peak_of <= min(slots, share)
    assert left == [True] * slots + [False]
