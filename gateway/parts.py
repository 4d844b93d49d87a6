"""What the gateway works with, put together by `app/`."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from random import random
from typing import Protocol
from uuid import UUID

from bank.breaker import Breaker
from bank.client import BankClient
from bank.retry_budget import RetryBudget
from domain.partner import Mode
from gateway.bulkhead import Bulkhead
from gateway.vault.vault import Vault
from gateway.world import World
from persistence.database import Database


class Expected(Protocol):
    """Somebody who waits for an attempt to close."""

    async def wait(self, timeout_s: float) -> None:
        """Return when it is worth a look whether it has closed, at the latest after `timeout_s` seconds."""


class Announcements(Protocol):
    """Tells other processes that attempts have closed. Losing one delays whoever waits, and loses nothing."""

    def announce(self, attempt_ids: list[UUID]) -> None:
        """Tell everybody, soon; never blocks."""


class Wakeups(Announcements, Protocol):
    """And hears what they tell."""

    def expect(self, attempt_id: UUID) -> AbstractContextManager[Expected]:
        """To be entered before the first look: what closes between that look and the waiting is announced to it, too."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What it takes to change what we know of a payment."""

    database: Database
    world: World
    wakeups: Announcements


@dataclass(frozen=True, slots=True)
class Parts(Desk):
    """And to ask the bank of one mode: the real one for live tenants, another one for sandboxes. Each has its own slots, breaker and
    retries: what a partner's tests do to theirs is nothing to live payments. `fingerprint_secret` keys the fingerprints of requests.

    `bank_slots` bounds the calls in flight, `breaker` rests when the bank is away, `retries` bounds what is asked again.
    """

    wakeups: Wakeups
    bank: BankClient
    vault: Vault
    fingerprint_secret: bytes = field(repr=False)
    mode: Mode = Mode.LIVE
    bank_slots: Bulkhead = field(default_factory=Bulkhead)
    breaker: Breaker = field(default_factory=lambda: Breaker(random))
    retries: RetryBudget = field(default_factory=RetryBudget)
