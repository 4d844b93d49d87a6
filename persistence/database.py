"""The only ways to a transaction. A tenant's one is `Database.tenant(id)`; row-level security shows it that tenant's rows and no others.

A transaction costs two round trips beyond its statements: `BEGIN; SET LOCAL …` travels as one message, and `COMMIT`. SQLAlchemy's
own transaction would make it three and would prepare a statement for every tenant, so the connections run in its AUTOCOMMIT mode
and the transaction is ours. `SET LOCAL` and not `set_config()`: a distributed Postgres carries only the former to its workers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, cast
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import exc
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from persistence.logins import OPENINGS, opening

POOL_SIZE = 20  # connections of a process; four processes stay below Postgres's default of 100. None beyond it in a burst:
# a connection opened and closed again costs more than all that a request does with it (measured: 111 against 250 payments/s)
KEPT_FOR_PROMISES = 5  # of these, for what was promised already: to write down what the bank has said goes before a new arrival,
# or answers get lost behind requests that are refused in the end
MAX_WAITING = 300  # arrivals in line for the others: what those serve in a second, and on a busy machine within POOL_WAIT_S
BUSY_WAITING = 200  # the last third of the line is for payments: a dashboard can look again later
POOL_WAIT_S = 3.0  # beyond this the database can't keep up, and a caller is better told so
CONNECT_TIMEOUT_S = 3.0  # a database that does not answer in this time is away
ANSWER_TIMEOUT_S = 6.0  # beyond Postgres's own statement_timeout: a server that hangs can't keep it, and is away
SESSION_SETTINGS = {
    "application_name": "partner-api",
    "timezone": "UTC",
    "statement_timeout": "5000",  # ms; our slowest statement takes a few
    "lock_timeout": "3000",  # ms; a payment's lock is held for two round trips
    "idle_in_transaction_session_timeout": "10000",  # ms; no transaction of ours waits for anything but Postgres
}

Transaction = AsyncConnection
APPENDED = "partner-api: events were appended for"  # in a connection's `info`, until its transaction ends: the tenant


class DatabaseAway(Exception):
    """The database can't be reached or can't keep up. Weather: handled once, in `app/`, as 503 with Retry-After."""


class Crowded(DatabaseAway):
    """So many wait for a connection that another arrival would wait in vain. Weather, and found out at no cost."""


class BypassesRowSecurity(Exception):
    """With this database login, every partner's rows would be open to every other."""


class _Driver(Protocol):
    """What we use of asyncpg's connection beneath SQLAlchemy."""

    async def execute(self, query: str) -> str: ...

    def is_in_transaction(self) -> bool: ...


class Database:
    """A pool of connections of one login.

    A transaction is an arrival unless it is said to be `promised`, which is what an arrival that was let in has to have: its
    outcome, its answer. Arrivals can't take all connections, and only so many of them wait in line.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = POOL_SIZE,
        pool_wait_s: float = POOL_WAIT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._pool_size, self._wait_s = pool_size, pool_wait_s
        self._turns = asyncio.Semaphore(max(pool_size - KEPT_FOR_PROMISES, 1))
        self._waiting = 0
        self.on_events: Callable[[UUID], None] = lambda _: None  # hears of each tenant whose events were committed
        self.engine: AsyncEngine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            isolation_level="AUTOCOMMIT",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_wait_s,
            json_deserializer=orjson.loads,
            hide_parameters=True,  # sealed cards and key hashes are parameters; errors must not repeat them
            connect_args={
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": answer_timeout_s,
                "server_settings": SESSION_SETTINGS,
            },
        )

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID, *, promised: bool = False) -> AsyncIterator[Transaction]:
        """A transaction that sees and writes one tenant's rows. Commits at the end, rolls back on any exception.

        Raises DatabaseAway when Postgres is away, and Crowded at once when too many wait. After an exception out of the commit
        itself the outcome is unknown.
        """
        async with self._turn(promised), self._transaction(f"SET LOCAL app.tenant_id = '{tenant_id}'") as transaction:
            yield transaction

    @asynccontextmanager
    async def presenting(self, key_hash: bytes) -> AsyncIterator[Transaction]:
        """A transaction before the tenant is known: it sees the one API key with this hash, and whose it is."""
        async with self._turn(False), self._transaction(f"SET LOCAL app.key_hash = '{key_hash.hex()}'") as transaction:
            yield transaction

    @asynccontextmanager
    async def without_tenant(self, *, promised: bool = False) -> AsyncIterator[Transaction]:
        """A transaction that belongs to no tenant. With the worker's login it sees who has work due; with the owner's, the partners."""
        async with self._turn(promised), self._transaction("") as transaction:
            yield transaction

    async def check_login(self) -> None:
        """Refuse to go on with a login that row-level security does not bind, or with tables that it does not guard.

        Raises BypassesRowSecurity, with what an operator has to do.
        """
        async with self.without_tenant() as transaction:
            row = (await transaction.execute(OPENINGS)).one()
        if (why := opening(row)) is not None:
            raise BypassesRowSecurity(f"{BypassesRowSecurity.__doc__} (login: {row.login}) The reason: {why}.")

    @property
    def waiting(self) -> int:
        """Arrivals in line for a connection."""
        return self._waiting

    @property
    def is_busy(self) -> bool:
        """Whether the line is so long that what can wait should."""
        return self._turns.locked() and self._waiting >= BUSY_WAITING

    @property
    def is_crowded(self) -> bool:
        """Whether an arrival would be refused just now."""
        return self._turns.locked() and self._waiting >= MAX_WAITING

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _turn(self, promised: bool) -> AsyncIterator[None]:
        """An arrival's turn at the connections; those that were promised something need none."""
        if promised:
            yield
            return
        if self.is_crowded:
            raise Crowded(f"{self._waiting} wait for a connection")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turns.acquire()
        except TimeoutError:
            raise DatabaseAway("no turn came") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _transaction(self, setting: str) -> AsyncIterator[Transaction]:
        try:
            connection, driver = await self._begin(f"BEGIN; {setting}" if setting else "BEGIN")
            try:
                connection.info.pop(APPENDED, None)
                yield connection
                await driver.execute("COMMIT")
                if (tenant_id := connection.info.pop(APPENDED, None)) is not None:
                    self.on_events(tenant_id)
            except BaseException as error:
                # Shielded: a cancelled caller must not leave its tenant on a connection that goes back to the pool.
                await asyncio.shield(_rollback(connection, driver, broken=is_weather(error)))
                raise
            else:
                await connection.close()
        except DatabaseAway:
            raise
        except Exception as error:
            if is_weather(error):
                raise DatabaseAway(type(error).__name__) from error
            raise

    async def _begin(self, begin: str) -> tuple[AsyncConnection, _Driver]:
        """A connection with its transaction begun. One that died idle in the pool is replaced: nothing was sent on it yet."""
        for left in range(self._pool_size, -1, -1):  # after a restart of Postgres every one in the pool may be dead
            connection = await self.engine.connect()
            try:
                driver = cast(_Driver, (await connection.get_raw_connection()).driver_connection)
                await driver.execute(begin)
            except BaseException as error:
                await asyncio.shield(_discard(connection))
                if not left or not _is_closed(error):
                    raise
            else:
                return connection, driver
        raise AssertionError("unreachable: the last try returns or raises")


_WEATHER: tuple[type[BaseException], ...] = (
    OSError,  # refused, reset, unreachable
    asyncio.TimeoutError,
    exc.TimeoutError,  # no connection free within POOL_WAIT_S
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # a connection that heard of Postgres's crash while it was idle
    asyncpg.OperatorInterventionError,  # shutting down, crashed, starting up, statement timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, in the middle of a failover
)


def is_weather(error: BaseException) -> bool:
    """Whether an exception is the database being away, and not a mistake of ours."""
    seen: list[BaseException | None] = [error, error.__cause__]
    if isinstance(error, exc.DBAPIError):
        seen += [error.orig, error.orig.__cause__ if error.orig else None]
        if error.connection_invalidated:
            return True
    return any(isinstance(each, _WEATHER) or _is_closed(each) for each in seen)


def _is_closed(error: BaseException | None) -> bool:
    """Whether the connection was closed under us. asyncpg has one class for that and for mistakes of ours; its text tells."""
    return (isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)) or isinstance(
        error, asyncpg.PostgresConnectionError | asyncpg.AdminShutdownError | asyncpg.InternalClientError | ConnectionResetError
    )


async def _discard(connection: AsyncConnection) -> None:
    await connection.invalidate()
    await connection.close()


async def _rollback(connection: AsyncConnection, driver: _Driver, *, broken: bool) -> None:
    try:
        if broken or not driver.is_in_transaction():
            await connection.invalidate()
        else:
            await driver.execute("ROLLBACK")
    except Exception:
        # Whatever state it is in, it is not one to hand to the next caller; the first error is the one to report.
        await connection.invalidate()
    finally:
        await connection.close()
