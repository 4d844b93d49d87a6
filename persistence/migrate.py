"""Brings a database to the newest schema and gives the two logins what they may do. Run with the owner's login, again and again."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

LOCK_WAIT_S = 60  # another migrator's turn; beyond this something hangs, and an operator should know
DDL_LOCK_TIMEOUT_MS = 3000  # a migration that can't have its lock at once gives way to the payments and is run again
TURN_S = 0.2  # between two tries to have one's turn at building indexes
_LOCK = 7_232_019  # any number, the same for all migrators of one database; the next one is for building indexes
_INDEX_IS_VALID = text("select indisvalid from pg_index where indexrelid = to_regclass(:name)")
_NOT_VALIDATED = text("""
    select true from pg_constraint where conrelid = to_regclass(:table) and conname = :name and not convalidated
""")

WORKER_PRIVILEGES = (  # who has work due, and nothing else: what it then does, it does as that tenant with the app's login
    "grant select (tenant_id, lease_until, closed_at) on attempts to {login}",
    "grant select (tenant_id, created_at, state) on payments to {login}",
    "grant select (id, created_at) on partners to {login}",
    "grant select (tenant_id, ask_again_at) on issued_cards to {login}",
    "grant select (tenant_id, started_at, finished_at, lease_until) on reconciliation_runs to {login}",
    "grant select (tenant_id, id, disabled_at, deleted_at, open_until) on webhook_endpoints to {login}",
    "grant select (tenant_id, endpoint_id, state, due_at, leased_until) on webhook_deliveries to {login}",
    "grant select (tenant_id, expiry_year, expiry_month, state) on cards to {login}",
    "grant execute on function forget_events(timestamptz, integer) to {login}",  # old events; nobody else deletes any
)
WORKER_POLICIES = {  # the worker, and nobody else, sees across tenants: name of the policy, its table, and the rows
    "due": ("attempts", "closed_at is null"),
    "held": ("payments", "state = 'AUTHORIZED'"),
    "all_of_them": ("partners", "true"),
    "being_issued": ("issued_cards", "ask_again_at is not null"),
    "scheduled": ("reconciliation_runs", "true"),
    "called": ("webhook_endpoints", "true"),
    "pending": ("webhook_deliveries", "state = 'PENDING'"),
    "expiring": ("cards", "state <> 'CLOSED'"),
}
APP_PRIVILEGES = (  # what a tenant's transactions do; deleted are a payment begun in vain and old reports
    "grant select on partners to {login}",
    "grant select, insert, update (expires_at, last_used_at, revoked_at, replaced_by) on api_keys to {login}",
    "grant select, insert, update, delete on payments to {login}",
    "grant select, insert, update on users, cards to {login}",
    "grant select, insert on card_transitions to {login}",
    "grant select, insert, update on attempts to {login}",
    "revoke insert, update on event_sequences from {login}",  # older versions granted all of it
    "grant select, insert (tenant_id, last), update (last) on event_sequences to {login}",
    "grant select, insert, update, delete on remembered_answers to {login}",
    "grant select, insert, update on usage_by_day to {login}",
    "grant select, insert, delete on usage_drains to {login}",
    "grant select, insert on events, audit_log to {login}",
    "grant select on audit_heads to {login}",
    "grant select, insert on master_keys, data_keys to {login}",
    "grant select, insert, delete on card_numbers to {login}",
    "grant select, insert, update, delete on issued_cards to {login}",
    "grant select, insert, update, delete on reconciliation_runs, discrepancies to {login}",
    "grant select, insert, update, delete on webhook_endpoints, webhook_secrets, webhook_deliveries to {login}",
)


@dataclass(frozen=True, slots=True)
class Login:
    """A database login: name and password."""

    name: str
    password: str = field(repr=False)


def login_of(url: str) -> Login:
    """The login that a database URL speaks of. Raises ValueError when it has no name or no password."""
    parsed = make_url(url)
    if not parsed.username or not parsed.password:
        raise ValueError("a database URL of ours names a login and its password: postgresql://login:password@host/database")
    return Login(parsed.username, str(parsed.password))


async def migrate(owner_url: str, *, app: Login, worker: Login) -> tuple[str | None, str]:
    """Migrate and set up both logins. Returns the revision before (None: an empty database) and after. Safe to run twice at once."""
    engine = create_async_engine(
        make_url(owner_url).set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        connect_args={"server_settings": {"timezone": "UTC"}},
        hide_parameters=True,
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"set local lock_timeout = '{LOCK_WAIT_S}s'"))
            await connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
            await connection.execute(text(f"set local lock_timeout = '{DDL_LOCK_TIMEOUT_MS}ms'"))
            before = await connection.run_sync(_current)
            await connection.run_sync(_upgrade)
            await connection.run_sync(_set_up_logins, app, worker)
        await _finish(engine)
        return before, newest_revision()
    finally:
        await engine.dispose()


async def _finish(engine: AsyncEngine) -> None:
    """Do what migrations leave for later: build indexes `concurrently`, and check old rows, so that no payment waits; outside of any
    transaction.

    Turns are taken by trying: who waits for a lock inside of Postgres is a transaction, and `concurrently` waits for those.
    """
    indexes: dict[str, str] = {}
    constraints: dict[str, str] = {}
    for script in ScriptDirectory.from_config(_config()).walk_revisions():
        indexes |= getattr(script.module, "INDEXES_BUILT_LATER", {})
        constraints |= getattr(script.module, "CONSTRAINTS_VALIDATED_LATER", {})
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        for _ in range(int(LOCK_WAIT_S / TURN_S)):
            if (await connection.execute(text(f"select pg_try_advisory_lock({_LOCK + 1})"))).scalar():
                break
            await asyncio.sleep(TURN_S)
        else:
            raise TimeoutError("another migrator has been building indexes for long; run it again when that one has ended")
        try:
            for name, definition in sorted(indexes.items()):
                is_valid = (await connection.execute(_INDEX_IS_VALID, {"name": name})).scalar()
                if is_valid is False:  # what is left of a build that was broken off
                    await connection.execute(text(f"drop index concurrently {name}"))
                if not is_valid:
                    await connection.execute(text(f"create index concurrently {name} {definition}"))
            for name, table in sorted(constraints.items()):
                if (await connection.execute(_NOT_VALIDATED, {"table": table, "name": name})).scalar():
                    await connection.execute(text(f"alter table {table} validate constraint {name}"))
        finally:
            await connection.execute(text(f"select pg_advisory_unlock({_LOCK + 1})"))


def newest_revision() -> str:
    """The newest migration there is."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is a first migration"
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("version_path_separator", "os")
    return config


def _current(connection: Connection) -> str | None:
    if connection.execute(text("select to_regclass('alembic_version')")).scalar() is None:
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _set_up_logins(connection: Connection, app: Login, worker: Login) -> None:
    assert app.name != worker.name, "two logins, without membership: a policy for one must not apply to the other"
    quote = connection.dialect.identifier_preparer.quote
    for login, privileges in ((app, APP_PRIVILEGES), (worker, WORKER_PRIVILEGES)):
        _create_login(connection, login)
        for privilege in ("grant usage on schema public to {login}", "grant select on alembic_version to {login}", *privileges):
            connection.execute(text(privilege.format(login=quote(login.name))))
    for policy, (table, rows) in WORKER_POLICIES.items():
        exists = text("select 1 from pg_policies where tablename = :table and policyname = :policy and :login = any(roles)")
        if connection.execute(exists, {"table": table, "policy": policy, "login": worker.name}).scalar() is None:
            connection.execute(text(f"drop policy if exists {policy} on {table}"))
            connection.execute(text(f"create policy {policy} on {table} for select to {quote(worker.name)} using ({rows})"))


def _create_login(connection: Connection, login: Login) -> None:
    """Creates the login or sets its password. `format(%L)` quotes it inside Postgres; utility statements take no parameters."""
    exists = connection.execute(text("select 1 from pg_roles where rolname = :name"), {"name": login.name}).scalar()
    verb = "alter" if exists else "create"
    statement = connection.execute(
        text(f"select format('{verb} role %I login password %L', cast(:name as text), cast(:password as text))"),
        {"name": login.name, "password": login.password},
    ).scalar_one()
    connection.exec_driver_sql(statement)
