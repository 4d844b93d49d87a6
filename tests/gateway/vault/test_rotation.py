"""Data keys are exchanged while others seal and open, and nothing is lost; a run that was broken off is run again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import exc, text

from domain.failpoint import Failpoint
from domain.payment import PaymentState
from gateway.attempts import LEASE_S, begin_authorizations
from gateway.recovery import Recovery
from gateway.vault.data_key import Field, version_of
from gateway.vault.key_service import KeysAway
from gateway.vault.rotation import DESTROY_AFTER, SAME_ROTATION
from gateway.vault.vault import CURRENT_FOR
from gateway.webhook_secrets import WebhookSecrets
from persistence.attempts import attempts_by_keys
from tests.conftest import MASTER_KEY
from tests.gateway.vault.conftest import NUMBER, Crash, RemoteKeyService, dying_at

HOUR = SAME_ROTATION.total_seconds()


async def test_everything_is_sealed_anew_under_a_new_key(
    rotation, vault, another_vault, store, seals, versions, tenant, here, actions
):
    cards = [await store(vault) for _ in range(7)]
    before = await seals()
    here.pass_by(HOUR)

    done = await rotation().rotate_data_key(tenant)

    after = await seals()
    assert (done.version, done.is_new, done.resealed, done.left, done.unreadable, done.destroyed) == (2, True, 7, 0, 0, ())
    assert {version_of(sealed) for sealed in after.values()} == {2}
    assert await versions() == [1, 2]
    for process in (vault, another_vault()):
        assert [await process.open_number(tenant, card, after[card]) for card in cards] == [NUMBER] * 7
    assert await vault.open_number(tenant, cards[0], before[cards[0]]) == NUMBER, "who has read it before, opens it"
    assert await actions() == [("vault.data_key_rotated", "version 2")]


async def test_a_partner_without_seals_has_no_key_to_rotate(rotation, tenant, versions):
    done = await rotation().rotate_data_key(tenant)

    assert done.version is None
    assert await versions() == []


async def test_each_run_makes_a_new_key_unless_it_only_finishes(rotation, vault, store, tenant):
    await store(vault)

    first, second = await rotation().rotate_data_key(tenant), await rotation().rotate_data_key(tenant)
    finishing = await rotation().rotate_data_key(tenant, is_new_wanted=False)

    assert [(each.version, each.is_new) for each in (first, second, finishing)] == [(2, True), (3, True), (3, False)]


async def test_a_superseded_key_is_destroyed_by_a_later_run_when_nobody_can_need_it(
    rotation, vault, store, versions, tenant, here, actions
):
    await store(vault)
    here.pass_by(HOUR)
    await rotation().rotate_data_key(tenant)

    here.time += DESTROY_AFTER - timedelta(seconds=1)
    too_early = await rotation().rotate_data_key(tenant, is_new_wanted=False)
    here.pass_by(1)
    in_time = await rotation().rotate_data_key(tenant, is_new_wanted=False)

    assert (too_early.destroyed, in_time.destroyed) == ((), (1,))
    assert await versions() == [2]
    assert (await actions())[-1] == ("vault.data_key_destroyed", "version 1")
    assert DESTROY_AFTER > 10 * CURRENT_FOR


async def test_a_process_with_a_stale_memory_seals_under_the_old_key_and_loses_nothing(
    rotation, vault, another_vault, store, seals, versions, tenant, here
):
    stale = another_vault()
    await store(vault)
    here.pass_by(HOUR)
    await stale.current_key(tenant)
    await rotation().rotate_data_key(tenant)
    here.time += CURRENT_FOR - timedelta(seconds=1)

    late = await store(stale, "5555555555554444")
    left_behind = version_of((await seals())[late])
    here.time += DESTROY_AFTER
    next_run = await rotation().rotate_data_key(tenant, is_new_wanted=False)

    assert left_behind == 1
    assert (next_run.resealed, next_run.destroyed) == (1, (1,))
    assert await versions() == [2]
    assert await another_vault().open_number(tenant, late, (await seals())[late]) == "5555555555554444"


async def test_a_webhooks_secret_goes_along(rotation, vault, another_vault, database, owner, tenant, here):
    key = await vault.current_key(tenant)
    sealed = key.seal(Field.WEBHOOK_SECRET, tenant, b"a secret")
    async with database.tenant(tenant) as tx:
        for statement in _WEBHOOK:
            await tx.execute(text(statement), {"tenant": tenant, "sealed": sealed})
    with pytest.raises(exc.IntegrityError, match="webhook_secrets_key"):
        async with owner.tenant(tenant) as tx:
            await tx.execute(text("delete from data_keys where tenant_id = :tenant"), {"tenant": tenant})
    here.pass_by(HOUR)

    done = await rotation().rotate_data_key(tenant)
    here.time += DESTROY_AFTER
    destroyed = (await rotation().rotate_data_key(tenant, is_new_wanted=False)).destroyed

    async with database.tenant(tenant) as tx:
        row = (await tx.execute(text("select id, sealed from webhook_secrets where tenant_id = :t"), {"t": tenant})).one()
    assert (done.resealed, destroyed) == (1, (1,))
    assert await WebhookSecrets(another_vault()).open(tenant, [(row.id, row.sealed)]) == [b"a secret"]


_WEBHOOK = (
    """insert into webhook_endpoints (tenant_id, id, url, description, scopes, saved_by, created_at, updated_at)
       values (:tenant, :tenant, 'https://hooks.example', '', '{}', :tenant, now(), now())""",
    """insert into webhook_secrets (tenant_id, id, endpoint_id, sealed, key_version, created_at)
       values (:tenant, :tenant, :tenant, :sealed, 1, now())""",
)


async def test_an_open_attempts_card_goes_along_and_its_key_is_not_destroyed_before(
    rotation, parts, vault, another_vault, watch, wish, versions, tenant, here, database
):
    await vault.current_key(tenant)
    here.pass_by(HOUR)
    request = wish()
    await begin_authorizations(parts, tenant, [request])

    done = await rotation().rotate_data_key(tenant)
    here.time += DESTROY_AFTER
    destroyed = (await rotation().rotate_data_key(tenant, is_new_wanted=False)).destroyed
    await Recovery(replace(parts, vault=another_vault()), watch).run_once()

    async with database.tenant(tenant) as tx:
        attempt = (await attempts_by_keys(tx, tenant, [request.idempotency_key]))[request.idempotency_key]
    assert (done.resealed, destroyed) == (1, (1,))
    assert attempt.resolution.payment.state is PaymentState.AUTHORIZED
    assert attempt.sealed_card is None
    assert LEASE_S < HOUR


@pytest.mark.parametrize("passing", [1, 2, 3])
async def test_a_rotation_that_dies_between_two_pages_is_finished_by_the_next_one(
    rotation, vault, another_vault, store, seals, tenant, here, monkeypatch, passing
):
    monkeypatch.setattr("gateway.vault.rotation.PAGE", 2)
    cards = [await store(vault) for _ in range(6)]
    here.pass_by(HOUR)

    with pytest.raises(Crash):
        await rotation(world=dying_at(here.world, Failpoint.SEALS_REPLACED, passing)).rotate_data_key(tenant)
    half = sorted(version_of(sealed) for sealed in (await seals()).values())
    done = await rotation().rotate_data_key(tenant)

    after = await seals()
    assert half == [1] * (8 - 2 * passing) + [2] * (2 * passing - 2)
    assert (done.version, done.is_new, done.resealed) == (2, False, 8 - 2 * passing)
    assert [await another_vault().open_number(tenant, card, after[card]) for card in cards] == [NUMBER] * 6


async def test_a_number_that_does_not_open_is_told_and_left_as_it_is(rotation, vault, store, seals, tenant, here, owner, caplog):
    broken, good = await store(vault), await store(vault)
    seal = (await seals())[broken][:-1] + b"?"
    async with owner.tenant(tenant) as tx:
        await tx.execute(text("update card_numbers set sealed = :seal where card_id = :id"), {"seal": seal, "id": broken})
    here.pass_by(HOUR)

    done = await rotation().rotate_data_key(tenant)

    assert (done.resealed, done.unreadable, done.left) == (1, 1, 0)
    assert (await seals())[broken] == seal
    assert version_of((await seals())[good]) == 2
    assert str(broken) in caplog.text
    here.time += DESTROY_AFTER
    assert (await rotation().rotate_data_key(tenant, is_new_wanted=False)).destroyed == (), (
        "its key may be needed to look into it"
    )


async def test_what_somebody_is_writing_is_skipped_and_found_by_a_later_pass(rotation, vault, store, seals, owner, tenant, here):
    card = await store(vault)
    here.pass_by(HOUR)
    writing, slept = owner.tenant(tenant), []
    tx = await writing.__aenter__()
    await tx.execute(text("select * from card_numbers where card_id = :card for update"), {"card": card})

    async def sleep(seconds):
        slept.append(seconds)
        await writing.__aexit__(None, None, None)

    done = await rotation(world=replace(here.world, sleep=sleep)).rotate_data_key(tenant)

    assert (done.resealed, done.left, len(slept)) == (1, 0, 1)
    assert version_of((await seals())[card]) == 2


async def test_a_key_service_that_is_away_stops_the_rotation_and_nothing_is_lost(rotation, vault, store, seals, tenant, here):
    card = await store(vault)
    here.pass_by(HOUR)
    service = RemoteKeyService(MASTER_KEY)
    service.is_away = True

    with pytest.raises(KeysAway):
        await rotation(key_service=service).rotate_data_key(tenant)

    service.is_away = False
    assert (await rotation(key_service=service).rotate_data_key(tenant)).version == 2
    assert await vault.open_number(tenant, card, (await seals())[card]) == NUMBER
