"""Who is asking."""

from datetime import UTC

from domain.scope import Scope
from domain.usage import Grouping
from persistence.partners import get_partner
from persistence.usage import report_usage
from resolvers.asking import insist_on
from resolvers.context import Context, Info
from schema.api_key import api_key_of
from schema.usage import UsageFigures, usage_of
from schema.viewer import Partner, RateLimit, Viewer, partner_of, rate_limit_of, tier_of


async def viewer(info: Info) -> Viewer:
    """The partner and the key of this request, and what they may use."""
    context = info.context
    caller = context.caller

    async def rate_limit() -> RateLimit:
        return rate_limit_of(*await context.bucket())

    async def usage() -> UsageFigures:
        return await _this_month(context)

    return Viewer(
        partner=await own_partner(info),
        api_key=api_key_of(caller.key),
        mode=caller.mode,
        scopes=sorted(caller.key.scopes),
        tier=tier_of(caller),
        load_rate_limit=rate_limit,
        load_usage=usage,
    )


async def own_partner(info: Info) -> Partner:
    """The partner that is asking."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        partner = await get_partner(tx, context.tenant_id)
    assert partner is not None, "a key belongs to a partner"
    return partner_of(partner)


async def _this_month(context: Context) -> UsageFigures:
    insist_on(context, Scope.USAGE_READ)
    today = context.world.now().astimezone(UTC).date()
    async with context.database.tenant(context.tenant_id) as tx:
        lines = await report_usage(tx, context.tenant_id, today.replace(day=1), today, Grouping.MONTH)
    return usage_of(lines).total
