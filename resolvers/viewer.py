"""Who is asking."""

from persistence.partners import get_partner
from resolvers.context import Info
from schema.api_key import api_key_of
from schema.viewer import Partner, Viewer, partner_of


async def viewer(info: Info) -> Viewer:
    """The partner and the key of this request."""
    return Viewer(partner=await own_partner(info), api_key=api_key_of(info.context.caller.key))


async def own_partner(info: Info) -> Partner:
    """The partner that is asking."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        partner = await get_partner(tx, context.tenant_id)
    assert partner is not None, "a key belongs to a partner"
    return partner_of(partner)
