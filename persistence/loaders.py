"""Data loaders: what the fields of one document ask for one by one is fetched in one statement."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from strawberry.dataloader import DataLoader

from domain.event import LoggedEvent
from domain.payment import Standing
from domain.reconciliation import ReportLine
from domain.spending import NOTHING_SPENT, Spent
from domain.stored_card import Card, CardTransition
from domain.user import User
from domain.webhook import WebhookDelivery
from persistence.card_pages import CardsWanted, count_cards_of, pages_of_cards
from persistence.card_spending import spent_with_cards
from persistence.card_transitions import get_histories
from persistence.cards import get_cards
from persistence.database import Database
from persistence.events import get_events
from persistence.payments import get_standings
from persistence.payments_below import Parent, PaymentsWanted, count_below, pages_below
from persistence.reports import LinesWanted, pages_of_lines
from persistence.users import get_customers, get_users
from persistence.webhook_deliveries import DeliveriesWanted, pages_of_deliveries

MAX_BATCH = 1000  # keys of one statement; a document asks for far fewer


def standing_loader(database: Database, tenant_id: UUID) -> DataLoader[UUID, Standing | None]:
    """How payments stand, by their ids, for one request of one tenant."""

    async def load(payment_ids: list[UUID]) -> Sequence[Standing | None]:
        async with database.tenant(tenant_id) as tx:
            found = await get_standings(tx, tenant_id, payment_ids)
        return [found.get(each) for each in payment_ids]

    # Without a cache: a mutation further up in the same document may have changed what an earlier field has read.
    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def user_loader(database: Database, tenant_id: UUID) -> DataLoader[UUID, User | None]:
    """Users by their ids, for one request of one tenant."""

    async def load(user_ids: list[UUID]) -> Sequence[User | None]:
        async with database.tenant(tenant_id) as tx:
            found = await get_users(tx, tenant_id, user_ids)
        return [found.get(each) for each in user_ids]

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def customer_loader(database: Database, tenant_id: UUID) -> DataLoader[str, User | None]:
    """Users by the partner's names for them, for one request of one tenant."""

    async def load(names: list[str]) -> Sequence[User | None]:
        async with database.tenant(tenant_id) as tx:
            found = await get_customers(tx, tenant_id, names)
        return [found.get(each) for each in names]

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def payments_below_loader(database: Database, tenant_id: UUID, parent: Parent) -> DataLoader[PaymentsWanted, list[Standing]]:
    """Pages of the payments below cards or customers, for one request of one tenant."""

    async def load(wanted: list[PaymentsWanted]) -> Sequence[list[Standing]]:
        async with database.tenant(tenant_id) as tx:
            return await pages_below(tx, tenant_id, parent, wanted)

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def payment_count_loader(database: Database, tenant_id: UUID, parent: Parent) -> DataLoader[UUID | str, int]:
    """How many payments there are below cards or customers, for one request of one tenant."""

    async def load(parents: list[UUID | str]) -> Sequence[int]:
        async with database.tenant(tenant_id) as tx:
            return await count_below(tx, tenant_id, parent, parents)

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def spent_loader(database: Database, tenant_id: UUID, now: Callable[[], datetime]) -> DataLoader[UUID, Spent]:
    """What is spent with cards, by their ids, for one request of one tenant."""

    async def load(card_ids: list[UUID]) -> Sequence[Spent]:
        async with database.tenant(tenant_id) as tx:
            found = await spent_with_cards(tx, tenant_id, card_ids, now())
        return [found.get(each, NOTHING_SPENT) for each in card_ids]

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def report_line_loader(database: Database, tenant_id: UUID) -> DataLoader[LinesWanted, list[ReportLine]]:
    """Pages of what reconciliations have found, for one request of one tenant."""

    async def load(wanted: list[LinesWanted]) -> Sequence[list[ReportLine]]:
        async with database.tenant(tenant_id) as tx:
            return await pages_of_lines(tx, tenant_id, wanted)

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def event_loader(database: Database, tenant_id: UUID) -> DataLoader[UUID, LoggedEvent | None]:
    """Events by their ids, for one request of one tenant."""

    async def load(ids: list[UUID]) -> Sequence[LoggedEvent | None]:
        async with database.tenant(tenant_id) as tx:
            found = await get_events(tx, tenant_id, ids)
        return [found.get(each) for each in ids]

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def webhook_delivery_loader(database: Database, tenant_id: UUID) -> DataLoader[DeliveriesWanted, list[WebhookDelivery]]:
    """Pages of endpoints' deliveries, for one request of one tenant."""

    async def load(wanted: list[DeliveriesWanted]) -> Sequence[list[WebhookDelivery]]:
        async with database.tenant(tenant_id) as tx:
            return await pages_of_deliveries(tx, tenant_id, wanted)

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def card_loader(database: Database, tenant_id: UUID) -> DataLoader[UUID, Card | None]:
    """Cards by their ids, for one request of one tenant."""

    async def load(card_ids: list[UUID]) -> Sequence[Card | None]:
        async with database.tenant(tenant_id) as tx:
            found = await get_cards(tx, tenant_id, card_ids)
        return [found.get(each) for each in card_ids]

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def cards_below_loader(database: Database, tenant_id: UUID) -> DataLoader[CardsWanted, list[Card]]:
    """Pages of users' cards, for one request of one tenant."""

    async def load(wanted: list[CardsWanted]) -> Sequence[list[Card]]:
        async with database.tenant(tenant_id) as tx:
            return await pages_of_cards(tx, tenant_id, wanted)

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def card_count_loader(database: Database, tenant_id: UUID) -> DataLoader[UUID, int]:
    """How many cards users have, by the users' ids, for one request of one tenant."""

    async def load(user_ids: list[UUID]) -> Sequence[int]:
        async with database.tenant(tenant_id) as tx:
            return await count_cards_of(tx, tenant_id, user_ids)

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)


def card_history_loader(database: Database, tenant_id: UUID) -> DataLoader[UUID, list[CardTransition]]:
    """The lives of cards, by the cards' ids, for one request of one tenant."""

    async def load(card_ids: list[UUID]) -> Sequence[list[CardTransition]]:
        async with database.tenant(tenant_id) as tx:
            return await get_histories(tx, tenant_id, card_ids)

    return DataLoader(load_fn=load, max_batch_size=MAX_BATCH, cache=False)
