"""Migrations: the same schema however often they run, and nothing that the code does not know."""

import asyncio
import secrets

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from persistence.migrate import Login, login_of, migrate, newest_revision
from persistence.revision import REVISION, NotMigrated, check_revision
from persistence.tables import metadata


@pytest.fixture
async def empty(postgres_url):
    """An empty database's URL."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"create database {name}")
    yield f"{postgres_url.rpartition('/')[0]}/{name}"
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


APP, WORKER = Login("suite_app", "app-password"), Login("suite_worker", "worker-password")


async def test_the_first_run_migrates_and_the_second_changes_nothing(empty):
    first = await migrate(empty, app=APP, worker=WORKER)
    second = await migrate(empty, app=APP, worker=WORKER)

    assert first == (None, newest_revision())
    assert second == (newest_revision(), newest_revision())


async def test_two_at_once_wait_for_each_other(empty):
    results = await asyncio.gather(*(migrate(empty, app=APP, worker=WORKER) for _ in range(3)))

    assert sorted(str(before) for before, _ in results) == sorted(["None", newest_revision(), newest_revision()])


async def test_an_index_whose_building_was_broken_off_is_built_anew_by_the_next_run(empty):
    await migrate(empty, app=APP, worker=WORKER)
    connection = await asyncpg.connect(empty)
    await connection.execute("update pg_index set indisvalid = false where indexrelid = to_regclass('payments_held')")

    await migrate(empty, app=APP, worker=WORKER)

    invalid = await connection.fetch("select indexrelid::regclass from pg_index where not indisvalid")
    exists = await connection.fetchval("select to_regclass('payments_held') is not null")
    await connection.close()
    assert (invalid, exists) == ([], True)


async def test_an_index_is_built_without_making_payments_wait(empty):
    """`create index concurrently` waits for transactions, and no transaction waits for it."""
    await migrate(empty, app=APP, worker=WORKER)
    connection, writer = await asyncpg.connect(empty), await asyncpg.connect(empty)
    await connection.execute("drop index payments_held")
    await connection.execute("insert into partners values (gen_random_uuid(), 'FicMart', now())")
    await writer.execute(f"begin; {PAYMENT}")

    building = asyncio.create_task(migrate(empty, app=APP, worker=WORKER))
    waiting = "select count(*) from pg_stat_activity where query like 'create index concurrently%' and wait_event_type = 'Lock'"
    while not await connection.fetchval(waiting):
        assert not building.done()
        await asyncio.sleep(0)
    await connection.execute(PAYMENT)
    await writer.execute("commit")
    await building

    assert await connection.fetchval("select indisvalid from pg_index where indexrelid = to_regclass('payments_held')")
    await connection.close()
    await writer.close()


async def test_old_rows_are_checked_against_a_new_constraint_after_the_migration(empty):
    await migrate(empty, app=APP, worker=WORKER)
    connection = await asyncpg.connect(empty)
    await connection.execute("alter table payments drop constraint payments_card")
    await connection.execute(
        "alter table payments add constraint payments_card foreign key (tenant_id, card_id) references cards (tenant_id, id) not valid"
    )

    await migrate(empty, app=APP, worker=WORKER)

    assert await connection.fetchval(
        "select bool_and(convalidated) from pg_constraint where connamespace = 'public'::regnamespace"
    )
    await connection.close()


PAYMENT = """
    insert into payments (tenant_id, id, order_id, customer_id, amount_minor, currency, card_brand, card_last_four, state, created_at)
    select id, gen_random_uuid(), gen_random_uuid()::text, 'customer', 100, 'USD', 'VISA', '1111', 'PENDING', now() from partners
"""


def test_the_code_was_written_for_the_newest_migration():
    assert newest_revision() == REVISION


@pytest.fixture
async def at_revision(owner):
    """Lets the database say that it is of another revision; in the end it is what it was."""

    async def become(revision):
        async with owner.without_tenant() as tx:
            await tx.execute(text("update alembic_version set version_num = :revision"), {"revision": revision})

    yield become
    await become(REVISION)


@pytest.mark.parametrize("revision", ["0001", f"{int(REVISION) - 1:04}", "somebody's"])
async def test_an_older_database_is_refused_with_a_sentence(database, at_revision, revision):
    await check_revision(database)
    await at_revision(revision)

    with pytest.raises(NotMigrated, match=f"Run `partner-api migrate`.*It has {revision}"):
        await check_revision(database)


async def test_a_newer_database_is_served_so_that_an_upgrade_stops_nobody(database, at_revision):
    await at_revision(f"{int(REVISION) + 1:04}")

    await check_revision(database)


async def test_the_tables_that_the_code_knows_are_the_migrated_ones(database_urls):
    engine = create_async_engine(make_url(database_urls.owner).set(drivername="postgresql+asyncpg"))

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"include_object": _tables_and_columns, "compare_type": True})
        return compare_metadata(context, metadata)

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


def _tables_and_columns(_object, name, kind, _reflected, _compare_to):
    """Keys, indexes and checks are the migrations' alone: the code never needs to know them."""
    return kind in ("table", "column") and name != "alembic_version"


@pytest.mark.parametrize("url", ["postgresql://host/db", "postgresql://login@host/db"])
def test_a_login_without_a_password_is_a_sentence(url):
    with pytest.raises(ValueError, match="names a login and its password"):
        login_of(url)


def test_a_logins_repr_does_not_show_its_password():
    assert "geheim" not in repr(login_of("postgresql://login:geheim@host/db"))


async def test_a_new_password_is_taken_over_by_the_next_run(empty):
    app = Login(f"suite_rotated_{secrets.token_hex(4)}", "first")
    await migrate(empty, app=app, worker=WORKER)

    await migrate(empty, app=Login(app.name, 'it\'s "new"'), worker=WORKER)

    url = make_url(empty)
    connection = await asyncpg.connect(host=url.host, port=url.port, database=url.database, user=app.name, password='it\'s "new"')
    await connection.close()


async def test_a_payment_that_is_deleted_is_not_looked_for_from_end_to_end_of_a_table(database_urls):
    """Postgres checks each foreign key of a deleted row, and needs an index that leads with the key's columns."""
    connection = await asyncpg.connect(database_urls.owner)

    unindexed = await connection.fetch("""
        select conrelid::regclass::text as of from pg_constraint
        where contype = 'f' and confrelid = 'payments'::regclass and not exists (
            select from pg_index where indrelid = conrelid and indisvalid
                and (indpred is null or pg_get_expr(indpred, indrelid) like '(% IS NOT NULL)')
                and (indkey::int2[])[0:cardinality(conkey) - 1] = conkey)
    """)

    await connection.close()
    assert [row["of"] for row in unindexed] == []
