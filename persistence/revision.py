"""Which schema this code was written for. Apart from `migrate`, so that serving does not load Alembic."""

from sqlalchemy import text

from persistence.database import Database

REVISION = "0017"


class NotMigrated(Exception):
    """The database's schema is older than the one that this version was written for. Run `partner-api migrate`."""


async def check_revision(database: Database) -> None:
    """Raises NotMigrated unless the database has the schema of this version or a newer one, and DatabaseAway.

    A newer one is served: migrations only add what the version before can do without, so that an upgrade need not stop everybody.
    """
    async with database.without_tenant(promised=True) as tx:  # a crowd must not make it look as if Postgres were away
        exists = (await tx.execute(text("select to_regclass('alembic_version') is not null"))).scalar_one()
        found = (await tx.execute(text("select version_num from alembic_version"))).scalar_one_or_none() if exists else None
    if found is None or not found.isdigit() or int(found) < int(REVISION):
        raise NotMigrated(f"{NotMigrated.__doc__} (It has {found or 'none'}, this version needs {REVISION}.)")
