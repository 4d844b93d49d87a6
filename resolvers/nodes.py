"""`node(id:)`: anything that has an id."""

import strawberry

from domain.ids import IdKind, decode_id
from domain.partner import Mode, tenant_of
from domain.scope import Scope
from resolvers.api_keys import api_key
from resolvers.asking import insist_on
from resolvers.audit import audit_entry
from resolvers.cards import card
from resolvers.context import Info
from resolvers.events import event
from resolvers.payments import payment
from resolvers.reconciliation import reconciliation_run
from resolvers.users import user
from resolvers.viewer import own_partner
from resolvers.webhooks import webhook_delivery, webhook_endpoint
from schema.api_key import api_key_of
from schema.node import Node


async def node(info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002
    """What this id names, if it is the caller's; null for anything else, known or not.

    The scope is asked for by the id's kind and before anything is looked up: an error tells nothing of what there is.
    """
    match decode_id(id):
        case (IdKind.PAYMENT, _):
            insist_on(info.context, Scope.PAYMENTS_READ)
            return await payment(info, id)
        case (IdKind.CARD, value):
            insist_on(info.context, Scope.CARDS_READ)
            return await card(info, value)
        case (IdKind.USER, value):
            insist_on(info.context, Scope.USERS_READ)
            return await user(info, value)
        case (IdKind.PARTNER, value) if value == tenant_of(info.context.tenant_id, Mode.LIVE):
            return await own_partner(info)
        case (IdKind.API_KEY, value) if value == info.context.caller.key.id:
            return api_key_of(info.context.caller.key)
        case (IdKind.API_KEY, value):
            insist_on(info.context, Scope.KEYS_READ)
            return await api_key(info, value)
        case (IdKind.RECONCILIATION, value):
            insist_on(info.context, Scope.PAYMENTS_READ)
            return await reconciliation_run(info, value)
        case (IdKind.AUDIT_ENTRY, value):
            insist_on(info.context, Scope.AUDIT_READ)
            return await audit_entry(info, value)
        case (IdKind.EVENT, value):
            insist_on(info.context, Scope.EVENTS_READ)
            return await event(info, value)
        case (IdKind.WEBHOOK_ENDPOINT, value):
            insist_on(info.context, Scope.WEBHOOKS_READ)
            return await webhook_endpoint(info, value)
        case (IdKind.WEBHOOK_DELIVERY, value):
            insist_on(info.context, Scope.WEBHOOKS_READ)
            return await webhook_delivery(info, value)
        case _:
            return None
