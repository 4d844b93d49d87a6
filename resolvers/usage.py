"""What was used."""

from datetime import date

from domain.usage import Grouping
from persistence.usage import report_usage
from resolvers.context import Info
from resolvers.refused_argument import RefusedArgument
from schema.usage import Usage, usage_of

MAX_DAYS = 366  # of a report: a year, and a line for each of its days


async def usage(info: Info, since: date, until: date, grouping: Grouping) -> Usage:
    """A report of these days, both included."""
    context = info.context
    if until < since:
        raise RefusedArgument(["to"], "It is before `from`.")
    if (until - since).days >= MAX_DAYS:
        raise RefusedArgument(["to"], f"A report spans at most {MAX_DAYS} days.")
    async with context.database.tenant(context.tenant_id) as tx:
        return usage_of(await report_usage(tx, context.tenant_id, since, until, grouping))
