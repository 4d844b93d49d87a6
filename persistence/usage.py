"""Usage: the books that Redis's counters are added to."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from domain.usage import Figures, Grouping, Line, Used
from persistence.database import Transaction

DRAINS_KEPT = timedelta(days=1)  # no worker sleeps that long between taking counters out and adding them
MAX_LINES = 1000  # of one report: more days than a report may span, and more keys than a partner may have

_REMEMBER = text("""
    insert into usage_drains (tenant_id, id, drained_at) values (:tenant_id, :id, :at) on conflict (tenant_id, id) do nothing returning id
""")
_FORGET = text("delete from usage_drains where tenant_id = :tenant_id and drained_at < :before")
_ADD = text("""
    insert into usage_by_day as known (tenant_id, day, key_id, requests, cost, errors, payments, events)
    values (:tenant_id, :day, :key_id, :requests, :cost, :errors, :payments, :events)
    on conflict (tenant_id, day, key_id) do update set
        requests = known.requests + excluded.requests, cost = known.cost + excluded.cost,
        errors = known.errors + excluded.errors, payments = known.payments + excluded.payments,
        events = known.events + excluded.events
""")
_GROUPS = {
    Grouping.DAY: ("day", "null::uuid"),
    Grouping.MONTH: ("date_trunc('month', day)::date", "null::uuid"),
    Grouping.KEY: ("null::date", "key_id"),
}
_REPORTS = {
    grouping: text(f"""
        select {since} as since, {key_id} as key_id, sum(requests)::bigint as requests, sum(cost)::bigint as cost,
            sum(errors)::bigint as errors, sum(payments)::bigint as payments, sum(events)::bigint as events
        from usage_by_day where tenant_id = :tenant_id and day between :first and :last
        group by 1, 2 order by 1, 2 limit :limit
    """)
    for grouping, (since, key_id) in _GROUPS.items()
}
_COST = text("""
    select coalesce(sum(cost), 0)::bigint from usage_by_day where tenant_id = :tenant_id and day between :first and :last
""")


async def add_usage(tx: Transaction, tenant_id: UUID, drain_id: UUID, used: list[Used], at: datetime) -> bool:
    """Add counters that were taken out under this id. False: they are in the books already, and nothing was done."""
    if (await tx.execute(_REMEMBER, {"tenant_id": tenant_id, "id": drain_id, "at": at})).one_or_none() is None:
        return False
    await tx.execute(_FORGET, {"tenant_id": tenant_id, "before": at - DRAINS_KEPT})
    for each in used:
        figures = each.figures
        await tx.execute(
            _ADD,
            {
                "tenant_id": tenant_id,
                "day": each.day,
                "key_id": each.key_id,
                "requests": figures.requests,
                "cost": figures.cost,
                "errors": figures.errors,
                "payments": figures.payments,
                "events": figures.events,
            },
        )
    return True


async def report_usage(tx: Transaction, tenant_id: UUID, first: date, last: date, grouping: Grouping) -> list[Line]:
    """What was used from the first day to the last, both included, oldest first, up to MAX_LINES."""
    wanted = {"tenant_id": tenant_id, "first": first, "last": last, "limit": MAX_LINES}
    return [
        Line(row.since, row.key_id, Figures(row.requests, row.cost, row.errors, row.payments, row.events))
        for row in await tx.execute(_REPORTS[grouping], wanted)
    ]


async def cost_between(tx: Transaction, tenant_id: UUID, first: date, last: date) -> int:
    """The points used from the first day to the last, both included."""
    return int((await tx.execute(_COST, {"tenant_id": tenant_id, "first": first, "last": last})).scalar_one())
