"""Stored cards: five operations, and two ways to look at them."""

from typing import cast
from uuid import UUID

import strawberry

from domain.answer import InvalidInput, LimitName, Refusal
from domain.card_life import CardVerb
from domain.card_request import parse_add_card, parse_move_card
from domain.ids import IdKind, decode_id_of
from domain.limit_request import RawLimit, parse_set_limits
from domain.stored_card import CardReason
from gateway.wallet import CardAnswer
from persistence.card_pages import CardFilter, count_cards, page_of_cards
from persistence.pages import Window
from resolvers.below import card_edge
from resolvers.context import Info
from resolvers.given import given
from resolvers.pages import page_info_of
from schema import card_inputs as inputs
from schema.card import (
    ActivateCardResult,
    AddCardPayload,
    AddCardResult,
    Card,
    CardConnection,
    CardPayload,
    CloseCardResult,
    FreezeCardResult,
    SetCardLimitsResult,
    UnfreezeCardResult,
    card_of,
)
from schema.errors import ErrorType, error_of

NOBODY = UUID(int=0)  # whose cards are asked for by an id that is no user's


async def card(info: Info, card_id: UUID) -> Card | None:
    """One card by its id."""
    found = await info.context.cards.load(card_id)
    return card_of(found) if found else None


async def cards(info: Info, window: Window, where: inputs.CardFilter | None) -> CardConnection:
    """A page of cards, newest first."""
    context, matching = info.context, _where(where)
    async with context.database.tenant(context.tenant_id) as tx:
        page = await page_of_cards(tx, context.tenant_id, matching, window)

    async def count() -> int:
        async with context.database.tenant(context.tenant_id) as tx:
            return await count_cards(tx, context.tenant_id, matching)

    edges = [card_edge(each) for each in page.rows]
    return CardConnection(count=count, edges=edges, page_info=page_info_of(page, [edge.cursor for edge in edges]))


async def add_card(info: Info, input: inputs.AddCardInput) -> AddCardResult:  # noqa: A002
    """Keep a card for a user."""
    context = info.context
    request = parse_add_card(
        input.idempotency_key, input.user_id, input.number, input.expiry_month, input.expiry_year, context.world.now()
    )
    answer = (
        request if isinstance(request, InvalidInput) else await context.wallet.add(context.tenant_id, request, context.origin)
    )
    if not isinstance(answer, CardAnswer):
        return cast(AddCardResult, error_of(answer))
    return AddCardPayload(card=card_of(answer.card), already_there=answer.already_there, replayed=answer.replayed)


async def activate_card(info: Info, input: inputs.ActivateCardInput) -> ActivateCardResult:  # noqa: A002
    """Let it be paid with."""
    return cast(ActivateCardResult, await _move(info, input.idempotency_key, input.card_id, CardVerb.ACTIVATE))


async def freeze_card(info: Info, input: inputs.FreezeCardInput) -> FreezeCardResult:  # noqa: A002
    """Let nothing be paid with it for a while."""
    return cast(FreezeCardResult, await _move(info, input.idempotency_key, input.card_id, CardVerb.FREEZE, given(input.reason)))


async def unfreeze_card(info: Info, input: inputs.UnfreezeCardInput) -> UnfreezeCardResult:  # noqa: A002
    """Let it be paid with again."""
    return cast(UnfreezeCardResult, await _move(info, input.idempotency_key, input.card_id, CardVerb.UNFREEZE))


async def close_card(info: Info, input: inputs.CloseCardInput) -> CloseCardResult:  # noqa: A002
    """Let nothing be paid with it ever again."""
    return cast(CloseCardResult, await _move(info, input.idempotency_key, input.card_id, CardVerb.CLOSE, input.reason))


async def set_card_limits(info: Info, input: inputs.SetCardLimitsInput) -> SetCardLimitsResult:  # noqa: A002
    """Change what may be spent with it."""
    wished = {
        LimitName.PER_TRANSACTION: input.per_transaction,
        LimitName.PER_DAY: input.per_day,
        LimitName.PER_MONTH: input.per_month,
    }
    raw = {
        name: None if money is None else RawLimit(money.minor_units, money.currency)
        for name, money in wished.items()
        if money is not strawberry.UNSET
    }
    context = info.context
    request = parse_set_limits(input.idempotency_key, input.card_id, raw)
    if isinstance(request, InvalidInput):
        return cast(SetCardLimitsResult, error_of(request))
    return cast(SetCardLimitsResult, _answered(await context.wallet.set_limits(context.tenant_id, request, context.origin)))


async def _move(
    info: Info, idempotency_key: str, card_id: str, verb: CardVerb, reason: CardReason | None = None
) -> CardPayload | ErrorType:
    context = info.context
    request = parse_move_card(idempotency_key, card_id, verb, reason)
    if isinstance(request, InvalidInput):
        return error_of(request)
    return _answered(await context.wallet.move(context.tenant_id, request, context.origin))


def _answered(answer: CardAnswer | Refusal) -> CardPayload | ErrorType:
    if not isinstance(answer, CardAnswer):
        return error_of(answer)
    return CardPayload(card=card_of(answer.card), replayed=answer.replayed)


def _where(where: inputs.CardFilter | None) -> CardFilter:
    if where is None:
        return CardFilter()
    user_id = given(where.user_id)
    return CardFilter(
        user_id=None if user_id is None else decode_id_of(IdKind.USER, user_id) or NOBODY, states=given(where.states)
    )
