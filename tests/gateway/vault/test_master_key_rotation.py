"""The master key is exchanged while others seal and open; a run that was broken off is finished, and none goes back."""

import asyncio

import pytest
from sqlalchemy import text

from app.keys import ring_of
from domain.failpoint import Failpoint
from gateway.attempts import begin_authorizations
from gateway.vault.data_keys import context_of
from gateway.vault.key_service import LocalKeyService
from gateway.vault.master_keys import WrongMasterKey, agree_on_master_key
from gateway.vault.rotation import DESTROY_AFTER, SAME_ROTATION, NoNextMasterKey
from persistence.card_numbers import get_card_numbers
from persistence.data_keys import DataKeyRow, insert_data_key, list_data_keys
from persistence.master_keys import activate_master_key, list_master_keys
from tests.conftest import MASTER_KEY
from tests.gateway.vault.conftest import NEXT_MASTER_KEY, NUMBER, Crash, dying_at

HOUR = SAME_ROTATION.total_seconds()


async def known(database):
    async with database.without_tenant() as tx:
        return {row.id: (row.is_active, row.retired_at is not None) for row in await list_master_keys(tx)}


@pytest.fixture(autouse=True)
async def fresh_master_keys(owner, database, here):
    """This module's database knows the first master key alone, and has no other tenant's data keys."""
    async with owner.without_tenant() as tx:
        for table in ("card_numbers", "data_keys", "master_keys"):
            await tx.execute(text(f"delete from {table}"))
    await agree_on_master_key(database, LocalKeyService(ring_of(MASTER_KEY)), here.time)


OLD, NEW = ring_of(MASTER_KEY, NEXT_MASTER_KEY)


async def test_all_data_keys_are_wrapped_by_the_next_master_key_and_the_old_one_retires(
    rotation, vault, another_vault, store, seals, tenant, other_tenant, database, actions
):
    card = await store(vault)
    await vault.current_key(other_tenant)

    done = await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([tenant, other_tenant])

    assert (done.master_key_id, done.is_new, done.data_keys, done.left, done.retired) == (NEW, True, 2, 0, (OLD,))
    assert await known(database) == {OLD: (False, True), NEW: (True, False)}
    after = another_vault(LocalKeyService(ring_of(NEXT_MASTER_KEY)))
    assert await after.open_number(tenant, card, (await seals())[card]) == NUMBER
    assert await actions() == [("vault.data_keys_rewrapped", f"1 by master key {NEW}")]
    await agree_on_master_key(database, LocalKeyService(ring_of(NEXT_MASTER_KEY)), None)
    with pytest.raises(WrongMasterKey, match="is not the master key of this database"):
        await agree_on_master_key(database, LocalKeyService(ring_of(MASTER_KEY)), None)


async def test_without_a_next_one_there_is_nothing_to_rotate_to(rotation, tenant):
    with pytest.raises(NoNextMasterKey, match="PARTNER_API_NEXT_MASTER_KEY"):
        await rotation(MASTER_KEY).rotate_master_key([tenant])


async def test_a_second_run_changes_nothing_and_does_not_go_back(rotation, vault, tenant, database):
    await vault.current_key(tenant)
    await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([tenant])

    again = await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([tenant])

    assert (again.master_key_id, again.is_new, again.data_keys, again.retired) == (NEW, False, 0, ())
    assert await known(database) == {OLD: (False, True), NEW: (True, False)}


@pytest.mark.parametrize("order", [(MASTER_KEY, NEXT_MASTER_KEY), (NEXT_MASTER_KEY, MASTER_KEY)])
async def test_a_rotation_that_dies_is_finished_in_either_order_of_the_keys(
    rotation, vault, tenant, other_tenant, database, here, order
):
    for each in (tenant, other_tenant):
        await vault.current_key(each)
    with pytest.raises(Crash):
        await rotation(
            MASTER_KEY, NEXT_MASTER_KEY, world=dying_at(here.world, Failpoint.DATA_KEYS_REWRAPPED, 2)
        ).rotate_master_key([tenant, other_tenant])
    half = await known(database)

    with pytest.raises(WrongMasterKey, match="A rotation of the master key is not finished"):
        await agree_on_master_key(database, LocalKeyService(ring_of(NEXT_MASTER_KEY)), here.time)
    done = await rotation(*order).rotate_master_key([tenant, other_tenant])

    assert half == {OLD: (False, False), NEW: (True, False)}
    assert (done.master_key_id, done.is_new, done.data_keys, done.retired) == (NEW, False, 1, (OLD,))


async def test_a_new_data_key_is_wrapped_by_the_active_master_key_whatever_stands_first_in_the_settings(
    rotation, another_vault, tenant, database
):
    await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([])

    await another_vault(LocalKeyService(ring_of(MASTER_KEY, NEXT_MASTER_KEY))).current_key(tenant)

    async with database.tenant(tenant) as tx:
        assert [row.master_key_id for row in await list_data_keys(tx, tenant)] == [NEW]


async def test_a_data_key_that_is_made_while_the_master_key_is_exchanged_is_wrapped_by_the_new_one(
    rotation, another_vault, tenant, database
):
    """The rotation comes between the look at which is active and the writing down."""

    class Slow(LocalKeyService):
        async def wrap(self, master_key_id, plaintext, context):
            wrapped = await super().wrap(master_key_id, plaintext, context)
            if master_key_id == OLD:
                await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([tenant])
            return wrapped

    key = await another_vault(Slow(ring_of(MASTER_KEY, NEXT_MASTER_KEY))).current_key(tenant)

    async with database.tenant(tenant) as tx:
        (row,) = await list_data_keys(tx, tenant)
    assert (row.master_key_id, row.version, key.version) == (NEW, 1, 1)


async def test_a_card_from_before_there_were_data_keys_keeps_the_old_master_key_from_retiring(
    rotation, parts, tenant, wish, owner
):
    (begun,) = await begin_authorizations(parts, tenant, [wish()])
    async with owner.tenant(tenant) as tx:
        await tx.execute(
            text("update attempts set sealed_card = :old where id = :id"),
            {"old": b"\x01" + bytes(60), "id": begun.attempt.id},
        )

    done = await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([tenant])

    assert (done.left, done.retired) == (1, ())


async def test_both_keys_are_rotated_under_load_and_nothing_is_lost(
    rotation, another_vault, store, seals, tenant, here, database, versions
):
    """Two processes go on sealing and opening, each with a memory of its own, while data key and master key are exchanged."""
    ring = ring_of(MASTER_KEY, NEXT_MASTER_KEY)
    processes = [another_vault(LocalKeyService(ring)) for _ in range(2)]
    cards = [await store(each) for each in processes for _ in range(20)]
    stopped, opened = asyncio.Event(), []

    async def work(vault):
        while not stopped.is_set():
            cards.append(await store(vault))
            for card in cards[-10:]:
                async with database.tenant(tenant) as tx:
                    sealed = (await get_card_numbers(tx, tenant, [card]))[card]
                opened.append(await vault.open_number(tenant, card, sealed))

    at_work = [asyncio.create_task(work(each)) for each in processes for _ in range(2)]
    for _ in range(3):
        here.pass_by(HOUR)
        await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_data_key(tenant)
    await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([tenant])
    stopped.set()
    await asyncio.gather(*at_work)
    here.time += DESTROY_AFTER
    last = await rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_data_key(tenant, is_new_wanted=False)

    after = another_vault(LocalKeyService(ring_of(NEXT_MASTER_KEY)))
    stored = await seals()
    assert last.left == last.unreadable == 0
    assert await versions() == [4]
    assert set(opened) == {NUMBER}
    assert len(stored) == len(cards)
    assert {await after.open_number(tenant, card, sealed) for card, sealed in stored.items()} == {NUMBER}


async def waits(owner, task):
    """Whether a task has come to wait for the table of data keys, before it is done."""
    query = text("select count(*) from pg_locks where not granted and relation = 'data_keys'::regclass")
    while not task.done():
        async with owner.without_tenant() as look:
            if (await look.execute(query)).scalar_one():
                return True
    return False


async def test_a_data_key_that_comes_while_the_master_key_is_exchanged_is_not_written_down_under_the_old_one(
    tenant, owner, database, here
):
    service = LocalKeyService(ring_of(MASTER_KEY))
    wrapped = await service.wrap(OLD, bytes(range(32)), context_of(tenant, 1))

    async def add():
        async with database.tenant(tenant) as tx:
            await insert_data_key(tx, tenant, DataKeyRow(1, wrapped.content, OLD, here.time))

    async with owner.without_tenant() as tx:
        await activate_master_key(tx, NEW, b"", here.time)
        adding = asyncio.create_task(add())
        is_waiting = await waits(owner, adding)
    await adding

    async with database.tenant(tenant) as tx:
        assert await list_data_keys(tx, tenant) == []
    assert is_waiting


async def test_whoever_is_adding_a_data_key_is_waited_for_before_the_master_key_is_exchanged(
    rotation, another_vault, tenant, owner, database, here
):
    """Its transaction has seen the old one active. What it commits has to be wrapped anew, too."""
    service = LocalKeyService(ring_of(MASTER_KEY))
    wrapped = await service.wrap(OLD, bytes(range(32)), context_of(tenant, 1))
    async with database.tenant(tenant) as tx:
        await insert_data_key(tx, tenant, DataKeyRow(1, wrapped.content, OLD, here.time))
        exchange = asyncio.create_task(rotation(MASTER_KEY, NEXT_MASTER_KEY).rotate_master_key([tenant]))
        is_waiting = await waits(owner, exchange)

    done = await exchange

    assert is_waiting
    assert (done.data_keys, done.left, done.retired) == (1, 0, (OLD,))
    assert (await another_vault(LocalKeyService(ring_of(NEXT_MASTER_KEY))).current_key(tenant)).version == 1
