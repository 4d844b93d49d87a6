"""A process that has not the master key of its database says so at the start, in one sentence."""

import asyncio

import pytest
from sqlalchemy import exc, text

from app.keys import ring_of
from gateway.vault.key_service import LocalKeyService, UnknownMasterKey, Wrapped
from gateway.vault.master_keys import WrongMasterKey, agree_on_master_key
from persistence.master_keys import list_master_keys
from tests.conftest import MASTER_KEY
from tests.gateway.vault.conftest import NEXT_MASTER_KEY

MINE, NEXT = (LocalKeyService(ring_of(each)) for each in (MASTER_KEY, NEXT_MASTER_KEY))


@pytest.fixture(autouse=True)
async def nobody_was_here(owner):
    async with owner.without_tenant() as tx:
        await tx.execute(text("delete from master_keys"))


async def known(database):
    async with database.without_tenant() as tx:
        return await list_master_keys(tx)


async def test_an_empty_database_begins_with_the_configured_key(database, here):
    await agree_on_master_key(database, MINE, here.time)
    await agree_on_master_key(database, MINE, here.time)

    (only,) = await known(database)
    assert (only.id, only.is_active, only.retired_at) == (*MINE.key_ids, True, None)


async def test_of_two_processes_with_different_keys_one_begins_and_the_other_is_refused(database, here):
    ends = await asyncio.gather(
        *(agree_on_master_key(database, each, here.time) for each in (MINE, NEXT)), return_exceptions=True
    )

    assert sorted(type(each).__name__ for each in ends) == ["NoneType", "WrongMasterKey"]
    assert len(await known(database)) == 1


async def test_a_wrong_master_key_is_one_sentence(database, here):
    await agree_on_master_key(database, MINE, here.time)

    with pytest.raises(WrongMasterKey) as caught:
        await agree_on_master_key(database, NEXT, here.time)

    assert str(caught.value).startswith("PARTNER_API_MASTER_KEY is not the master key of this database")
    assert MASTER_KEY.hex() not in str(caught.value)


async def test_a_key_service_whose_key_was_exchanged_under_its_id_is_refused(database, here):
    await agree_on_master_key(database, MINE, here.time)
    (key_id,) = MINE.key_ids
    impostor = LocalKeyService({key_id: NEXT_MASTER_KEY})

    with pytest.raises(WrongMasterKey, match="does not open its check value"):
        await agree_on_master_key(database, impostor, here.time)


async def test_the_apis_login_can_neither_exchange_nor_add_a_master_key(database, here):
    await agree_on_master_key(database, MINE, here.time)

    for statement in (
        "update master_keys set is_active = false",
        "delete from master_keys",
        "insert into master_keys (id, check_value, created_at, is_active) values ('x', '', now(), false)",
        "insert into master_keys (id, check_value, created_at, is_active) values ('x', '', now(), true)",
    ):
        with pytest.raises(exc.DBAPIError, match=r"permission denied|row-level security|master_keys_one_is_active"):
            async with database.without_tenant() as tx:
                await tx.execute(text(statement))


async def test_what_is_wrapped_shows_nothing_and_a_key_that_is_not_in_the_ring_is_told():
    wrapped = await MINE.wrap(MINE.key_ids[0], b"secret", b"context")

    assert "secret" not in repr(wrapped)
    assert MASTER_KEY.hex()[:8] not in repr(MINE)
    with pytest.raises(UnknownMasterKey, match=MINE.key_ids[0]):
        await NEXT.unwrap(wrapped, b"context")
    with pytest.raises(UnknownMasterKey, match="nobody"):
        await MINE.unwrap(Wrapped("nobody", wrapped.content), b"context")
