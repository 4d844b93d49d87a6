"""All that a database has on record, as one text to be searched."""

from typing import Any

from persistence.database import Database


async def everything_on_record(owner: Database) -> str:
    """Every row of every table. What an update has left behind in a page is not seen: that is VACUUM's business."""
    connection = await owner.engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        tables = [row["name"] for row in await driver.fetch("select relname as name from pg_class where relkind in ('r', 'p')")]
        rows = [row["row"] for table in tables if not table.startswith("pg_") for row in await _rows(driver, table)]
    finally:
        connection.close()
    return "\n".join(rows)


async def _rows(driver: Any, table: str) -> Any:
    if table.startswith("sql_"):  # information_schema's own
        return []
    return await driver.fetch(f'select "{table}"::text as row from "{table}"')
