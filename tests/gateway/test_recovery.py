"""After a crash: whoever takes over climbs the same stairs, and whoever wakes up late is fenced out."""

import asyncio
from dataclasses import replace

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from domain.payment import Authorized, PaymentState, ReviewReason, Verb
from gateway.attempts import LEASE_S, Begun, Finding, begin_authorizations, begin_operations, finish
from gateway.driving import call_of, drive
from gateway.recovery import Recovery
from persistence.database import Database, DatabaseAway
from persistence.payments import get_payments


async def payment_of(database, tenant, payment_id):
    async with database.tenant(tenant) as tx:
        return (await get_payments(tx, tenant, [payment_id]))[payment_id]


async def test_a_request_that_died_before_the_bank_was_asked_is_recovered_when_its_lease_runs_out(
    parts, tenant, wish, recovery, here, database, ledger
):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])

    too_early = await recovery.run_once()
    here.pass_by(LEASE_S + 1)
    in_time = await recovery.run_once()

    payment = await payment_of(database, tenant, begun.payment.id)
    assert (too_early, in_time) == (0, 1)
    assert payment.state is PaymentState.AUTHORIZED
    assert len((await ledger())["authorizations"]) == 1


async def test_a_request_that_died_after_the_bank_acted_is_recovered_without_a_second_effect(
    parts, tenant, wish, recovery, here, database, ledger
):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    await parts.bank.send(await call_of(parts, tenant, begun.attempt, begun.payment), begun.attempt.bank_key)

    here.pass_by(LEASE_S + 1)
    await recovery.run_once()

    payment = await payment_of(database, tenant, begun.payment.id)
    assert payment.state is PaymentState.AUTHORIZED
    assert not payment.review_reasons
    assert len((await ledger())["authorizations"]) == 1


async def test_a_capture_that_died_after_the_bank_acted_ends_captured(
    parts, tenant, authorized, on, recovery, here, database, ledger
):
    payment = await authorized()
    (begun,) = await begin_operations(parts, tenant, [(Verb.CAPTURE, on(payment.id))])
    await parts.bank.send(await call_of(parts, tenant, begun.attempt, begun.payment), begun.attempt.bank_key)

    here.pass_by(LEASE_S + 1)
    await recovery.run_once()

    after = await payment_of(database, tenant, payment.id)
    assert after.state is PaymentState.CAPTURED
    assert after.bank.capture == (await ledger())["captures"][0]["capture_id"]


async def test_two_workers_share_the_work_and_do_nothing_twice(parts, tenant, wish, watch, recovery, here, database, line):
    requests = [wish() for _ in range(20)]
    begun = await begin_authorizations(parts, tenant, requests)
    here.pass_by(LEASE_S + 1)

    counts = await asyncio.gather(recovery.run_once(), type(recovery)(parts, watch).run_once())

    assert sum(counts) == 20
    assert len(line.requests) == len(set(line.keys)) == 20
    for each in begun:
        assert (await payment_of(database, tenant, each.payment.id)).state is PaymentState.AUTHORIZED


async def test_who_wakes_up_after_the_lease_is_fenced_out(parts, tenant, wish, recovery, here, database):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    here.pass_by(LEASE_S + 1)
    await recovery.run_once()
    settled = await payment_of(database, tenant, begun.payment.id)

    closed = await finish(parts, tenant, [Finding(begun.attempt, Authorized(settled.bank.authorization))])

    assert closed == {}
    assert await payment_of(database, tenant, begun.payment.id) == settled


async def test_an_answer_that_comes_too_late_with_another_hold_is_flagged(parts, tenant, wish, recovery, here, database):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    here.pass_by(LEASE_S + 1)
    await recovery.run_once()

    await finish(parts, tenant, [Finding(begun.attempt, Authorized("auth_of-another-hold"))])

    after = await payment_of(database, tenant, begun.payment.id)
    assert after.state is PaymentState.AUTHORIZED
    assert after.bank.authorization != "auth_of-another-hold"
    assert after.review_reasons == {ReviewReason.POSSIBLE_ORPHAN_HOLD}


async def test_who_lost_the_lease_does_not_ask_the_bank_again(parts, tenant, wish, here, line, recovery):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])

    async def long_silence(request):
        here.pass_by(LEASE_S + 1)
        await recovery.run_once()
        return await line.inner.handle_async_request(request)

    async def nothing(request):
        raise AssertionError("the bank is asked by two")

    line.accidents = ["reset"]
    parts = replace(parts, world=replace(parts.world, sleep=_asleep_for_long(here, recovery)))

    resolution = await drive(parts, tenant, begun.attempt, begun.payment)

    assert resolution is None
    assert len(line.requests) == 2  # the lost try, and recovery's


def _asleep_for_long(here, recovery):
    async def sleep(_):
        here.pass_by(LEASE_S + 1)
        await recovery.run_once()

    return sleep


async def test_a_lease_that_waiting_for_a_slot_has_used_up_is_renewed_before_the_call(parts, tenant, wish, here, database):
    (begun,) = await begin_authorizations(parts, tenant, [wish(key="slow")])
    here.pass_by(LEASE_S - 1)

    resolution = await drive(parts, tenant, begun.attempt, begun.payment)

    assert resolution.payment.state is PaymentState.AUTHORIZED


async def test_a_database_that_is_away_for_a_moment_when_the_bank_answers_is_waited_for(
    gateway, tenant, wish, line, recovery, database_urls
):
    async def cut(bank_request):
        response = await line.inner.handle_async_request(bank_request)
        await response.aread()
        await _cut_connections(database_urls)
        return httpx_response(response)

    line.accidents = [cut]

    answer = await gateway.authorize(tenant, wish())

    assert answer.payment.state is PaymentState.AUTHORIZED
    assert await recovery.run_once() == 0


async def test_a_database_that_stays_away_leaves_the_attempt_to_recovery(parts, tenant, wish, recovery, here, database):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    nowhere = replace(parts, database=Database("postgresql://nobody:nothing@127.0.0.1:1/none"))

    with pytest.raises(DatabaseAway):
        await drive(nowhere, tenant, begun.attempt, begun.payment)
    waited_s = sum(here.slept)
    here.pass_by(LEASE_S)
    await recovery.run_once()

    assert LEASE_S - 1 <= waited_s <= LEASE_S
    assert (await payment_of(database, tenant, begun.payment.id)).state is PaymentState.AUTHORIZED


def httpx_response(response):
    return httpx.Response(response.status_code, headers=response.headers, content=response.content)


async def _cut_connections(database_urls):
    connection = await asyncpg.connect(database_urls.owner)
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_the_worker_outlasts_a_database_that_is_away_and_stops_when_it_is_told_to(
    parts, tenant, wish, watch, here, database
):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    here.pass_by(LEASE_S + 1)
    stopped = asyncio.Event()
    nowhere, looks = Database("postgresql://nobody:nothing@127.0.0.1:1/none"), []

    class Watch:
        """Away at the first look, there at the second, after which the worker is told to stop."""

        def without_tenant(self):
            looks.append(1)
            if len(looks) == 2:
                stopped.set()
            return (nowhere if len(looks) == 1 else watch).without_tenant()

    async with asyncio.timeout(30):
        await Recovery(parts, Watch()).run(stopped)

    assert len(looks) == 2
    assert (await payment_of(database, tenant, begun.payment.id)).state is PaymentState.AUTHORIZED


@pytest.mark.parametrize("count", [1, 7])
async def test_many_requests_begin_and_finish_in_one_transaction_each(parts, tenant, wish, database, count):
    requests = [wish() for _ in range(count)]

    begun = await begin_authorizations(parts, tenant, requests)
    closed = await finish(parts, tenant, [Finding(each.attempt, Authorized(f"auth_{index}")) for index, each in enumerate(begun)])

    assert all(isinstance(each, Begun) for each in begun)
    assert {resolution.payment.state for resolution in closed.values()} == {PaymentState.AUTHORIZED}
    assert len(closed) == count


async def test_a_bad_row_in_a_batch_fails_alone(parts, tenant, wish, database):
    twin = wish(order="twin")
    requests = [wish(key="a"), wish(key="a", order="elsewhere"), twin, wish(order="twin"), twin, wish()]

    answers = await begin_authorizations(parts, tenant, requests)

    assert [type(answer).__name__ for answer in answers] == [
        "Begun",
        "IdempotencyMismatch",
        "Begun",
        "OrderAlreadyPaid",
        "Known",
        "Begun",
    ]
    async with database.tenant(tenant) as tx:
        count = (await tx.execute(text("select count(*) from payments where tenant_id = :t"), {"t": tenant})).scalar_one()
    assert count == 3


async def test_a_batch_of_operations_on_one_payment_lets_one_through(parts, tenant, authorized, on):
    payment = await authorized()
    capture = on(payment.id, key="c")
    requests = [(Verb.CAPTURE, capture), (Verb.VOID, on(payment.id)), (Verb.CAPTURE, capture), (Verb.REFUND, on(payment.id))]

    answers = await begin_operations(parts, tenant, requests)

    assert [type(answer).__name__ for answer in answers] == ["Begun", "InvalidTransition", "Known", "InvalidTransition"]


async def test_every_state_change_has_one_event_in_a_gapless_sequence(parts, gateway, tenant, wish, operate, database):
    payments = [(await gateway.authorize(tenant, wish())).payment for _ in range(3)]
    await asyncio.gather(*(operate(Verb.CAPTURE, payment.id) for payment in payments))
    await operate(Verb.REFUND, payments[0].id)

    async with database.tenant(tenant) as tx:
        rows = (
            await tx.execute(
                text(
                    "select sequence, type, previous_state, payment ->> 'state' as state from events where tenant_id = :t order by 1"
                ),
                {"t": tenant},
            )
        ).all()
    assert [row.sequence for row in rows] == list(range(1, 11))
    assert sorted(row.type for row in rows) == sorted(
        ["payment.created", "payment.authorized", "payment.captured"] * 3 + ["payment.refunded"]
    )
    assert all(row.type == "payment.created" or row.previous_state for row in rows)
    assert all(row.type.removeprefix("payment.").replace("created", "pending") == row.state.lower() for row in rows)
