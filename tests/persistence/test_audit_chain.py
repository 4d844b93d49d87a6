"""Postgres chains what is recorded, whoever records it; what somebody changes by hand is found by code that shares nothing with it."""

import asyncio
import json
import secrets
from contextlib import asynccontextmanager

import asyncpg
import pytest
from alembic import command
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.auditing import check_chain
from domain.audit import ActorKind, AuditEntry, Origin, entry_of_request
from gateway.attempts import begin_authorizations
from persistence import migrate as migrating
from persistence.audit import record
from persistence.audit_chains import get_logged, head_of_chain, page_of_log
from persistence.database import Database
from persistence.migrate import Login, migrate
from tests.databases import execute


@pytest.fixture
def entries(here):
    """Makes entries of all kinds, with texts that are easily taken for one another."""

    def make(count, **how):
        made = []
        for number in range(count):
            here.pass_by(1)
            usual = {
                "kind": [ActorKind.API_KEY, ActorKind.OPERATOR, ActorKind.RECONCILIATION][number % 3],
                "api_key_id": here.world.new_uuid() if number % 3 == 0 else None,
                "actor": "ada – “till” 1:,",
                "action": "key.revoked",
                "subject": f"key_{number}",
                "note": "ü,3:" * number,
                "address": "2001:db8::1",
            }
            made.append(AuditEntry(id=here.world.new_uuid(), at=here.time, **usual | how))
        return made

    return make


@pytest.fixture
def recorded(database, tenant, entries):
    """Records so many entries of a tenant."""

    async def make(count, of=tenant):
        made = entries(count)
        async with database.tenant(of) as tx:
            await record(tx, of, made)
        return made

    return make


@asynccontextmanager
async def tampering(owner, tenant):
    """Somebody with the owner's login, and without the trigger."""
    async with owner.tenant(tenant) as tx:
        await tx.execute(text("set local session_replication_role = replica"))
        yield tx


async def test_a_chain_holds_whoever_writes_it(database, owner, tenant, other_tenant, recorded, parts, wish):
    await recorded(4)
    await recorded(2, other_tenant)
    await begin_authorizations(parts, tenant, [wish()])

    chain = await check_chain(owner, tenant)
    with_the_apis_login = await check_chain(database, tenant)

    assert (chain.entries, chain.broken) == (5, None)
    assert with_the_apis_login == chain
    assert (await check_chain(owner, other_tenant)).entries == 2


async def test_a_log_without_an_entry_holds(owner, tenant):
    assert (await check_chain(owner, tenant)).broken is None


@pytest.mark.parametrize(
    ("what", "statements", "number"),
    [
        ("an edited entry", ["update audit_log set note = 'never mind' where tenant_id = :t and sequence = 3"], 3),
        ("another actor", ["update audit_log set actor = 'eve' where tenant_id = :t and sequence = 6"], 6),
        ("a deleted entry", ["delete from audit_log where tenant_id = :t and sequence = 2"], 2),
        ("a deleted end", ["delete from audit_log where tenant_id = :t and sequence > 4"], 5),
        ("a deleted log", ["delete from audit_log where tenant_id = :t"], 1),
        (
            "a swapped pair",
            [
                "update audit_log set sequence = 100 where tenant_id = :t and sequence = 3",
                "update audit_log set sequence = 3 where tenant_id = :t and sequence = 4",
                "update audit_log set sequence = 4 where tenant_id = :t and sequence = 100",
            ],
            3,
        ),
        (
            "an inserted entry",
            [
                "update audit_log set sequence = sequence + 100 where tenant_id = :t and sequence > 3",
                "insert into audit_log (tenant_id, id, at, kind, actor, action, note, sequence, previous_hash, hash) select tenant_id, "
                "gen_random_uuid(), at, 'OPERATOR', actor, action, note, 4, previous_hash, hash from audit_log "
                "where tenant_id = :t and sequence = 3",
                "update audit_log set sequence = sequence - 99 where tenant_id = :t and sequence > 100",
            ],
            4,
        ),
        (
            "an edited entry, hashed anew",
            [
                "update audit_log set note = 'never mind' where tenant_id = :t and sequence = 3",
                "update audit_log set hash = audit_hash(audit_log) where tenant_id = :t and sequence = 3",
            ],
            4,
        ),
        (
            "an edited last entry, hashed anew",
            [
                "update audit_log set note = 'never mind' where tenant_id = :t and sequence = 6",
                "update audit_log set hash = audit_hash(audit_log) where tenant_id = :t and sequence = 6",
            ],
            6,
        ),
        ("a forgotten end", ["delete from audit_heads where tenant_id = :t"], 6),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whatever_is_changed_by_hand_is_found(owner, tenant, recorded, what, statements, number):
    await recorded(6)

    async with tampering(owner, tenant) as tx:
        for statement in statements:
            await tx.execute(text(statement), {"t": tenant})
    chain = await check_chain(owner, tenant)

    assert chain.broken is not None, what
    assert chain.broken.sequence == number


async def test_a_break_is_found_on_any_page(owner, tenant, recorded, monkeypatch):
    monkeypatch.setattr("app.auditing.PAGE", 2)
    await recorded(6)
    counts = []

    whole = await check_chain(owner, tenant, counts.append)
    async with tampering(owner, tenant) as tx:
        await tx.execute(text("update audit_log set note = 'x' where tenant_id = :t and sequence = 5"), {"t": tenant})
    broken = (await check_chain(owner, tenant)).broken

    assert (whole.entries, whole.broken) == (6, None)
    assert counts == [2, 4, 6, 6]
    assert broken is not None
    assert broken.sequence == 5


async def test_the_apis_login_can_not_choose_a_number_or_a_hash_and_can_not_write_the_end(database, owner, tenant, recorded):
    await recorded(2)

    async with database.tenant(tenant) as tx:
        await tx.execute(
            text("""insert into audit_log (tenant_id, id, at, kind, actor, action, note, sequence, previous_hash, hash)
                    values (:t, gen_random_uuid(), now(), 'OPERATOR', 'eve', 'a.b', '', 99, :hash, :hash)"""),
            {"t": tenant, "hash": b"\1" * 32},
        )
    for change in (
        "update audit_heads set sequence = 1",
        "delete from audit_heads",
        "insert into audit_heads values (:t, 1, :hash)",
    ):
        with pytest.raises(exc.DBAPIError, match="permission denied"):
            async with database.tenant(tenant) as tx:
                await tx.execute(text(change), {"t": tenant, "hash": b"\1" * 32} if ":t" in change else {})

    chain = await check_chain(owner, tenant)
    assert (chain.entries, chain.broken) == (3, None)


async def test_a_process_of_the_version_before_is_chained_too(database, owner, tenant):
    """It does not know the new columns."""
    old = "insert into audit_log (tenant_id, id, at, actor, action, note) values (:t, gen_random_uuid(), now(), :who, 'a.b', '')"

    async with database.tenant(tenant) as tx:
        for who in ("ada", "reconciliation"):
            await tx.execute(text(old), {"t": tenant, "who": who})
        found = await page_of_log(tx, tenant, before=None, limit=10)

    assert [each.entry.kind for each in found] == [ActorKind.RECONCILIATION, ActorKind.OPERATOR]
    assert (await check_chain(owner, tenant)).broken is None


async def test_many_writers_at_once_make_one_chain(database, owner, tenant, recorded, parts, wish):
    await asyncio.gather(*(recorded(1) for _ in range(10)), *(begin_authorizations(parts, tenant, [wish()]) for _ in range(10)))

    chain = await check_chain(owner, tenant)

    assert (chain.entries, chain.broken) == (20, None)


async def test_what_is_taken_back_leaves_no_gap(database, owner, tenant, recorded, entries):
    await recorded(1)
    with pytest.raises(exc.IntegrityError):
        async with database.tenant(tenant) as tx:
            await record(tx, tenant, entries(1) * 2)
    await recorded(1)

    async with database.tenant(tenant) as tx:
        found = await page_of_log(tx, tenant, before=None, limit=10)

    assert [each.sequence for each in found] == [2, 1]
    assert (await check_chain(owner, tenant)).broken is None


async def test_a_mutation_that_did_something_has_one_entry_and_a_repetition_none(database, tenant, parts, wish, here):
    request, origin = wish(), Origin(here.world.new_uuid(), "till 1", "192.0.2.7", "req_1")

    (begun,) = await begin_authorizations(parts, tenant, [request], [origin])
    await begin_authorizations(parts, tenant, [request], [origin])
    await begin_authorizations(parts, tenant, [wish(order=request.order_id)], [origin])

    async with database.tenant(tenant) as tx:
        (logged,) = await page_of_log(tx, tenant, payment_id=begun.payment.id, before=None, limit=10)
        assert await page_of_log(tx, tenant, before=None, limit=10) == [logged]
        assert await get_logged(tx, tenant, logged.entry.id) == logged
        head = await head_of_chain(tx, tenant)
    assert logged.entry == entry_of_request(
        logged.entry.id,
        here.time,
        origin,
        "payment.requested",
        payment_id=begun.payment.id,
        attempt_id=begun.attempt.id,
        idempotency_key=request.idempotency_key,
    )
    assert (head.sequence, head.hash) == (logged.sequence, logged.hash)


async def test_entries_from_before_are_chained_by_the_migration(postgres_url, here, monkeypatch):
    name = f"test_{secrets.token_hex(6)}"
    await execute(postgres_url, f"create database {name}")
    url = f"{postgres_url.rpartition('/')[0]}/{name}"
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    config = migrating._config()

    def upgrade(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")

    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()
    connection = await asyncpg.connect(url)
    tenants = [here.world.new_uuid() for _ in range(2)]
    for tenant in tenants:
        await connection.execute("insert into partners (id, name, created_at) values ($1, 'FicMart', now())", tenant)
        for who in ("ada", "reconciliation", "grace"):
            here.pass_by(1)
            await connection.execute(
                "insert into audit_log (tenant_id, id, at, actor, action, note, after) values ($1, $2, now(), $3, 'a.b', 'ü', $4)",
                tenant, here.world.new_uuid(), who, json.dumps({"b": 1.50, "a": ["x\n", None]}),
            )  # fmt: skip
    await connection.close()

    await migrate(url, app=Login("suite_app", "app-password"), worker=Login("suite_worker", "worker-password"))

    migrated = Database(url)
    chains = [await check_chain(migrated, tenant) for tenant in tenants]
    async with migrated.tenant(tenants[0]) as tx:
        kinds = (
            await tx.execute(text("select kind from audit_log where tenant_id = :t order by sequence"), {"t": tenants[0]})
        ).scalars()
        assert list(kinds) == ["OPERATOR", "RECONCILIATION", "OPERATOR"]
    await migrated.close()
    await execute(postgres_url, f"drop database {name} with (force)")
    assert [(each.entries, each.broken) for each in chains] == [(3, None)] * 2
