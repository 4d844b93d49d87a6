"""A rotation of keys dies in the middle of its work, and the next run brings it to its end: every number and every card still opens."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from app import keys
from domain.failpoint import Failpoint
from domain.ids import IdKind, encode_id
from domain.payment import Verb
from gateway.vault.key_service import LocalKeyService
from gateway.vault.vault import Vault
from gateway.world import real_world
from persistence.card_numbers import get_card_numbers, insert_card_number
from persistence.database import Database
from tests.conftest import MASTER_KEY, PEPPER
from tests.crash.nursery import Nursery
from tests.crash.site import Partner, Site
from tests.crash.table import ROTATIONS
from tests.databases import drop_database, make_database

NUMBER = "5555555555554444"
CARDS = 3
NEXT_MASTER_KEY = b"n" * 32
NEXT = base64.b64encode(NEXT_MASTER_KEY).decode()


@asynccontextmanager
async def vault_of(site: Site, *master_keys: bytes) -> AsyncIterator[Vault]:
    """The vault of a process that has just been started."""
    database = Database(site.urls.app, pool_size=1)
    yield Vault(
        database,
        LocalKeyService(keys.ring_of(*master_keys)),
        real_world().now,
        fingerprint_key=keys.key_for(PEPPER, keys.CARD_FINGERPRINTS),
    )
    await database.close()


async def store_numbers(site: Site, tenant: UUID) -> list[UUID]:
    """Numbers of some cards."""
    cards, user = [uuid4() for _ in range(CARDS)], uuid4()
    await site.owner_fetch(
        """insert into users (tenant_id, id, external_id, metadata, state, created_at, updated_at)
           values ($1, $2, 'customer-1', '{}', 'ACTIVE', now(), now())""",
        tenant,
        user,
    )
    await site.owner_fetch(
        """insert into cards (tenant_id, id, user_id, kind, brand, last_four, expiry_month, expiry_year, fingerprint, state,
                              created_at, state_since)
           select $1, id, $2, 'ADDED', 'MASTERCARD', '4444', 12, 2030, sha256(uuid_send(id)), 'ACTIVE', now(), now()
           from unnest($3::uuid[]) as id""",
        tenant,
        user,
        cards,
    )
    async with vault_of(site, MASTER_KEY) as vault:
        for card in cards:
            sealed = await vault.seal_number(tenant, card, NUMBER)
            async with vault._database.tenant(tenant) as tx:
                await insert_card_number(tx, tenant, card, sealed.sealed, key_version=sealed.key_version)
    return cards


async def opened(site: Site, tenant: UUID, cards: list[UUID], *master_keys: bytes) -> list[str]:
    """The numbers, as a new process reads them."""
    async with vault_of(site, *master_keys) as vault:
        async with vault._database.tenant(tenant) as tx:
            seals = await get_card_numbers(tx, tenant, cards)
        return [await vault.open_number(tenant, card, seals[card]) for card in cards]


async def versions(site: Site, tenant: UUID) -> Counter[int]:
    """How much is sealed under each version: numbers, and cards of open attempts."""
    rows = await site.owner_fetch(
        """select key_version as version from card_numbers where tenant_id = $1
           union all select get_byte(sealed_card, 4) from attempts where tenant_id = $1 and sealed_card is not null""",
        tenant,
    )
    return Counter(row["version"] for row in rows)


async def rotate(site: Site, *arguments: str, failpoint: str = "", **settings: object) -> tuple[int, str]:
    """A rotation without a failpoint: its exit code, and what it said."""
    process = site.start_command(
        "vault", "rotate", *arguments, owner_database_url=site.urls.owner, failpoint=failpoint, **settings
    )
    return await process.ended(), process.said()


@pytest.mark.parametrize("passing", [passing for each, passing in ROTATIONS if each is Failpoint.SEALS_REPLACED])
async def test_a_rotation_of_a_data_key_that_dies_is_finished_by_the_next_run(site: Site, passing: int) -> None:
    partner = await site.partner()
    whose = ("--partner", encode_id(IdKind.PARTNER, partner.id))
    wish = await partner.wish(Verb.AUTHORIZE)
    with site.worker_frozen():
        await site.strand([wish])
        cards = await store_numbers(site, partner.id)
        await site.owner_fetch(
            "update data_keys set created_at = created_at - interval '2 hours' where tenant_id = $1", partner.id
        )
        victim = site.start_command(
            "vault", "rotate", *whose, owner_database_url=site.urls.owner, failpoint=f"seals-replaced:{passing}"
        )
        await victim.fell_at(Failpoint.SEALS_REPLACED)
        left = await versions(site, partner.id)
        code, said = await rotate(site, *whose, "--json")
        after = await versions(site, partner.id)
    await site.leases_run_out([wish])
    await site.nothing_is_open([wish])
    await site.verify([wish])

    assert left == ({1: CARDS + 1} if passing == 1 else {1: 1, 2: CARDS})
    assert (code, after) == (0, {2: CARDS + 1}), said
    assert await opened(site, partner.id, cards, MASTER_KEY) == [NUMBER] * CARDS
    assert (await wish.repeat(site.api))["payment"]["state"] == "AUTHORIZED", "the worker has opened its card"


@pytest.fixture
def own_site(nursery: Nursery, postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site of this test's own: its master key is exchanged."""
    urls = asyncio.run(make_database(postgres_url))
    made = Site(nursery, urls, tmp_path)
    try:
        yield made
    finally:
        made.clear_away()
        made.close()
        asyncio.run(drop_database(postgres_url, urls))


@pytest.mark.parametrize("passing", [passing for each, passing in ROTATIONS if each is Failpoint.DATA_KEYS_REWRAPPED])
async def test_a_rotation_of_the_master_key_that_dies_is_finished_by_the_next_run(own_site: Site, passing: int) -> None:
    """Meanwhile a process with both keys serves, and one without the old one refuses to start. Afterwards the new one is enough."""
    site, owners = own_site, {"owner_database_url": own_site.urls.owner}
    api = site.start_api(next_master_key=NEXT)
    partners: list[Partner] = [await site.partner() for _ in range(2)]
    before = [await (await each.wish(Verb.AUTHORIZE)).repeat(api) for each in partners]
    cards = {each.id: await store_numbers(site, each.id) for each in partners}

    victim = site.start_command(
        "vault", "rotate", "--master-key", failpoint=f"data-keys-rewrapped:{passing}", next_master_key=NEXT, **owners
    )
    await victim.fell_at(Failpoint.DATA_KEYS_REWRAPPED)
    too_early = site.start_api(master_key=NEXT)
    refused = await too_early.ended()
    meanwhile = [await (await each.wish(Verb.AUTHORIZE)).repeat(api) for each in partners]
    code, said = await rotate(site, "--master-key", next_master_key=NEXT)
    again = await rotate(site, "--master-key", next_master_key=NEXT)
    fresh = site.start_api(master_key=NEXT)
    afterwards = [await (await each.wish(Verb.AUTHORIZE)).repeat(fresh) for each in partners]

    assert {each["payment"]["state"] for each in before + meanwhile + afterwards} == {"AUTHORIZED"}
    assert refused == 2
    assert "A rotation of the master key is not finished, and this process lacks the old one" in too_early.said()
    assert "Traceback" not in too_early.said()
    assert (code, again[0]) == (0, 0), said
    for partner in partners:
        assert await opened(site, partner.id, cards[partner.id], NEXT_MASTER_KEY) == [NUMBER] * CARDS
