"""Expiry of cards: one whose month is over is closed, and its number erased. Nothing could be paid with it since the month's end."""

from uuid import UUID

from domain.card import has_expired
from domain.card_life import stepped
from domain.stored_card import CardReason, CardState
from gateway.card_changes import CardChange, record_card_changes
from gateway.telling import tell
from gateway.world import World
from persistence.cards import lock_expired_cards, tenants_with_expired_cards
from persistence.database import Database

CLOSE_EVERY_S = 60.0  # most rounds find nothing, at the cost of a look into a small index; a month ends once
PAGE = 100  # cards of one transaction: their locks, and that of the tenant's events, are held for some milliseconds


class CardExpiry:
    """The worker's round over cards. `watch` is a database with the worker's login, which sees whose cards have expired."""

    def __init__(self, database: Database, watch: Database, world: World) -> None:
        self._database = database
        self._watch = watch
        self._world = world

    async def run_once(self) -> int:
        """Close the cards whose month is over, whatever partner's. Returns how many. One that is locked comes with the next round."""
        async with self._watch.without_tenant() as tx:
            tenants = await tenants_with_expired_cards(tx, self._world.now())
        closed = 0
        for tenant_id in tenants:
            while page := await self._close_page(tenant_id):
                closed += page
        return closed

    async def _close_page(self, tenant_id: UUID) -> int:
        now = self._world.now()
        async with self._database.tenant(tenant_id) as tx:
            cards = await lock_expired_cards(tx, tenant_id, now, PAGE)
            assert all(has_expired(card.expiry_month, card.expiry_year, now) for card in cards), "the month of each is over"
            changes = [CardChange(card, stepped(card, CardState.CLOSED, CardReason.EXPIRED, now)) for card in cards]
            await tell(tx, tenant_id, await record_card_changes(tx, tenant_id, changes, None), self._world)
        return len(cards)
