"""Exchanges keys while payments go on. Each step is committed for itself, so whoever comes after a crash goes on where it ended.

A **data key**: a new version is made, and from then on it is the one to seal under; what is sealed under older ones is sealed anew, page
by page. A process that still remembers the older one as current may go on sealing under it for `CURRENT_FOR`. So an older key is
destroyed by a later run only: when it has been superseded for `DESTROY_AFTER`, and nothing is sealed under it.

A **master key**: the next one is made active, and from then on it wraps new data keys; those that others wrap are wrapped anew, partner
by partner. When none is left, the others retire, and processes can be started without them.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from domain.audit import AuditEntry
from domain.failpoint import Failpoint
from gateway.sealing import OldCardSeal, is_old_seal, open_card, seal_card
from gateway.vault.data_key import HEADER_BYTES, DataKey, DoesNotOpen, Field, version_in, version_of
from gateway.vault.data_keys import context_of, make_data_key, unwrap_data_key
from gateway.vault.key_service import KeyService, Wrapped
from gateway.vault.master_keys import agree_on_master_key, check_value_of
from gateway.world import World
from persistence.audit import record
from persistence.data_keys import (
    DataKeyRow,
    current_data_key,
    destroy_data_key,
    list_data_keys,
    rewrap_data_key,
    supersede_data_keys,
)
from persistence.database import Database, Transaction
from persistence.master_keys import activate_master_key, list_master_keys, retire_master_keys
from persistence.seals import (
    FIRST,
    CurrentKey,
    Seal,
    Sealed,
    count_open_cards_by_header,
    count_seals_by_key,
    lock_seals_of_older_keys,
    replace_seals,
)

PAGE = 500  # rows of one transaction: their locks are held for some ten milliseconds
PASSES = 3  # over what is left because somebody was writing it just then
PASS_PAUSE_S = 1.0  # a row is written within milliseconds
DESTROY_AFTER = timedelta(hours=1)  # for a minute others may seal under a superseded key (CURRENT_FOR); the rest is for clocks
FIELD_OF = {
    Sealed.NUMBERS: Field.CARD_NUMBER,
    Sealed.WEBHOOK_SECRETS: Field.WEBHOOK_SECRET,
}  # an attempt's card has a form of its own
SAME_ROTATION = timedelta(hours=1)  # a key as young as this, with older ones in use, was made by a run that was broken off

log = logging.getLogger(__name__)
OnProgress = Callable[[str], None]
Entry = Callable[[UUID, str, str], AuditEntry]  # tenant, action and note


@dataclass(frozen=True, slots=True)
class Rotated:
    """What came of a tenant's data keys. `left` seals somebody was writing at each look; `unreadable` ones don't open."""

    tenant_id: UUID
    version: int | None  # None: nothing of this tenant was ever sealed
    is_new: bool = False
    resealed: int = 0
    left: int = 0
    unreadable: int = 0
    destroyed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What came of a rotation of the master key. `left` data keys are still wrapped by another one: run it again."""

    master_key_id: str
    is_new: bool
    data_keys: int
    left: int
    retired: tuple[str, ...]


class NoNextMasterKey(Exception):
    """There is no other master key to rotate to. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """`database` has the owner's login. `entry` makes entries of the audit log, `old_seals` open what was sealed before data keys."""

    database: Database
    key_service: KeyService
    world: World
    entry: Entry
    old_seals: Sequence[OldCardSeal] = ()
    on_progress: OnProgress = lambda _: None

    async def rotate_data_key(self, tenant_id: UUID, *, is_new_wanted: bool = True) -> Rotated:
        """A new data key for a tenant, everything of it sealed under that, and older ones destroyed that nothing needs.

        Without `is_new_wanted`, and where a run of within SAME_ROTATION was broken off, it finishes what was begun before.
        Raises KeysAway and DatabaseAway; then run it again.
        """
        async with self.database.tenant(tenant_id) as tx:
            current = await current_data_key(tx, tenant_id)
            older = await _in_use(tx, tenant_id, current.version, list(Sealed)) if current else Counter()
        if current is None:
            return Rotated(tenant_id, None)
        is_broken_off = older.total() > 0 and current.created_at > self.world.now() - SAME_ROTATION
        is_new = is_new_wanted and not is_broken_off
        if is_new:
            current = await make_data_key(self.database, self.key_service, tenant_id, current.version + 1, self.world.now())
        await self._supersede(tenant_id, current)
        keys = await self._keys(tenant_id)
        done = Rotated(tenant_id, current.version, is_new)
        for what in Sealed:
            done = await self._reseal(what, keys[current.version], keys, done)
        return replace(done, destroyed=tuple(await self._destroy(tenant_id, current.version)))

    async def rotate_master_key(self, tenants: Sequence[UUID]) -> Rewrapped:
        """Make the other master key of the key service active, and wrap all data keys of all tenants by it.

        Raises NoNextMasterKey, KeysAway and DatabaseAway; then run it again.
        """
        wanted, is_new = await self._wanted_master_key()
        if is_new:
            check_value = await check_value_of(self.key_service, wanted)
            async with self.database.without_tenant() as tx:
                await activate_master_key(tx, wanted, check_value, self.world.now())
        rewrapped = left = 0
        for number, tenant_id in enumerate(tenants, start=1):
            done, undone = await self._rewrap(tenant_id, wanted)
            rewrapped, left = rewrapped + done, left + undone
            self.on_progress(f"{number:,} of {len(tenants):,} tenants, {rewrapped:,} data keys wrapped anew")
        retired: list[str] = []
        if left == 0:
            async with self.database.without_tenant() as tx:
                retired = await retire_master_keys(tx, self.world.now())
        return Rewrapped(wanted, is_new, rewrapped, left, tuple(retired))

    async def _wanted_master_key(self) -> tuple[str, bool]:
        """Which one is to be active, and whether it is not yet. Raises NoNextMasterKey, and WrongMasterKey when one is missing here."""
        await agree_on_master_key(self.database, self.key_service, self.world.now())
        async with self.database.without_tenant() as tx:
            known = await list_master_keys(tx)
        (active,) = (each.id for each in known if each.is_active)
        is_under_way = any(each.retired_at is None and not each.is_active for each in known)
        ring = self.key_service.key_ids
        if is_under_way or active in ring[1:]:  # begun before: finish that, and don't go back
            return active, False
        if len(ring) < 2:
            raise NoNextMasterKey(NO_NEXT)
        return ring[1], True

    async def _rewrap(self, tenant_id: UUID, master_key_id: str) -> tuple[int, int]:
        """Wrap a tenant's data keys anew. Returns how many that were, and how many things still need another master key."""
        async with self.database.tenant(tenant_id) as tx:
            others = [each for each in await list_data_keys(tx, tenant_id) if each.master_key_id != master_key_id]
            old_cards = (await _open_cards(tx, tenant_id))[0]  # sealed under a master key itself
        anew: list[tuple[DataKeyRow, bytes]] = []
        for row in others:
            context = context_of(tenant_id, row.version)
            plaintext = await self.key_service.unwrap(Wrapped(row.master_key_id, row.wrapped), context)
            anew.append((row, (await self.key_service.wrap(master_key_id, plaintext, context)).content))
        if not anew:
            return 0, old_cards
        async with self.database.tenant(tenant_id) as tx:
            done = [
                await rewrap_data_key(tx, tenant_id, row, master_key_id=master_key_id, wrapped=content) for row, content in anew
            ]
            if any(done):
                note = f"{sum(done)} by master key {master_key_id}"
                await record(tx, tenant_id, [self.entry(tenant_id, "vault.data_keys_rewrapped", note)])
            await self.world.reach(Failpoint.DATA_KEYS_REWRAPPED)
        return sum(done), len(done) - sum(done) + old_cards

    async def _supersede(self, tenant_id: UUID, current: DataKeyRow) -> None:
        async with self.database.tenant(tenant_id) as tx:
            if await supersede_data_keys(tx, tenant_id, current.version, self.world.now()):
                note = f"version {current.version}"
                await record(tx, tenant_id, [self.entry(tenant_id, "vault.data_key_rotated", note)])

    async def _keys(self, tenant_id: UUID) -> dict[int, DataKey]:
        async with self.database.tenant(tenant_id) as tx:
            rows = await list_data_keys(tx, tenant_id)
        return {row.version: await unwrap_data_key(self.key_service, tenant_id, row) for row in rows}

    async def _reseal(self, what: Sealed, current: DataKey, keys: Mapping[int, DataKey], done: Rotated) -> Rotated:
        """Seal anew what is under other keys. What somebody is writing meanwhile is looked at again."""
        tenant_id, resealed, left, unreadable = current.tenant_id, 0, 0, 0
        for number in range(PASSES):
            if number:
                await self.world.sleep(PASS_PAUSE_S)
            last, unreadable = FIRST, 0
            while (page := await self._reseal_page(what, current, keys, last)) is not None:
                last, replaced, unread = page
                resealed, unreadable = resealed + replaced, unreadable + unread
                self.on_progress(f"{done.resealed + resealed:,} sealed anew")
            async with self.database.tenant(tenant_id) as tx:
                left = sum((await _in_use(tx, tenant_id, current.version, [what])).values()) - unreadable
            if left <= 0:
                break
        return replace(
            done, resealed=done.resealed + resealed, left=done.left + max(left, 0), unreadable=done.unreadable + unreadable
        )

    async def _reseal_page(
        self, what: Sealed, current: DataKey, keys: Mapping[int, DataKey], after: Seal
    ) -> tuple[Seal, int, int] | None:
        """The last seal looked at, how many were sealed anew and how many don't open; None when there is none behind `after`."""
        tenant_id, newest = current.tenant_id, CurrentKey(current.version, current.header)
        async with self.database.tenant(tenant_id) as tx:
            page = await lock_seals_of_older_keys(tx, tenant_id, what, newest, after=after, limit=PAGE)
            if not page:
                return None
            anew = [each for seal in page if (each := self._sealed_anew(what, current, keys, seal)) is not None]
            replaced = await replace_seals(tx, tenant_id, what, newest, anew)
            await self.world.reach(Failpoint.SEALS_REPLACED)
        return page[-1], replaced, len(page) - len(anew)

    def _sealed_anew(self, what: Sealed, current: DataKey, keys: Mapping[int, DataKey], seal: Seal) -> Seal | None:
        """The same content under the current key. None: it does not open, and nobody loses anything by leaving it as it is."""
        try:
            if what is Sealed.OPEN_CARDS:
                return replace(seal, sealed=self._card_sealed_anew(current, keys, seal))
            content = _key_of(keys, seal.sealed).open(FIELD_OF[what], seal.row_id, seal.sealed)
            return replace(seal, sealed=current.seal(FIELD_OF[what], seal.row_id, content))
        except DoesNotOpen as error:
            log.error("%s %s of %s is left as it is: %s", what.name, seal.row_id, current.tenant_id, error)
            return None

    def _card_sealed_anew(self, current: DataKey, keys: Mapping[int, DataKey], seal: Seal) -> bytes:
        if not is_old_seal(seal.sealed):
            card = open_card(_key_of(keys, seal.sealed), seal.row_id, seal.sealed)
            return seal_card(current, seal.row_id, card)
        for old in self.old_seals:
            if (opened := old.open(seal.sealed, current.tenant_id, seal.row_id)) is not None:
                return seal_card(current, seal.row_id, opened)
        raise DoesNotOpen("no master key at hand opens it")

    async def _destroy(self, tenant_id: UUID, current: int) -> list[int]:
        """Destroy superseded keys that nothing is sealed under, and nothing can be any more."""
        before = self.world.now() - DESTROY_AFTER
        async with self.database.tenant(tenant_id) as tx:
            in_use = await _in_use(tx, tenant_id, current, list(Sealed))
            idle = [
                row.version for row in await list_data_keys(tx, tenant_id) if row.version < current and not in_use[row.version]
            ]
            destroyed = [each for each in idle if await destroy_data_key(tx, tenant_id, each, superseded_before=before)]
            if destroyed:
                note = f"version {', '.join(map(str, destroyed))}"
                await record(tx, tenant_id, [self.entry(tenant_id, "vault.data_key_destroyed", note)])
        return destroyed


async def _in_use(tx: Transaction, tenant_id: UUID, current: int, what: Sequence[Sealed]) -> Counter[int]:
    """How much is sealed under each version but the current one."""
    found: Counter[int] = Counter()
    for each in set(what) & set(FIELD_OF):
        found.update(await count_seals_by_key(tx, tenant_id, each, below=current))
    if Sealed.OPEN_CARDS in what:
        found.update(await _open_cards(tx, tenant_id))
    del found[current]
    return found


async def _open_cards(tx: Transaction, tenant_id: UUID) -> Counter[int]:
    """How many open attempts hold a card, by the version of the key; 0: from before there were data keys."""
    found: Counter[int] = Counter()
    for header, number in (await count_open_cards_by_header(tx, tenant_id, length=HEADER_BYTES)).items():
        found[version_in(header)] += number
    return found


def _key_of(keys: Mapping[int, DataKey], sealed: bytes) -> DataKey:
    version = version_of(sealed)
    if version not in keys:
        raise DoesNotOpen(f"there is no version {version} of its data key")
    return keys[version]


NO_NEXT = (
    "There is no next master key: set PARTNER_API_NEXT_MASTER_KEY to a new one beside PARTNER_API_MASTER_KEY, here and in every process "
    "of `serve` and `work`"
)
