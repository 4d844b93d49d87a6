"""What a process of ours holds open: the database, Redis, the clients of the banks. The API and the worker live in one each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from app import keys
from app.settings import MasterKeySettings, ServeSettings, SettingsError, secret_bytes
from bank.breaker import BreakerState
from bank.client import BankClient, bank_http
from domain.partner import Mode
from gateway.parts import Parts
from gateway.sealing import OldCardSeal
from gateway.vault.key_service import KeyService, LocalKeyService
from gateway.vault.master_keys import WrongMasterKey, agree_on_master_key
from gateway.vault.vault import Vault
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

    Raises DatabaseAway when the database is not there within START_S, NotMigrated, BypassesRowSecurity, and SettingsError for a wrong
    master key.
    """
    database = Database(settings.database_url.get_secret_value())
    wakeups = RedisWakeups(settings.redis_url.get_secret_value())
    pepper, key_service = secret_bytes(settings.pepper), key_service_of(settings)
    parts = Parts(
        database=database,
        bank=BankClient(bank_http(settings.bank_url, transports.bank, reach=world.reach)),
        world=world,
        vault=Vault(
            database,
            key_service,
            world.now,
            fingerprint_key=keys.key_for(pepper, keys.CARD_FINGERPRINTS),
            old_seals=old_seals_of(settings),
        ),
        fingerprint_secret=keys.key_for(pepper, keys.FINGERPRINTS),
        wakeups=wakeups,
    )
    sandbox = None
    if settings.sandbox_bank_url is not None:
        sandbox = Parts(
            database=database,
            bank=BankClient(bank_http(settings.sandbox_bank_url, transports.sandbox, reach=world.reach)),
            world=world,
            vault=parts.vault,
            fingerprint_secret=parts.fingerprint_secret,
            wakeups=wakeups,
            mode=Mode.TEST,
        )
    feed = EventFeed(database, lambda: wakeups.connected)
    database.on_events = wakeups.announce_events
    wakeups.hear(EVENTS_CHANNEL, feed.wake)
    house = House(parts, sandbox, wakeups, feed)
    try:
        await _check(database, key_service, world)
        async with wakeups:
            yield house
    finally:
        for each in house.of_each_mode:
            await each.bank.close()
        await database.close()


def key_service_of(settings: MasterKeySettings) -> KeyService:
    """What keeps the master keys. Whoever has a key management service builds its client here."""
    return LocalKeyService(keys.ring_of(*settings.master_keys))


def old_seals_of(settings: MasterKeySettings) -> list[OldCardSeal]:
    """What opens cards that were sealed before there were data keys."""
    return [OldCardSeal(keys.key_for(each, keys.CARD_SEALS)) for each in settings.master_keys]


async def check_house(settings: ServeSettings, world: World) -> None:
    """What `open_house` checks and raises, before a server begins that would tell it in twenty lines of traceback."""
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        await _check(database, key_service_of(settings), world)
    finally:
        await database.close()


async def _check(database: Database, key_service: KeyService, world: World) -> None:
    tries = int(START_S / START_RETRY_S)
    for left in range(tries, 0, -1):
        try:
            await database.check_login()
            await check_revision(database)
            await agree_on_master_key(database, key_service, world.now())
        except DatabaseAway:
            if left == 1:
                raise
            await asyncio.sleep(START_RETRY_S)
        except WrongMasterKey as error:
            raise SettingsError(f"{error}.") from None
        else:
            return
