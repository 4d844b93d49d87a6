"""Who is asking."""

from datetime import datetime

import strawberry

from domain.ids import IdKind, encode_id
from domain.partner import Mode, tenant_of
from domain.partner import Partner as DomainPartner
from schema.api_key import ApiKey
from schema.node import Node


@strawberry.type(description="A business with access to this API.")
class Partner(Node):
    name: str = strawberry.field(description="Its name.")
    created_at: datetime = strawberry.field(description="Since when it is a partner.")


@strawberry.type(description="Who is asking: the partner, and the key that was presented.")
class Viewer:
    partner: Partner = strawberry.field(description="You.")
    api_key: ApiKey = strawberry.field(description="The key of this request.")


def partner_of(partner: DomainPartner) -> Partner:
    """A partner as the schema shows it: the same in both modes."""
    return Partner(
        id=strawberry.ID(encode_id(IdKind.PARTNER, tenant_of(partner.id, Mode.LIVE))),
        name=partner.name,
        created_at=partner.created_at,
    )
