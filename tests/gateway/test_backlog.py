"""While the bank is away payments are accepted up to a limit, then new ones are refused, and nothing that was accepted is lost."""

import pytest

from domain.answer import Performed
from domain.payment import PaymentState, Verb
from domain.request import WaitFor
from gateway import backlog, gateway
from gateway.backlog import LOOK_EVERY
from gateway.gateway import Gateway, Overloaded
from persistence.payments import get_payments


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A backlog that three payments fill."""
    monkeypatch.setattr(backlog, "MAX_BACKLOG", 3)


async def fill(parts, front, tenant, wish, line, here):
    """Three payments that the bank was not there for."""
    line.accidents = ["refused"] * 100
    requests = [wish() for _ in range(3)]
    answers = [await front.authorize(tenant, request) for request in requests]
    here.pass_by(LOOK_EVERY.total_seconds())
    return requests, answers


async def test_a_full_backlog_refuses_new_payments_of_that_partner_and_of_no_other(
    parts, gateway, tenant, other_tenant, wish, line, here
):
    await fill(parts, gateway, tenant, wish, line, here)

    with pytest.raises(Overloaded, match="wait for the bank"):
        await gateway.authorize(tenant, wish())
    other = await gateway.authorize(other_tenant, wish())

    assert isinstance(other, Performed)


async def test_a_repetition_is_answered_although_the_backlog_is_full(parts, gateway, tenant, wish, line, here):
    requests, answers = await fill(parts, gateway, tenant, wish, line, here)

    again = await gateway.authorize(tenant, requests[0], WaitFor.ACCEPTANCE)

    assert (again.payment.id, again.replayed) == (answers[0].payment.id, True)


async def test_an_operation_is_refused_too_and_does_not_use_up_its_key(
    parts, gateway, tenant, authorized, wish, line, here, on, recovery
):
    payment = await authorized()
    await fill(parts, gateway, tenant, wish, line, here)
    capture = on(payment.id)

    with pytest.raises(Overloaded):
        await gateway.operate(tenant, Verb.CAPTURE, capture)
    line.accidents = []
    here.pass_by(60)
    await recovery.run_once()
    then = await gateway.operate(tenant, Verb.CAPTURE, capture)

    assert then.payment.state is PaymentState.CAPTURED


async def test_when_the_bank_is_back_everything_that_was_accepted_ends(
    parts, gateway, tenant, wish, line, here, recovery, database
):
    _, answers = await fill(parts, gateway, tenant, wish, line, here)
    line.accidents = []
    here.pass_by(60)

    await recovery.run_once()

    ids = [answer.payment.id for answer in answers]
    async with database.tenant(tenant) as tx:
        states = {payment.state for payment in (await get_payments(tx, tenant, ids)).values()}
    assert states == {PaymentState.AUTHORIZED}
    assert isinstance(await gateway.authorize(tenant, wish()), Performed)


async def test_a_process_with_too_much_under_way_refuses_as_well(parts, tenant, wish, monkeypatch):
    monkeypatch.setattr(gateway, "MAX_UNDER_WAY", 0)

    with pytest.raises(Overloaded, match="in this process"):
        await Gateway(parts).authorize(tenant, wish())
