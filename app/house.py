"""What a process of ours holds open: the database, Redis, the clients of the banks. The API and the worker live in one each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from app import keys
from app.settings import ServeSettings, secret_bytes
from bank.breaker import BreakerState
from bank.client import BankClient, bank_http
from domain.partner import Mode
from gateway.parts import Parts
from gateway.sealing import CardSeal
from gateway.world import World
from persistence.database import Database, DatabaseAway
from persistence.event_feed import EventFeed
from persistence.revision import check_revision
from persistence.wakeups import EVENTS_CHANNEL, RedisWakeups

START_S = 30.0  # a database that is not there by then will not come by waiting
START_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class House:
    """Everything that a process of ours holds open. `sandbox` is what test keys work with; None: there is no bank for them."""

    parts: Parts
    sandbox: Parts | None
    wakeups: RedisWakeups
    feed: EventFeed

    @property
    def of_each_mode(self) -> list[Parts]:
        """The parts of each mode that is served."""
        return [self.parts] if self.sandbox is None else [self.parts, self.sandbox]

    def breakers(self) -> dict[str, BreakerState]:
        """How each mode's bank is asked just now."""
        return {each.mode.value.lower(): each.breaker.state(each.world.now()) for each in self.of_each_mode}


@dataclass(frozen=True, slots=True)
class Transports:
    """How the banks are reached, where it is not over the network. Tests hand in their own."""

    bank: httpx.AsyncBaseTransport | None = None
    sandbox: httpx.AsyncBaseTransport | None = None


OVER_THE_NETWORK = Transports()


@contextlib.asynccontextmanager
async def open_house(settings: ServeSettings, world: World, transports: Transports = OVER_THE_NETWORK) -> AsyncIterator[House]:
    """Open the database, Redis and the clients of both banks; check the database; close all in the end.

    Raises DatabaseAway when the database is not there within START_S, NotMigrated, and BypassesRowSecurity.
    """
    database = Database(settings.database_url.get_secret_value())
    wakeups = RedisWakeups(settings.redis_url.get_secret_value())
    pepper, master_key = secret_bytes(settings.pepper), secret_bytes(settings.master_key)
    parts = Parts(
        database=database,
        bank=BankClient(bank_http(settings.bank_url, transports.bank, reach=world.reach)),
        world=world,
        seal=CardSeal(keys.key_for(master_key, keys.CARD_SEALS)),
        fingerprint_secret=keys.key_for(pepper, keys.FINGERPRINTS),
        wakeups=wakeups,
    )
    sandbox = None
    if settings.sandbox_bank_url is not None:
        sandbox = Parts(
            database=database,
            bank=BankClient(bank_http(settings.sandbox_bank_url, transports.sandbox, reach=world.reach)),
            world=world,
            seal=parts.seal,
            fingerprint_secret=parts.fingerprint_secret,
            wakeups=wakeups,
            mode=Mode.TEST,
        )
    feed = EventFeed(database, lambda: wakeups.connected)
    database.on_events = wakeups.announce_events
    wakeups.hear(EVENTS_CHANNEL, feed.wake)
    house = House(parts, sandbox, wakeups, feed)
    try:
        await _check(database)
        async with wakeups:
            yield house
    finally:
        for each in house.of_each_mode:
            await each.bank.close()
        await database.close()


async def _check(database: Database) -> None:
    tries = int(START_S / START_RETRY_S)
    for left in range(tries, 0, -1):
        try:
            await database.check_login()
            await check_revision(database)
        except DatabaseAway:
            if left == 1:
                raise
            await asyncio.sleep(START_RETRY_S)
        else:
            return
