"""How much recovery takes on at a time, and for whom. In a database of its own: nobody else has work due."""

import pytest

from domain.payment import PaymentState
from gateway import recovery as recovery_module
from gateway.attempts import LEASE_S, begin_authorizations
from persistence.attempts import lease_due_attempts
from persistence.payments import get_payments


@pytest.fixture(autouse=True)
def room_for_four(monkeypatch):
    monkeypatch.setattr(recovery_module, "MAX_AT_ONCE", 4)


async def states(database, tenant, begun):
    async with database.tenant(tenant) as tx:
        payments = await get_payments(tx, tenant, [each.payment.id for each in begun])
    return [payment.state for payment in payments.values()]


async def test_one_partners_backlog_does_not_hold_up_another_ones_few(
    parts, tenant, other_tenant, wish, recovery, here, database
):
    many = await begin_authorizations(parts, tenant, [wish() for _ in range(10)])
    few = await begin_authorizations(parts, other_tenant, [wish() for _ in range(2)])
    here.pass_by(LEASE_S + 1)

    started = await recovery.run_once()
    of_few, of_many = await states(database, other_tenant, few), await states(database, tenant, many)
    rounds = [await recovery.run_once() for _ in range(3)]

    assert started == 4
    assert of_few == [PaymentState.AUTHORIZED] * 2
    assert of_many.count(PaymentState.AUTHORIZED) == 2
    assert rounds == [4, 4, 0]


@pytest.mark.parametrize("limit", [1, 3, 10, 50])
async def test_never_more_attempts_are_leased_than_there_is_room_for(parts, tenant, wish, here, database, limit):
    """Whatever plan Postgres makes for it, with statistics and without."""
    await begin_authorizations(parts, tenant, [wish() for _ in range(60)])
    here.pass_by(LEASE_S + 1)

    taken = []
    for _ in range(3):
        async with database.tenant(tenant) as tx:
            leased = await lease_due_attempts(
                tx, tenant, now=here.time, lease_until=here.time, lease_token=here.world.new_uuid(), limit=limit
            )
        taken.append(len(leased))

    assert max(taken) <= limit
