"""What a request carries to its resolvers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from domain.audit import Origin
from domain.caller import Caller
from domain.event import LoggedEvent
from domain.payment import Standing
from domain.reconciliation import ReportLine
from domain.spending import Spent
from domain.stored_card import Card, CardTransition
from domain.tier import Rate
from domain.user import User
from domain.webhook import WebhookDelivery
from gateway.gateway import Gateway
from gateway.issuing import Issuing
from gateway.keyring import Keyring
from gateway.register import Register
from gateway.wallet import Wallet
from gateway.webhooks import Webhooks
from gateway.world import World
from persistence.card_pages import CardsWanted
from persistence.database import Database
from persistence.event_feed import EventFeed
from persistence.loaders import (
    card_count_loader,
    card_history_loader,
    card_loader,
    cards_below_loader,
    customer_loader,
    event_loader,
    payment_count_loader,
    payments_below_loader,
    report_line_loader,
    spent_loader,
    standing_loader,
    user_loader,
    webhook_delivery_loader,
)
from persistence.payments_below import Parent, PaymentsWanted
from persistence.reports import LinesWanted
from persistence.webhook_deliveries import DeliveriesWanted
from resolvers.below import BelowForRequest


@dataclass
class Context:
    """The caller, and what serves him. One for each request, so that a loader never outlives it."""

    caller: Caller
    gateway: Gateway
    database: Database
    world: World
    keyring: Keyring
    register: Register
    webhooks: Webhooks
    wallet: Wallet
    issuing: Issuing
    request_id: str
    feed: EventFeed
    bucket: Callable[[], Awaitable[tuple[int, Rate]]]  # what is missing in the emptier of the caller's buckets, and its rate
    last_event_id: str | None = None  # the last event that the client of this stream has seen, as its connection tells
    began_behind: str | None = None  # the event behind which this stream began, for whoever comes back before the first one
    payments_made: int = 0  # by this request; for its key's usage

    @property
    def origin(self) -> Origin:
        """Who did it and from where, for the audit log."""
        key = self.caller.key
        return Origin(key.id, key.name, str(self.caller.address), self.request_id)

    @property
    def tenant_id(self) -> UUID:
        """Whose data this request may see: the presented key's, and nothing in the request can change it."""
        return self.caller.tenant_id

    @cached_property
    def below(self) -> BelowForRequest:
        """What is below users, cards and events, as far as the caller may look at it."""
        return BelowForRequest(self)

    @cached_property
    def standings(self) -> DataLoader[UUID, Standing | None]:
        """How payments stand, by their ids: several of them in one document are one statement."""
        return standing_loader(self.database, self.tenant_id)

    @cached_property
    def users(self) -> DataLoader[UUID, User | None]:
        """Users by their ids."""
        return user_loader(self.database, self.tenant_id)

    @cached_property
    def customers(self) -> DataLoader[str, User | None]:
        """Users by the partner's names for them."""
        return customer_loader(self.database, self.tenant_id)

    @cached_property
    def cards(self) -> DataLoader[UUID, Card | None]:
        """Cards by their ids."""
        return card_loader(self.database, self.tenant_id)

    @cached_property
    def cards_below(self) -> DataLoader[CardsWanted, list[Card]]:
        """The cards of users: the pages of several in one document are one statement."""
        return cards_below_loader(self.database, self.tenant_id)

    @cached_property
    def card_counts(self) -> DataLoader[UUID, int]:
        """How many cards users have."""
        return card_count_loader(self.database, self.tenant_id)

    @cached_property
    def card_histories(self) -> DataLoader[UUID, list[CardTransition]]:
        """The lives of cards."""
        return card_history_loader(self.database, self.tenant_id)

    @cached_property
    def spent(self) -> DataLoader[UUID, Spent]:
        """What is spent with cards."""
        return spent_loader(self.database, self.tenant_id, self.world.now)

    @cached_property
    def payments_below(self) -> dict[Parent, DataLoader[PaymentsWanted, list[Standing]]]:
        """The payments of cards, and those of customers: the pages of several in one document are one statement."""
        return {parent: payments_below_loader(self.database, self.tenant_id, parent) for parent in Parent}

    @cached_property
    def payment_counts(self) -> dict[Parent, DataLoader[UUID | str, int]]:
        """How many payments there are below cards, and below customers."""
        return {parent: payment_count_loader(self.database, self.tenant_id, parent) for parent in Parent}

    @cached_property
    def report_lines(self) -> DataLoader[LinesWanted, list[ReportLine]]:
        """What reconciliations have found: the pages of several in one document are one statement."""
        return report_line_loader(self.database, self.tenant_id)

    @cached_property
    def events(self) -> DataLoader[UUID, LoggedEvent | None]:
        """Events by their ids: several of them in one document are one statement."""
        return event_loader(self.database, self.tenant_id)

    @cached_property
    def webhook_deliveries(self) -> DataLoader[DeliveriesWanted, list[WebhookDelivery]]:
        """Deliveries of endpoints: the pages of several in one document are one statement."""
        return webhook_delivery_loader(self.database, self.tenant_id)


Info = strawberry.Info[Context, None]
