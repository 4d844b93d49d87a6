"""The vault of a process: keys at hand, first use, rows moved elsewhere, and a key service that is away."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import exc, text

from gateway.vault.data_key import DoesNotOpen
from gateway.vault.key_service import KeysAway
from gateway.vault.vault import CURRENT_FOR
from persistence.card_numbers import erase_card_numbers, get_card_numbers, insert_card_number
from persistence.data_keys import DataKeyRow, insert_data_key, list_data_keys
from tests.gateway.vault.conftest import NUMBER


async def stored(database, vault, tenant, card_id, number=NUMBER):
    """Store a number as whoever adds a card does."""
    sealed = await vault.seal_number(tenant, card_id, number)
    async with database.tenant(tenant) as tx:
        await insert_card_number(tx, tenant, card_id, sealed.sealed, key_version=sealed.key_version)


async def opened(database, vault, tenant, card_id):
    async with database.tenant(tenant) as tx:
        numbers = await get_card_numbers(tx, tenant, [card_id])
    return await vault.open_number(tenant, card_id, numbers[card_id])


async def keys_of(database, tenant):
    async with database.tenant(tenant) as tx:
        return await list_data_keys(tx, tenant)


async def test_a_number_that_one_process_has_sealed_another_one_opens(database, another_vault, tenant, a_card):
    card_id = await a_card(tenant)

    await stored(database, another_vault(), tenant, card_id)

    assert await opened(database, another_vault(), tenant, card_id) == NUMBER


async def test_an_erased_number_is_gone(database, vault, tenant, a_card):
    card_id = await a_card(tenant)
    await stored(database, vault, tenant, card_id)

    async with database.tenant(tenant) as tx:
        erased = await erase_card_numbers(tx, tenant, [card_id])
        left = await get_card_numbers(tx, tenant, [card_id])

    assert (erased, left) == (1, {})


async def test_the_first_use_by_many_at_once_in_two_processes_makes_one_key(database, another_vault, key_service, tenant):
    vaults = another_vault(key_service), another_vault(key_service)

    keys = await asyncio.gather(*(vault.current_key(tenant) for vault in vaults for _ in range(20)))

    assert {key.version for key in keys} == {1}
    assert len(await keys_of(database, tenant)) == 1
    sealed = await vaults[0].seal_number(tenant, tenant, NUMBER)
    assert await vaults[1].open_number(tenant, tenant, sealed.sealed) == NUMBER
    assert key_service.asked <= 4, "each process wraps or unwraps once or twice, however many wait for it"


async def test_a_key_at_hand_costs_no_look_at_the_database_and_no_question(
    database, another_vault, key_service, tenant, monkeypatch
):
    vault = another_vault(key_service)
    await vault.current_key(tenant)
    asked = key_service.asked

    monkeypatch.setattr(database, "tenant", None)
    sealed = await vault.seal_number(tenant, tenant, NUMBER)

    assert await vault.open_number(tenant, tenant, sealed.sealed) == NUMBER
    assert key_service.asked == asked


async def test_after_a_minute_a_process_looks_which_version_is_current(database, owner, another_vault, key_service, tenant, here):
    vault = another_vault(key_service)
    await vault.current_key(tenant)
    (first,) = await keys_of(database, tenant)
    wrapped = await key_service.wrap(first.master_key_id, b"2" * 32, b"data key" + tenant.bytes + (2).to_bytes(4, "big"))
    async with owner.tenant(tenant) as tx:
        await insert_data_key(tx, tenant, DataKeyRow(2, wrapped.content, first.master_key_id, here.time))

    here.time += CURRENT_FOR - timedelta(seconds=1)
    before = (await vault.current_key(tenant)).version
    here.pass_by(1)
    after = (await vault.current_key(tenant)).version

    assert (before, after) == (1, 2)


async def test_a_clock_that_was_set_back_does_not_make_a_version_current_for_long(
    another_vault, key_service, tenant, here, database
):
    vault = another_vault(key_service)
    await vault.current_key(tenant)
    looks = []
    real = database.tenant

    def counted(*args, **how):
        looks.append(args)
        return real(*args, **how)

    here.pass_by(-86_400)
    database.tenant = counted
    try:
        await vault.current_key(tenant)
    finally:
        del database.tenant

    assert len(looks) == 1


async def test_no_more_keys_are_remembered_than_stated(another_vault, tenant, other_tenant, key_service, monkeypatch):
    monkeypatch.setattr("gateway.vault.vault.MAX_KEYS", 1)
    vault = another_vault(key_service)
    await vault.current_key(tenant)
    asked = key_service.asked

    await vault.current_key(other_tenant)
    await vault.current_key(tenant)

    assert key_service.asked == asked + 3, "wrapped and unwrapped the other's, and unwrapped this one again"


async def test_a_number_moved_to_another_card_or_another_partner_does_not_open(
    database, owner, vault, tenant, other_tenant, a_card
):
    mine, sibling, theirs = await a_card(tenant), await a_card(tenant), await a_card(other_tenant)
    await stored(database, vault, tenant, mine)
    await stored(database, vault, tenant, sibling, "5555555555554444")
    await stored(database, vault, other_tenant, theirs, "4000000000000002")
    async with database.tenant(tenant) as tx:
        seal = (await get_card_numbers(tx, tenant, [mine]))[mine]

    for whose, row in ((tenant, sibling), (other_tenant, theirs)):
        async with owner.tenant(whose) as tx:
            await tx.execute(text("update card_numbers set sealed = :seal where card_id = :row"), {"seal": seal, "row": row})
        with pytest.raises(DoesNotOpen):
            await opened(database, vault, whose, row)


async def test_a_data_key_moved_to_another_partner_or_version_does_not_open(database, owner, another_vault, tenant, other_tenant):
    for whose in (tenant, other_tenant):
        await another_vault().current_key(whose)
    (mine,) = await keys_of(database, tenant)

    async with owner.without_tenant() as tx:
        await tx.execute(
            text("update data_keys set wrapped = :mine where tenant_id = :theirs"), {"mine": mine.wrapped, "theirs": other_tenant}
        )
        await tx.execute(text("update data_keys set version = 2 where tenant_id = :tenant"), {"tenant": tenant})

    for whose in (tenant, other_tenant):
        with pytest.raises(DoesNotOpen):
            await another_vault().current_key(whose)


async def test_the_database_takes_no_number_that_names_another_key_than_its_row(database, vault, tenant, a_card):
    card_id = await a_card(tenant)
    sealed = await vault.seal_number(tenant, card_id, NUMBER)

    with pytest.raises(exc.IntegrityError, match="card_numbers_name_their_key"):
        async with database.tenant(tenant) as tx:
            await insert_card_number(tx, tenant, card_id, sealed.sealed, key_version=2)


async def test_a_data_key_in_use_can_not_be_destroyed(database, owner, vault, tenant, a_card):
    await stored(database, vault, tenant, await a_card(tenant))

    with pytest.raises(exc.IntegrityError, match="card_numbers_tenant_id_key_version_fkey"):
        async with owner.tenant(tenant) as tx:
            await tx.execute(text("delete from data_keys where tenant_id = :tenant"), {"tenant": tenant})


async def test_a_key_service_that_is_away_is_weather_and_what_is_at_hand_goes_on(
    another_vault, key_service, tenant, other_tenant, here
):
    vault = another_vault(key_service)
    sealed = await vault.seal_number(tenant, tenant, NUMBER)
    key_service.is_away = True

    with pytest.raises(KeysAway):
        await vault.current_key(other_tenant)
    here.pass_by(CURRENT_FOR.total_seconds() + 1)

    assert await vault.open_number(tenant, tenant, sealed.sealed) == NUMBER
    assert (await vault.current_key(tenant)).version == 1, "which version is current, the database says"

    key_service.is_away = False
    assert (await vault.current_key(other_tenant)).version == 1


async def test_a_caller_who_hangs_up_does_not_take_the_look_away_from_the_others(another_vault, key_service, tenant):
    vault = another_vault(key_service)
    impatient, patient = (asyncio.ensure_future(vault.current_key(tenant)) for _ in range(2))
    await asyncio.sleep(0)

    impatient.cancel()

    assert (await patient).version == 1


async def test_fingerprints_are_alike_for_one_number_of_one_partner_only(another_vault, tenant, other_tenant):
    one, other = another_vault(), another_vault()

    assert one.fingerprint(tenant, NUMBER) == other.fingerprint(tenant, NUMBER)
    assert (
        len({one.fingerprint(tenant, NUMBER), one.fingerprint(other_tenant, NUMBER), one.fingerprint(tenant, "4" + "0" * 15)})
        == 3
    )


async def test_nothing_shows_a_number_or_a_key(vault, tenant):
    sealed = await vault.seal_number(tenant, tenant, NUMBER)
    key = await vault.current_key(tenant)

    shown = " ".join(map(repr, (sealed, key, vault, vault.__dict__)))

    assert NUMBER not in shown
    assert "sealed" not in repr(sealed)
