"""Payments: four operations, and four ways to look at them."""

from typing import cast
from uuid import UUID

import strawberry

from domain.answer import Answer, InvalidInput, Performed
from domain.ids import IdKind, decode_id_of
from domain.order import decisive_payment, order_payment
from domain.payment import Verb
from domain.request import (
    MAX_NAME_LENGTH,
    RawAuthorize,
    RawCard,
    RawStoredCard,
    WaitFor,
    as_integer,
    normal_name,
    parse_authorize,
    parse_operate,
)
from persistence.payment_pages import Cursor, PaymentFilter, count_payments, cursor_of, page_of_payments
from persistence.payments import get_standings_of_orders
from resolvers.context import Context, Info
from resolvers.given import given
from resolvers.pages import page_size, place
from resolvers.refused_argument import RefusedArgument
from schema import inputs
from schema.connection import PageInfo, PaymentConnection, PaymentEdge
from schema.errors import ErrorType, error_of
from schema.order import OrderPayment, order_payment_of
from schema.payment import Payment, payment_of
from schema.results import (
    AuthorizePaymentResult,
    CapturePaymentResult,
    PaymentPayload,
    RefundPaymentResult,
    VoidPaymentResult,
)


async def authorize_payment(info: Info, input: inputs.AuthorizePaymentInput) -> AuthorizePaymentResult:  # noqa: A002
    """Hold money on a card for an order."""
    context = info.context
    raw = RawAuthorize(
        idempotency_key=input.idempotency_key,
        order_id=input.order_id,
        customer_id=input.customer_id,
        minor_units=input.amount.minor_units,
        currency=input.amount.currency,
        card=_source(input.source),
    )
    request = parse_authorize(raw, context.world.now())
    if isinstance(request, InvalidInput):
        return cast(AuthorizePaymentResult, error_of(request))
    answer = await context.gateway.authorize(context.tenant_id, request, given(input.wait) or WaitFor.OUTCOME, context.origin)
    context.payments_made += isinstance(answer, Performed) and not answer.replayed
    return cast(AuthorizePaymentResult, _answered(answer))


def _source(source: inputs.PaymentSourceInput) -> RawCard | RawStoredCard:
    if (stored := given(source.stored_card)) is not None:
        return RawStoredCard(stored.card_id, stored.cvv)
    card = given(source.card)
    assert card is not None, "@oneOf: exactly one source"
    return RawCard(card.number, card.cvv, card.expiry_month, card.expiry_year)


async def capture_payment(info: Info, input: inputs.CapturePaymentInput) -> CapturePaymentResult:  # noqa: A002
    """Take the held money."""
    return cast(CapturePaymentResult, await _operate(info.context, Verb.CAPTURE, input))


async def void_payment(info: Info, input: inputs.VoidPaymentInput) -> VoidPaymentResult:  # noqa: A002
    """Give a hold up."""
    return cast(VoidPaymentResult, await _operate(info.context, Verb.VOID, input))


async def refund_payment(info: Info, input: inputs.RefundPaymentInput) -> RefundPaymentResult:  # noqa: A002
    """Pay captured money back."""
    return cast(RefundPaymentResult, await _operate(info.context, Verb.REFUND, input))


async def _operate(
    context: Context,
    verb: Verb,
    wish: inputs.CapturePaymentInput | inputs.VoidPaymentInput | inputs.RefundPaymentInput,
) -> PaymentPayload | ErrorType:
    request = parse_operate(wish.idempotency_key, wish.payment_id)
    if isinstance(request, InvalidInput):
        return error_of(request)
    return _answered(await context.gateway.operate(context.tenant_id, verb, request, context.origin))


def _answered(answer: Answer) -> PaymentPayload | ErrorType:
    if isinstance(answer, Performed):
        return PaymentPayload(payment=payment_of(answer.payment, answer.pending), replayed=answer.replayed)
    return error_of(answer)


async def payment(info: Info, id: strawberry.ID) -> Payment | None:  # noqa: A002
    """One payment by its id."""
    payment_id = decode_id_of(IdKind.PAYMENT, id)
    if payment_id is None:
        return None
    found = await info.context.standings.load(payment_id)
    return payment_of(found.payment, found.pending) if found else None


async def order_payment_query(info: Info, order_id: str) -> OrderPayment:
    """May this order be shipped?"""
    context = info.context
    order_id = normal_name(order_id)
    if not 0 < len(order_id) <= MAX_NAME_LENGTH or not order_id.isprintable():
        raise RefusedArgument(["orderId"], f"An order id has 1 to {MAX_NAME_LENGTH} printable characters.")
    async with context.database.tenant(context.tenant_id) as tx:
        decisive = decisive_payment(await get_standings_of_orders(tx, context.tenant_id, [order_id]))
    return order_payment_of(order_id, order_payment(decisive, context.world.now()))


async def payments(
    info: Info,
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    where: inputs.PaymentFilter | None,
) -> PaymentConnection:
    """A page of payments, newest first."""
    context = info.context
    if first is not None and last is not None:
        raise RefusedArgument(["last"], "Give `first` or `last`, not both.")
    limit = page_size("last", last) if last is not None else page_size("first", first)
    behind, ahead = place("after", after, Cursor.decode), place("before", before, Cursor.decode)
    matching = _where(where)
    async with context.database.tenant(context.tenant_id) as tx:
        page = await page_of_payments(
            tx,
            context.tenant_id,
            matching,
            limit=limit,
            backward=last is not None,
            after=behind,
            before=ahead,
        )

    async def count() -> int:
        async with context.database.tenant(context.tenant_id) as tx:
            return await count_payments(tx, context.tenant_id, matching)

    edges = [
        PaymentEdge(cursor=cursor_of(each.payment).encode(), node=payment_of(each.payment, each.pending))
        for each in page.standings
    ]
    page_info = PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return PaymentConnection(count=count, edges=edges, page_info=page_info)


def _where(where: inputs.PaymentFilter | None) -> PaymentFilter:
    if where is None:
        return PaymentFilter()
    return PaymentFilter(
        order_id=_name("orderId", given(where.order_id)),
        customer_id=_name("customerId", given(where.customer_id)),
        card_id=_id("cardId", IdKind.CARD, given(where.card_id)),
        user_id=_id("userId", IdKind.USER, given(where.user_id)),
        states=given(where.states),
        created_after=given(where.created_after),
        created_before=given(where.created_before),
        min_amount=_amount("minAmount", given(where.min_amount)),
        max_amount=_amount("maxAmount", given(where.max_amount)),
        needs_review=given(where.needs_review),
    )


def _name(name: str, text: str | None) -> str | None:
    if text is not None and not text.isprintable():
        raise RefusedArgument(["filter", name], "It has a character that can't be printed, so nothing can match.")
    return None if text is None else normal_name(text)


def _id(name: str, kind: IdKind, text: str | None) -> UUID | None:
    value = None if text is None else decode_id_of(kind, text)
    if text is not None and value is None:
        raise RefusedArgument(["filter", name], f"It is not an id that begins with `{kind.value}_`.")
    return value


def _amount(name: str, raw: object) -> int | None:
    if raw is None:
        return None
    value = as_integer(raw)
    if value is None or not -(2**63) <= value < 2**63:
        raise RefusedArgument(["filter", name], "An amount is a whole number of minor units that fits 64 bits.")
    return value
