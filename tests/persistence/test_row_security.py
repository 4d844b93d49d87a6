"""A partner sees its own rows and no others: Postgres holds it, whatever the code above forgets."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import exc, text

from gateway.attempts import LEASE_S, begin_authorizations
from persistence.database import BypassesRowSecurity, Database, DatabaseAway
from persistence.tables import metadata
from tests.databases import execute

TENANT_TABLES = sorted(table.name for table in metadata.tables.values() if "tenant_id" in table.c)


async def test_every_table_of_a_tenant_has_row_security_enabled_forced_and_a_policy(owner):
    query = """
        select relname, relrowsecurity, relforcerowsecurity, count(policyname) as policies
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        left join pg_policies on tablename = relname and permissive = 'PERMISSIVE' and policyname = 'tenant'
        where nspname = 'public' and relkind in ('r', 'p') and exists (
            select 1 from pg_attribute where attrelid = pg_class.oid and attname = 'tenant_id')
        group by 1, 2, 3 order by 1
    """

    async with owner.without_tenant() as tx:
        rows = (await tx.execute(text(query))).all()

    assert [row.relname for row in rows] == TENANT_TABLES
    assert all((row.relrowsecurity, row.relforcerowsecurity, row.policies) == (True, True, 1) for row in rows)


async def test_every_key_of_a_tenants_table_leads_with_the_tenant(owner):
    query = """
        select conrelid::regclass::text as of, conname, attname
        from pg_constraint join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where contype in ('p', 'u', 'f') and connamespace = 'public'::regnamespace
        union all
        select indrelid::regclass::text, indexrelid::regclass::text, attname
        from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]
        where indisunique and indrelid::regclass::text = any(:tables)
    """

    async with owner.without_tenant() as tx:
        rows = (await tx.execute(text(query), {"tables": TENANT_TABLES})).all()

    assert {row.attname for row in rows if row.of in TENANT_TABLES} == {"tenant_id"}


@pytest.fixture
async def furnished(parts, tenant, wish, gateway, make_key):
    """A partner with a row in every table."""
    answer = await gateway.authorize(tenant, wish())
    await make_key(tenant)
    async with parts.database.tenant(tenant) as tx:
        for statement in REPORTS:
            await tx.execute(text(statement), {"tenant": tenant, "payment": answer.payment.id})
    return tenant


REPORTS = (
    """insert into reconciliation_runs (tenant_id, id, trigger, started_at, since, phase, lease_until, lease_token)
       values (:tenant, :tenant, 'SCHEDULE', now(), now(), 'AT_REST', now(), :tenant)""",
    """insert into discrepancies (tenant_id, run_id, payment_id, kind, done, ours, the_banks, found_at)
       values (:tenant, :tenant, :payment, 'HOLD_EXPIRED', 'REPAIRED', 'AUTHORIZED', 'expired', now())""",
    """insert into remembered_answers (tenant_id, idempotency_key, kind, fingerprint, answer, created_at)
       values (:tenant, 'key', 'createApiKey', '', '{}', now())""",
    """insert into usage_by_day (tenant_id, day, key_id, requests, cost, errors, payments, events)
       values (:tenant, current_date, :tenant, 1, 1, 0, 0, 0)""",
    """insert into users (tenant_id, id, external_id, metadata, state, created_at, updated_at)
       values (:tenant, :tenant, 'customer', '{}', 'ACTIVE', now(), now())""",
    """insert into cards (tenant_id, id, user_id, kind, brand, last_four, expiry_month, expiry_year, fingerprint, state, created_at,
                          state_since)
       values (:tenant, :tenant, :tenant, 'ADDED', 'VISA', '1111', 12, 2030, sha256(''), 'ACTIVE', now(), now())""",
    """insert into issued_cards (tenant_id, card_id, user_id, opened_at, actor, api_key_id, idempotency_key, ask_again_at)
       values (:tenant, :tenant, :tenant, now(), 'test', :tenant, 'key', now())""",
    """insert into card_numbers (tenant_id, card_id, sealed, key_version)
       values (:tenant, :tenant, '\\x0200000001'::bytea || sha256(''), 1)""",
    """insert into card_transitions (tenant_id, card_id, number, after, actor, at)
       values (:tenant, :tenant, 1, 'ACTIVE', 'shop', now())""",
    "insert into usage_drains (tenant_id, id, drained_at) values (:tenant, :tenant, now())",
    """insert into webhook_endpoints (tenant_id, id, url, description, scopes, saved_by, created_at, updated_at)
       values (:tenant, :tenant, 'https://hooks.example', '', '{}', :tenant, now(), now())""",
    """insert into webhook_secrets (tenant_id, id, endpoint_id, sealed, key_version, created_at)
       values (:tenant, :tenant, :tenant, '', 1, now())""",
    """insert into webhook_deliveries (tenant_id, id, endpoint_id, state, due_at)
       values (:tenant, :tenant, :tenant, 'PENDING', now())""",
    """insert into audit_log (tenant_id, id, at, actor, action, payment_id, note)
       values (:tenant, :tenant, now(), 'ada', 'payment.settled', :payment, 'seen at the bank')""",
)


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_another_partner_and_nobody_see_no_row(database, furnished, other_tenant, table):
    count = text(f"select count(*) from {table} where tenant_id = :tenant")

    async with database.tenant(furnished) as tx:
        own = (await tx.execute(count, {"tenant": furnished})).scalar_one()
    async with database.tenant(other_tenant) as tx:
        foreign = (await tx.execute(count, {"tenant": furnished})).scalar_one()
    async with database.without_tenant() as tx:
        nobodys = (await tx.execute(count, {"tenant": furnished})).scalar_one()

    assert own > 0
    assert (foreign, nobodys) == (0, 0)


async def test_a_partner_can_neither_write_nor_take_over_another_ones_rows(database, furnished, other_tenant):
    with pytest.raises(exc.DBAPIError, match="row-level security"):
        async with database.tenant(other_tenant) as tx:
            await tx.execute(text("insert into event_sequences (tenant_id, last) values (:tenant, 1)"), {"tenant": furnished})
    async with database.tenant(other_tenant) as tx:
        stolen = await tx.execute(
            text("update payments set customer_id = 'mine' where tenant_id = :tenant"), {"tenant": furnished}
        )
    with pytest.raises(exc.DBAPIError, match="row-level security"):
        async with database.tenant(furnished) as tx:
            await tx.execute(text("update payments set tenant_id = :other"), {"other": other_tenant})

    assert stolen.rowcount == 0


async def test_a_partner_sees_itself_alone_among_the_partners(database, tenant, other_tenant):
    async with database.tenant(tenant) as tx:
        seen = (await tx.execute(text("select id from partners"))).scalars().all()

    assert seen == [tenant]


async def test_no_tenant_stays_on_a_connection_whatever_ends_the_transaction(database_urls, tenant):
    alone = Database(database_urls.app, pool_size=1)
    setting = text("select coalesce(nullif(current_setting('app.tenant_id', true), ''), 'none')")

    async def look():
        async with alone.without_tenant() as tx:
            return (await tx.execute(setting)).scalar_one()

    async with alone.tenant(tenant) as tx:
        inside = (await tx.execute(setting)).scalar_one()
    after_commit = await look()
    with pytest.raises(ZeroDivisionError):
        async with alone.tenant(tenant):
            raise ZeroDivisionError
    after_error = await look()
    with pytest.raises(exc.DBAPIError):
        async with alone.tenant(tenant) as tx:
            await tx.execute(text("select 1 / 0"))
    after_sql_error = await look()

    async def sleeper():
        async with alone.tenant(tenant) as tx:
            await tx.execute(text("select pg_sleep(60)"))

    sleeping = asyncio.create_task(sleeper())
    await asyncio.wait([sleeping], timeout=0.2)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    after_cancellation = await look()
    await alone.close()

    assert inside == str(tenant)
    assert [after_commit, after_error, after_sql_error, after_cancellation] == ["none"] * 4


async def test_a_login_that_bypasses_row_security_is_refused(owner, database, watch):
    with pytest.raises(BypassesRowSecurity, match=r"login: partner_api.*superuser"):
        await owner.check_login()

    await database.check_login()
    await watch.check_login()


@pytest.mark.parametrize(
    ("opened", "closed", "reason"),
    [
        ("grant suite_worker to {app}", "revoke suite_worker from {app}", "member of suite_worker"),
        ("grant suite_app to {app} with inherit false", "revoke suite_app from {app}", "member of suite_app"),
        ("grant partner_api to {app}", "revoke partner_api from {app}", "member of partner_api"),
        ("alter role {app} bypassrls", "alter role {app} nobypassrls", "BYPASSRLS"),
        ("create table loot (); alter table loot owner to {app}", "drop table loot", "owns tables"),
        ("alter table events no force row level security", "alter table events force row level security", "row security: events"),
        ("alter table events disable row level security", "alter table events enable row level security", "row security: events"),
        ("create table loot (tenant_id uuid)", "drop table loot", "row security: loot"),
        ("create view loot as select * from payments", "drop view loot", "row security: loot"),
        ("create materialized view loot as select * from payments", "drop materialized view loot", "row security: loot"),
        (
            "create table loot (tenant_id uuid) partition by list (tenant_id); create table part partition of loot default; "
            "alter table loot enable row level security; alter table loot force row level security; "
            "create policy tenant on loot using (true)",
            "drop table loot",
            "row security: part",
        ),
    ],
)
async def test_whatever_opens_one_tenants_rows_to_another_is_refused_at_the_start(database_urls, opened, closed, reason):
    """With a login of this test's own: other tests use the suite's."""
    login = f"login_{uuid4().hex[:8]}"
    url = database_urls.app.replace("suite_app", login)
    await execute(database_urls.owner, f"create role {login} login password 'app-password'")
    suspect = Database(url, pool_size=1)
    try:
        await suspect.check_login()
        await execute(database_urls.owner, opened.format(app=login))

        with pytest.raises(BypassesRowSecurity, match=rf"login: {login}.*{reason}"):
            await suspect.check_login()

        await execute(database_urls.owner, closed.format(app=login))
        await suspect.check_login()
    finally:
        await suspect.close()
        await execute(database_urls.owner, f"drop role {login}")


async def test_a_view_that_asks_with_its_callers_rights_is_no_hole(database, database_urls):
    await execute(database_urls.owner, "create view harmless with (security_invoker = true) as select * from payments")

    await database.check_login()

    await execute(database_urls.owner, "drop view harmless")


async def test_two_tenants_that_take_turns_on_one_connection_see_their_own_whatever_ended_the_last_turn(
    database_urls, furnished, other_tenant
):
    """A pool of one: each turn inherits the connection from the other tenant, after a commit, an error or a cancellation."""
    alone = Database(database_urls.app, pool_size=1, pool_wait_s=60, answer_timeout_s=60)
    whose = text("select distinct tenant_id from payments union select id from partners")

    async def turn(tenant, ending):
        async with alone.tenant(tenant) as tx:
            seen = set((await tx.execute(whose)).scalars())
            if ending == "our error":
                raise ZeroDivisionError
            if ending == "an error of Postgres's":
                await tx.execute(text("select 1 / 0"))
            if ending == "cancelled":
                asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
                await tx.execute(text("select pg_sleep(60)"))
        return seen

    endings = ["commit", "our error", "commit", "an error of Postgres's", "commit", "cancelled", "commit"]
    for index, ending in enumerate(endings * 4):
        tenant = furnished if index % 2 else other_tenant
        result = (await asyncio.gather(asyncio.create_task(turn(tenant, ending)), return_exceptions=True))[0]
        assert result == {tenant} if ending == "commit" else isinstance(result, (Exception, asyncio.CancelledError))
        async with alone.without_tenant() as tx:
            assert not (await tx.execute(whose)).all()
    await alone.close()


async def test_the_two_logins_are_members_of_nothing(owner):
    async with owner.without_tenant() as tx:
        count = await tx.execute(
            text("select count(*) from pg_auth_members join pg_roles on pg_roles.oid = member where rolname like 'suite_%'")
        )

    assert count.scalar_one() == 0


async def test_the_workers_login_sees_who_has_work_due_and_nothing_else(parts, tenant, wish, watch, here, recovery):
    await begin_authorizations(parts, tenant, [wish()])
    here.pass_by(LEASE_S + 1)

    async with watch.without_tenant() as tx:
        seen = (await tx.execute(text("select tenant_id from attempts"))).scalars().all()
    for sql in ("select sealed_card from attempts", "select * from payments", "select * from api_keys", "delete from attempts"):
        with pytest.raises(exc.DBAPIError, match="permission denied"):
            async with watch.without_tenant() as tx:
                await tx.execute(text(sql))
    await recovery.run_once()

    assert tenant in seen


async def test_the_log_of_events_and_the_keys_can_not_be_rewritten_with_the_apps_login(database, furnished):
    for sql in (
        "update events set type = 'x'",
        "delete from events",
        "update api_keys set scopes = '{}'",
        "update api_keys set key_hash = ''",
        "delete from api_keys",
        "delete from partners",
    ):
        with pytest.raises(exc.DBAPIError, match="permission denied"):
            async with database.tenant(furnished) as tx:
                await tx.execute(text(sql))


async def test_a_presented_hash_shows_its_own_key_and_no_other(database, make_key, tenant, other_tenant):
    await make_key(tenant)
    await make_key(other_tenant)

    async with database.presenting(b"\0" * 32) as tx:
        unknown = (await tx.execute(text("select count(*) from api_keys"))).scalar_one()
    async with database.tenant(tenant) as tx:
        (key_hash,) = (await tx.execute(text("select key_hash from api_keys"))).scalars().all()
    async with database.presenting(key_hash) as tx:
        found = (await tx.execute(text("select tenant_id from api_keys"))).scalars().all()

    assert unknown == 0
    assert found == [tenant]


async def test_a_database_that_is_not_there_is_weather():
    nowhere = Database("postgresql://nobody:nothing@127.0.0.1:1/none")

    with pytest.raises(DatabaseAway):
        async with nowhere.tenant(uuid4()):
            pass
    await nowhere.close()


async def test_a_database_that_hangs_is_weather_and_its_connection_is_not_used_again(database_urls, tenant):
    hasty = Database(database_urls.app, pool_size=1, answer_timeout_s=0.2)

    with pytest.raises(DatabaseAway):
        async with hasty.tenant(tenant) as tx:
            await tx.execute(text("select pg_sleep(60)"))
    async with hasty.tenant(tenant) as tx:
        back = (await tx.execute(text("select 1"))).scalar_one()
    await hasty.close()

    assert back == 1


async def test_a_mistake_of_ours_is_not_weather(database, tenant):
    with pytest.raises(exc.ProgrammingError):
        async with database.tenant(tenant) as tx:
            await tx.execute(text("select nonsense"))


async def test_an_error_does_not_repeat_what_was_written(database, tenant):
    with pytest.raises(exc.DBAPIError) as caught:
        async with database.tenant(tenant) as tx:
            await tx.execute(
                text("insert into event_sequences (tenant_id, last) values (:t, :secret)"),
                {"t": uuid4(), "secret": 4111111111111111},
            )

    assert "4111111111111111" not in str(caught.value)
