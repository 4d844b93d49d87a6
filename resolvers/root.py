"""The roots: every operation, its arguments and its description."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated

import strawberry

from domain.event import EventType
from domain.scope import Scope
from domain.usage import Grouping
from resolvers import api_keys, audit, events, nodes, payments, reconciliation, usage, viewer
from resolvers.asking import asks, follows
from resolvers.card_fields import CardMutations, CardQueries
from resolvers.context import Info
from resolvers.given import given
from resolvers.issuing_fields import IssuingMutations
from resolvers.user_fields import UserMutations, UserQueries
from resolvers.webhook_fields import WebhookMutations, WebhookQueries
from schema import inputs
from schema.api_key import ApiKeyConnection, CreateApiKeyResult, RevokeApiKeyResult, RotateApiKeyResult
from schema.audit import AuditEntryConnection, AuditFilter
from schema.connection import PaymentConnection
from schema.event import EventConnection, TransactionEvent
from schema.node import Node
from schema.order import OrderPayment
from schema.payment import Payment
from schema.reconciliation import ReconciliationRunConnection
from schema.results import AuthorizePaymentResult, CapturePaymentResult, RefundPaymentResult, VoidPaymentResult
from schema.usage import Usage
from schema.viewer import Viewer

EventTypes = Annotated[list[EventType] | None, strawberry.argument(description="Only what is of one of these types.")]
PaymentId = Annotated[strawberry.ID, strawberry.argument(description="A payment's id, `pay_…`.")]


@strawberry.type(description="What can be asked. Everything is the caller's own: other partners' things don't exist here.")
class Query(UserQueries, CardQueries, WebhookQueries):
    @asks(None, "Who is asking: the partner and the key.")
    async def viewer(self, info: Info) -> Viewer:
        return await viewer.viewer(info)

    @asks(None, "Anything with an id. Null for what does not exist or is not yours. Needs the scope to read that kind of thing.")
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Any id of this API.")],  # noqa: A002
    ) -> Node | None:
        return await nodes.node(info, id)

    @asks(Scope.PAYMENTS_READ, "One payment. Null for what does not exist or is not yours.")
    async def payment(self, info: Info, id: PaymentId) -> Payment | None:  # noqa: A002
        return await payments.payment(info, id)

    @asks(Scope.PAYMENTS_READ, "Payments, newest first, in pages that stay stable while new ones arrive.")
    async def payments(
        self,
        info: Info,
        first: inputs.First = strawberry.UNSET,
        after: inputs.After = strawberry.UNSET,
        last: inputs.Last = strawberry.UNSET,
        before: inputs.Before = strawberry.UNSET,
        filter: Annotated[  # noqa: A002
            inputs.PaymentFilter | None, strawberry.argument(description="Which payments; all without it.")
        ] = strawberry.UNSET,
    ) -> PaymentConnection:
        return await payments.payments(
            info, first=given(first), after=given(after), last=given(last), before=given(before), where=given(filter)
        )

    @asks(Scope.PAYMENTS_READ, "May this order be shipped? The one question a warehouse asks.")
    async def order_payment(
        self, info: Info, order_id: Annotated[str, strawberry.argument(description="Your order.")]
    ) -> OrderPayment:
        return await payments.order_payment_query(info, order_id)

    @asks(
        Scope.PAYMENTS_READ, "Reports of the reconciliation: whether your payments are what the bank's books say. Newest first."
    )
    async def reconciliation(
        self, info: Info, first: inputs.First = strawberry.UNSET, after: inputs.After = strawberry.UNSET
    ) -> ReconciliationRunConnection:
        return await reconciliation.reconciliation(info, first=given(first), after=given(after))

    @asks(Scope.KEYS_READ, "Your API keys, newest first; those that ended too. A test key sees test keys, a live one live ones.")
    async def api_keys(
        self, info: Info, first: inputs.First = strawberry.UNSET, after: inputs.After = strawberry.UNSET
    ) -> ApiKeyConnection:
        return await api_keys.api_keys(info, first=given(first), after=given(after))

    @asks(Scope.AUDIT_READ, "Who changed what, from where and when: keys, our operators, the reconciliation. Newest first.")
    async def audit_log(
        self,
        info: Info,
        first: inputs.First = strawberry.UNSET,
        after: inputs.After = strawberry.UNSET,
        filter: Annotated[  # noqa: A002
            AuditFilter | None, strawberry.argument(description="Which entries; all without it.")
        ] = strawberry.UNSET,
    ) -> AuditEntryConnection:
        return await audit.audit_log(info, first=given(first), after=given(after), where=given(filter))

    @asks(Scope.EVENTS_READ, "What happened, oldest first: the same events that `transactionEvents` brings live.")
    async def events(
        self,
        info: Info,
        first: inputs.First = strawberry.UNSET,
        after: Annotated[
            str | None, strawberry.argument(description="Only what is behind this event, `evt_…`.")
        ] = strawberry.UNSET,
        types: EventTypes = strawberry.UNSET,
    ) -> EventConnection:
        return await events.events(info, first=given(first), after=given(after), types=given(types))

    @asks(Scope.USAGE_READ, "What you have used, by day, month or key. It is at most some seconds behind.")
    async def usage(
        self,
        info: Info,
        since: Annotated[date, strawberry.argument(name="from", description="The first day (UTC).")],
        until: Annotated[date, strawberry.argument(name="to", description="The last day; at most 366 in all.")],
        group_by: Annotated[Grouping, strawberry.argument(description="By what it is added up.")] = Grouping.DAY,
    ) -> Usage:
        return await usage.usage(info, since, until, group_by)


# Results are nullable: an error of ours in one field of a document must not erase what the fields before it did.
@strawberry.type(description="What can be done. Every mutation carries an idempotency key: repeating it is always safe.")
class Mutation(UserMutations, CardMutations, IssuingMutations, WebhookMutations):
    @asks(Scope.PAYMENTS_WRITE, "Hold money on a card for an order. A decline is an outcome: look at `payment.state`.")
    async def authorize_payment(
        self,
        info: Info,
        input: Annotated[inputs.AuthorizePaymentInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> AuthorizePaymentResult | None:
        return await payments.authorize_payment(info, input)

    @asks(Scope.PAYMENTS_WRITE, "Take the held money, all of it. Do it when the goods leave.")
    async def capture_payment(
        self,
        info: Info,
        input: Annotated[inputs.CapturePaymentInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> CapturePaymentResult | None:
        return await payments.capture_payment(info, input)

    @asks(Scope.PAYMENTS_WRITE, "Give a hold up. Nothing is charged.")
    async def void_payment(
        self,
        info: Info,
        input: Annotated[inputs.VoidPaymentInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> VoidPaymentResult | None:
        return await payments.void_payment(info, input)

    @asks(Scope.REFUNDS_WRITE, "Pay captured money back, all of it.")
    async def refund_payment(
        self,
        info: Info,
        input: Annotated[inputs.RefundPaymentInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> RefundPaymentResult | None:
        return await payments.refund_payment(info, input)

    @asks(Scope.KEYS_WRITE, "Make an API key of the same mode as yours. It can do at most what yours can.")
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[inputs.CreateApiKeyInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> CreateApiKeyResult | None:
        return await api_keys.create_api_key(info, input)

    @asks(
        Scope.KEYS_WRITE, "Give an API key a successor that can do the same. Both work for a while, so that nothing stands still."
    )
    async def rotate_api_key(
        self,
        info: Info,
        input: Annotated[inputs.RotateApiKeyInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> RotateApiKeyResult | None:
        return await api_keys.rotate_api_key(info, input)

    @asks(Scope.KEYS_WRITE, "End an API key at once. Every process refuses it within five seconds, usually within one.")
    async def revoke_api_key(
        self,
        info: Info,
        input: Annotated[inputs.RevokeApiKeyInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> RevokeApiKeyResult | None:
        return await api_keys.revoke_api_key(info, input)


@strawberry.type(description="What can be followed live, over `graphql-transport-ws` on the same path.")
class Subscription:
    @follows(
        Scope.EVENTS_READ,
        "Each thing that happens to a payment of yours, in order and without a gap, as soon as it is durable. To go on after a "
        "cut, give the id of the last event that you have seen.",
    )
    async def transaction_events(
        self,
        info: Info,
        after: Annotated[
            str | None,
            strawberry.argument(description="The id of an event, `evt_…`: begin right behind it. Without it: from now on."),
        ] = strawberry.UNSET,
        types: EventTypes = strawberry.UNSET,
    ) -> AsyncIterator[TransactionEvent]:
        return await events.transaction_events(info, after=given(after), types=given(types))
