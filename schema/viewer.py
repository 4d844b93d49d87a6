"""Who is asking."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import strawberry

from domain.caller import Caller
from domain.ids import IdKind, encode_id
from domain.partner import Mode, tenant_of
from domain.partner import Partner as DomainPartner
from domain.scope import Scope
from domain.tier import Rate, TierName
from domain.token_bucket import remaining
from schema.api_key import ApiKey
from schema.node import Node
from schema.scalars import Count
from schema.usage import UsageFigures


@strawberry.type(description="A business with access to this API.")
class Partner(Node):
    name: str = strawberry.field(description="Its name.")
    created_at: datetime = strawberry.field(description="Since when it is a partner.")


@strawberry.type(description="How much of the platform a partner may use: docs/limits.md has the table.")
class Tier:
    name: TierName = strawberry.field(description="What it is called.")
    max_requests_at_once: int = strawberry.field(description="Requests in flight, for each process of ours.")
    monthly_cost: Count = strawberry.field(description="Points in a month. Beyond it we warn, and stop nothing.")


@strawberry.type(
    description="What may be asked just now, in points of cost: the numbers of `extensions.cost`, without asking for anything."
)
class RateLimit:
    limit: Count = strawberry.field(
        description="What the bucket holds when it is full: your key's or your partner's, whichever has less."
    )
    remaining: Count = strawberry.field(description="What is in it.")
    restore_rate: float = strawberry.field(description="What comes back in a second.")


@strawberry.type(description="Who is asking: the partner, and the key that was presented.")
class Viewer:
    load_rate_limit: strawberry.Private[Callable[[], Awaitable[RateLimit]]]
    load_usage: strawberry.Private[Callable[[], Awaitable[UsageFigures]]]

    partner: Partner = strawberry.field(description="You.")
    api_key: ApiKey = strawberry.field(description="The key of this request.")
    mode: Mode = strawberry.field(description="Whether money moves.")
    scopes: list[Scope] = strawberry.field(description="What the key may do.")
    tier: Tier = strawberry.field(description="How much you may use.")

    @strawberry.field(description="What may be asked just now.")
    async def rate_limit(self) -> RateLimit:
        return await self.load_rate_limit()

    @strawberry.field(
        description="What was used this month (UTC) up to a few seconds ago. Null, with an error, without `usage:read`."
    )
    async def usage(self) -> UsageFigures | None:
        return await self.load_usage()


def partner_of(partner: DomainPartner) -> Partner:
    """A partner as the schema shows it: the same in both modes."""
    return Partner(
        id=strawberry.ID(encode_id(IdKind.PARTNER, tenant_of(partner.id, Mode.LIVE))),
        name=partner.name,
        created_at=partner.created_at,
    )


def tier_of(caller: Caller) -> Tier:
    """The caller's tier as the schema shows it."""
    tier = caller.tier
    return Tier(name=caller.partner.tier, max_requests_at_once=tier.at_once, monthly_cost=Count(tier.monthly_cost))


def rate_limit_of(missing: int, rate: Rate) -> RateLimit:
    """A bucket as the schema shows it."""
    return RateLimit(
        limit=Count(rate.capacity), remaining=Count(remaining(missing, rate)), restore_rate=rate.points / rate.every_s
    )
