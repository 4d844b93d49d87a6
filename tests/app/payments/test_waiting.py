"""Settling while somebody asks the bank: the command waits for a rest, and says so when there is none."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import staff_payments
from app.settings import OwnerSettings
from domain.ids import IdKind, encode_id
from domain.payment import PaymentState, ReviewReason, Verb, review
from domain.settlement import Acknowledge, RuleOut
from gateway.attempts import LEASE_S, begin_authorizations, lease_end
from gateway.settlement import BeingAsked, Written
from persistence.attempts import Renewal, renew_leases
from persistence.payments import lock_payments, save_payments


@pytest.fixture
def settings(database_urls):
    return OwnerSettings(owner_database_url=database_urls.owner)


@pytest.fixture
async def driven(parts, tenant, wish, database):
    """A flagged payment whose attempt somebody holds."""
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    async with database.tenant(tenant) as tx:
        (locked,) = (await lock_payments(tx, tenant, [begun.payment.id])).values()
        await save_payments(tx, tenant, [review(locked, ReviewReason.BANK_UNINTELLIGIBLE)])
    return begun


@pytest.fixture
def settle(settings, here, tenant, driven):
    async def say(settlement, **how):
        word = staff_payments.word_of(settlement, "ada", "ticket 17")
        partner, payment = encode_id(IdKind.PARTNER, tenant), encode_id(IdKind.PAYMENT, driven.payment.id)
        return await staff_payments.settle(settings, here.world, partner, payment, word, **how)

    return say


async def test_an_outcome_is_settled_as_soon_as_nobody_asks_the_bank_any_more(settle, driven, here):
    told = []

    answer = await settle(RuleOut(Verb.AUTHORIZE), on_wait=told.append)

    assert isinstance(answer, Written)
    assert answer.after.state is PaymentState.DECLINED
    assert told == [driven.attempt.lease_until]
    assert LEASE_S <= sum(here.slept) < LEASE_S + 1


async def test_an_attempt_that_is_asked_all_the_time_is_left_to_those_who_ask(settle, driven, here, database, tenant):
    for_long = here.time + timedelta(hours=1)
    renewal = Renewal(driven.attempt.id, driven.attempt.lease_token, uuid4(), for_long, 0, 0)
    async with database.tenant(tenant) as tx:
        assert await renew_leases(tx, tenant, [renewal])

    answer = await settle(RuleOut(Verb.AUTHORIZE))

    assert answer == BeingAsked(for_long)
    assert sum(here.slept) == staff_payments.PATIENCE_S


async def test_what_is_not_about_the_attempt_does_not_wait(settle, here, database, tenant, driven):
    async with database.tenant(tenant) as tx:
        (locked,) = (await lock_payments(tx, tenant, [driven.payment.id])).values()
        await save_payments(tx, tenant, [review(locked, ReviewReason.RECONCILED)])

    answer = await settle(Acknowledge(ReviewReason.RECONCILED))

    assert isinstance(answer, Written)
    assert here.slept == []


async def test_the_audit_log_names_the_login_beside_the_name(settle, monkeypatch, owner, tenant):
    monkeypatch.setenv("LOGNAME", "somebody-else")

    await settle(RuleOut(Verb.AUTHORIZE))

    async with owner.tenant(tenant) as tx:
        (actor,) = (
            await tx.execute(text("select actor from audit_log where tenant_id = :t and kind = 'OPERATOR'"), {"t": tenant})
        ).scalars()
    assert actor.startswith("ada (login ")
    assert "somebody-else" not in actor


async def test_all_partners_are_looked_through_however_many_there_are(settings, here, tenant, driven, owner):
    async with owner.without_tenant() as tx:
        await tx.execute(
            text(
                "insert into partners (id, name, created_at) "
                "select cast(lpad(to_hex(i), 32, '0') as uuid), 'before it', now() from generate_series(1, 1500) as i"
            )
        )

    found = await staff_payments.list_reviews(settings, here.world, partner=None, reason=None, older_than=timedelta(), limit=10)
    dossier = await staff_payments.read_dossier(settings, None, encode_id(IdKind.PAYMENT, driven.payment.id))

    assert found is not None
    assert driven.payment.id in [each.standing.payment.id for each in found.found]
    assert dossier is not None
    assert (dossier.tenant_id, dossier.attempt.id) == (tenant, driven.attempt.id)
    assert lease_end(driven.payment.created_at) == dossier.attempts[0].lease_until
