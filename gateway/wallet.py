"""The wallets of end users: cards added and moved through their lives. The change, its record, its event and its entry are one transaction.

A card's number is sealed before that transaction begins, for the vault may have to ask for a key; what is sealed in vain is forgotten.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from domain.answer import CardNotUsable, LimitReached, NotFound, Refusal, UserNotUsable
from domain.audit import UNKNOWN_ORIGIN, Origin
from domain.card import CardSummary, brand_of
from domain.card_document import card_from_document, card_to_document
from domain.card_life import CARD_PATH, moved
from domain.card_request import AddCard, MoveCard
from domain.fingerprint import fingerprint_of_change
from domain.limit_request import SetCardLimits, below_what_is_spent, changed_limits
from domain.spending import NOTHING_SPENT
from domain.stored_card import COMPROMISED, Card, CardKind, CardState
from domain.user import UserState
from gateway.card_changes import CardChange, record_card_changes, record_new_card
from gateway.once import Asked, Document
from gateway.telling import Changed, Outcome, change_once
from gateway.vault.vault import SealedNumber, Vault
from gateway.world import World
from persistence.card_numbers import insert_card_number
from persistence.card_spending import spent_with_cards
from persistence.cards import lock_cards, lock_cards_of_number, room_for_cards
from persistence.database import Database, Transaction
from persistence.users import lock_user

USER_PATH, NUMBER_PATH = ("input", "userId"), ("input", "number")


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """The card after the change. `already_there`: the user had it before the request."""

    card: Card
    replayed: bool
    already_there: bool = False


@dataclass(frozen=True, slots=True)
class _Plastic:
    """What is kept of a number: a card's id to be, the sealed number, and its fingerprint."""

    id: UUID
    sealed: SealedNumber
    fingerprint: bytes


class Wallet:
    """One of these in a process."""

    def __init__(self, database: Database, world: World, vault: Vault, fingerprint_secret: bytes) -> None:
        self._database = database
        self._world = world
        self._vault = vault
        self._fingerprint_secret = fingerprint_secret

    async def add(self, tenant_id: UUID, request: AddCard, origin: Origin = UNKNOWN_ORIGIN) -> CardAnswer | Refusal:
        """Keep a card for a user; the same number twice is one card. Raises DatabaseAway; then repeat with the same key."""
        card_id = self._world.new_uuid()
        sealed = await self._vault.seal_number(tenant_id, card_id, request.number)
        plastic = _Plastic(card_id, sealed, self._vault.fingerprint(tenant_id, request.number))

        async def act(tx: Transaction) -> Changed[Card] | Refusal:
            # One change of a user's cards at a time: they are counted.
            user = await lock_user(tx, tenant_id, request.user_id) if request.user_id else None
            if user is None:
                return NotFound(USER_PATH, "user")
            if user.state is not UserState.ACTIVE:
                return UserNotUsable(USER_PATH, user.id, user.state, _NO_CARDS[user.state])
            known = await lock_cards_of_number(tx, tenant_id, user.id, plastic.fingerprint)
            if (refusal := _compromised(known)) is not None:
                return refusal
            if (card := next((each for each in known if each.state is not CardState.CLOSED), None)) is not None:
                return await self._renew(tx, tenant_id, card, request, origin)
            limit, there_are = await room_for_cards(tx, tenant_id, user.id)
            if there_are >= limit:
                return LimitReached(
                    limit, "open cards of this user, as many as there may be. Close one that is not used any more."
                )
            return await self._insert(tx, tenant_id, user.id, request, plastic, origin)

        return await self._once(tenant_id, "addCard", request, request.content(plastic.fingerprint), origin, act)

    async def move(self, tenant_id: UUID, request: MoveCard, origin: Origin = UNKNOWN_ORIGIN) -> CardAnswer | Refusal:
        """Activate, freeze, unfreeze or close a card. Raises DatabaseAway; then repeat with the same idempotency key."""

        async def act(tx: Transaction) -> Changed[Card] | Refusal:
            card = await self._locked(tx, tenant_id, request.card_id)
            if card is None:
                return NotFound(CARD_PATH, "card")
            after = moved(card, request.verb, request.reason, self._world.now())
            if not isinstance(after, Card):
                return after
            happened = await record_card_changes(tx, tenant_id, [CardChange(card, after)], origin)
            return Changed(after, _answer(after), happened)

        return await self._once(tenant_id, request.verb.value, request, request.content, origin, act)

    async def set_limits(self, tenant_id: UUID, request: SetCardLimits, origin: Origin = UNKNOWN_ORIGIN) -> CardAnswer | Refusal:
        """Change what may be spent with a card. Raises DatabaseAway; then repeat with the same idempotency key."""

        async def act(tx: Transaction) -> Changed[Card] | Refusal:
            card = await self._locked(tx, tenant_id, request.card_id)
            if card is None:
                return NotFound(CARD_PATH, "card")
            if card.state is CardState.CLOSED:
                return CardNotUsable(CARD_PATH, card.id, card.state, "Nothing is spent with a card that is CLOSED.")
            spent = await spent_with_cards(tx, tenant_id, [card.id], self._world.now())
            if (refusal := below_what_is_spent(request.changes, spent.get(card.id, NOTHING_SPENT))) is not None:
                return refusal
            after = replace(card, limits=changed_limits(card.limits, request.changes))
            changes = [CardChange(card, after)] if after != card else []
            happened = await record_card_changes(tx, tenant_id, changes, origin)
            return Changed(after, _answer(after), happened)

        return await self._once(tenant_id, "setCardLimits", request, request.content, origin, act)

    async def _locked(self, tx: Transaction, tenant_id: UUID, card_id: UUID | None) -> Card | None:
        return next(iter((await lock_cards(tx, tenant_id, [card_id] if card_id else [])).values()), None)

    async def _renew(self, tx: Transaction, tenant_id: UUID, card: Card, request: AddCard, origin: Origin) -> Changed[Card]:
        renewed = replace(card, expiry_month=request.expiry_month, expiry_year=request.expiry_year)
        changes = [CardChange(card, renewed)] if renewed != card else []
        happened = await record_card_changes(tx, tenant_id, changes, origin)
        return Changed(renewed, _answer(renewed, already_there=True), happened)

    async def _insert(
        self, tx: Transaction, tenant_id: UUID, user_id: UUID, request: AddCard, plastic: _Plastic, origin: Origin
    ) -> Changed[Card]:
        now = self._world.now()
        card = Card(
            id=plastic.id,
            user_id=user_id,
            kind=CardKind.ADDED,
            summary=CardSummary(brand_of(request.number), request.number[-4:]),
            expiry_month=request.expiry_month,
            expiry_year=request.expiry_year,
            state=CardState.ACTIVE,
            created_at=now,
            state_since=now,
        )
        happened = await record_new_card(tx, tenant_id, card, plastic.fingerprint, origin)
        await insert_card_number(tx, tenant_id, card.id, plastic.sealed.sealed, key_version=plastic.sealed.key_version)
        return Changed(card, _answer(card), happened)

    async def _once(
        self,
        tenant_id: UUID,
        kind: str,
        request: AddCard | MoveCard | SetCardLimits,
        content: dict[str, Any],
        origin: Origin,
        act: Callable[[Transaction], Awaitable[Changed[Card] | Refusal]],
    ) -> CardAnswer | Refusal:
        asked = Asked(request.idempotency_key, kind, fingerprint_of_change(kind, content, self._fingerprint_secret))

        async def find(answer: Document) -> Card:
            return card_from_document(answer["card"])

        async with self._database.tenant(tenant_id) as tx:
            outcome = await change_once(tx, tenant_id, asked, origin, self._world, lambda: act(tx), find)
        if not isinstance(outcome, Outcome):
            return outcome
        return CardAnswer(outcome.thing, outcome.replayed, outcome.answer["already_there"])


_NO_CARDS = {
    UserState.DEACTIVATED: "No card is added for a user who is DEACTIVATED. Reactivate the user first.",
    UserState.ERASED: "No card is added for a user who is ERASED, and that is for ever.",
}


def _compromised(known: Sequence[Card]) -> CardNotUsable | None:
    """Why a number never comes back. Whoever found a lost card may try to add it again."""
    card = next((each for each in known if each.state is CardState.CLOSED and each.reason in COMPROMISED), None)
    if card is None or card.reason is None:
        return None
    message = f"This number was closed as {card.reason.value}, and can't be added again for this user. Ask for another card."
    return CardNotUsable(NUMBER_PATH, card.id, card.state, message)


def _answer(card: Card, *, already_there: bool = False) -> Document:
    return {"card": card_to_document(card), "already_there": already_there}
