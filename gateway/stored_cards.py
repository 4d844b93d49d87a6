"""Paying with a stored card: its number comes out of the vault for the bank alone, and its state and limits are asked under its lock."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.answer import CardNotUsable, InputProblem, InvalidInput, NotFound, Refusal
from domain.card import CardDetails
from domain.request import AuthorizeRequest, ChosenCard
from domain.spending import NOTHING_SPENT, Spent, exceeded_limit
from domain.stored_card import CardLimits, why_not_usable
from gateway.parts import Parts
from persistence.card_numbers import get_card_numbers
from persistence.card_spending import CardAndOwner, lock_cards_to_pay, spent_with_cards
from persistence.cards import get_cards
from persistence.database import Transaction

CARD_PATH = ("input", "source", "storedCard", "cardId")
CUSTOMER_PATH = ("input", "customerId")


async def cards_in_full(parts: Parts, tenant_id: UUID, requests: Sequence[AuthorizeRequest]) -> list[CardDetails | None]:
    """What each request pays with. None for a stored card that the tenant has not, or whose number is not kept any more.

    Before transaction 1, since the vault may have to ask for a key. Raises KeysAway and DatabaseAway.
    """
    chosen = _chosen(requests)
    if not chosen:
        return [request.card if isinstance(request.card, CardDetails) else None for request in requests]
    async with parts.database.tenant(tenant_id) as tx:
        cards = await get_cards(tx, tenant_id, chosen)
        sealed = await get_card_numbers(tx, tenant_id, list(cards))
    numbers = {card_id: await parts.vault.open_number(tenant_id, card_id, each) for card_id, each in sealed.items()}
    found: list[CardDetails | None] = []
    for request in requests:
        match request.card:
            case ChosenCard(UUID() as card_id, cvv) if card_id in numbers:
                card = cards[card_id]
                found.append(CardDetails(numbers[card_id], cvv, card.expiry_month, card.expiry_year))
            case ChosenCard():
                found.append(None)
            case CardDetails() as details:
                found.append(details)
    return found


async def refuse_cards(
    tx: Transaction, tenant_id: UUID, requests: Sequence[AuthorizeRequest], whole: Sequence[CardDetails | None], now: datetime
) -> dict[int, Refusal]:
    """Which of the requests their stored cards don't pay, by their places, and why. Locks those cards until the transaction ends.

    A request that its card pays counts against the limits for those behind it.
    """
    chosen = _chosen(requests)
    locked = await lock_cards_to_pay(tx, tenant_id, chosen) if chosen else {}
    limited = [card_id for card_id, each in locked.items() if each.card.limits != CardLimits()]
    spent = await spent_with_cards(tx, tenant_id, limited, now) if limited else {}
    refused: dict[int, Refusal] = {}
    for index, request in enumerate(requests):
        if not isinstance(request.card, ChosenCard):
            continue
        found = locked.get(request.card.card_id) if request.card.card_id is not None else None
        if found is None:
            refused[index] = NotFound(CARD_PATH, "card")
            continue
        so_far = spent.get(found.card.id, NOTHING_SPENT)
        refusal = _refusal(found, request, so_far, is_whole=whole[index] is not None, now=now)
        if refusal is None:
            spent[found.card.id] = so_far.and_also(request.amount.minor_units)
        else:
            refused[index] = refusal
    return refused


def _refusal(found: CardAndOwner, request: AuthorizeRequest, spent: Spent, *, is_whole: bool, now: datetime) -> Refusal | None:
    card = found.card
    if request.customer_id != found.customer_id:
        return InvalidInput((InputProblem(CUSTOMER_PATH, "The stored card belongs to another customer of yours."),))
    if (message := why_not_usable(card, found.owner, now)) is not None:
        return CardNotUsable(CARD_PATH, card.id, card.state, message)
    if not is_whole:
        return CardNotUsable(CARD_PATH, card.id, card.state, "Its number is not kept any more. Let the user add it again.")
    return exceeded_limit(card.id, card.limits, spent, request.amount.minor_units, now)


def _chosen(requests: Sequence[AuthorizeRequest]) -> list[UUID]:
    return sorted({each.card.card_id for each in requests if isinstance(each.card, ChosenCard) and each.card.card_id is not None})
