"""All that is sealed under a tenant's data key, for a rotation: stored numbers, secrets of webhooks, and the cards of open
attempts.

A seal names its key in front (gateway/vault/data_key.py). Numbers and secrets have the key's version in a column as well; open attempts
are few, so they are found by what their seals begin with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from sqlalchemy import text

from persistence.database import Transaction


class Sealed(Enum):
    """What is sealed."""

    NUMBERS = "card_numbers"
    WEBHOOK_SECRETS = "webhook_secrets"
    OPEN_CARDS = "attempts"


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal in its row: a card's or an attempt's. `rank` is the order in which pages come, before the row's id."""

    row_id: UUID
    sealed: bytes = field(repr=False)
    rank: int = 0


FIRST = Seal(UUID(int=0), b"")  # the page behind it is the first one

# Skipped is what somebody is writing just now: a later look finds it, or finds it gone.
_PAGES = {
    Sealed.NUMBERS: text("""
        select card_id as row_id, sealed, key_version as rank from card_numbers
        where tenant_id = :tenant_id and key_version < :version and (key_version, card_id) > (:after_rank, :after)
        order by key_version, card_id limit :limit
        for update skip locked
    """),
    Sealed.WEBHOOK_SECRETS: text("""
        select id as row_id, sealed, key_version as rank from webhook_secrets
        where tenant_id = :tenant_id and key_version < :version and (key_version, id) > (:after_rank, :after)
        order by key_version, id limit :limit
        for update skip locked
    """),
    Sealed.OPEN_CARDS: text("""
        select id as row_id, sealed_card as sealed, 0 as rank from attempts
        where tenant_id = :tenant_id and closed_at is null and sealed_card is not null and id > :after
            and substr(sealed_card, 1, length(cast(:header as bytea))) <> :header
        order by id limit :limit
        for update skip locked
    """),
}
_GIVEN = "unnest(cast(:ids as uuid[]), cast(:seals as bytea[])) as given (row_id, sealed)"
_REPLACE = {
    Sealed.NUMBERS: text(f"""
        update card_numbers set sealed = given.sealed, key_version = :version from {_GIVEN}
        where tenant_id = :tenant_id and card_id = given.row_id
    """),
    Sealed.WEBHOOK_SECRETS: text(f"""
        update webhook_secrets set sealed = given.sealed, key_version = :version from {_GIVEN}
        where tenant_id = :tenant_id and id = given.row_id
    """),
    Sealed.OPEN_CARDS: text(f"""
        update attempts set sealed_card = given.sealed from {_GIVEN}
        where tenant_id = :tenant_id and id = given.row_id and closed_at is null
    """),
}
_BY_KEY = {
    each: text(f"""
        select key_version as version, count(*) as number from {each.value}
        where tenant_id = :tenant_id and key_version < :below group by 1
    """)
    for each in (Sealed.NUMBERS, Sealed.WEBHOOK_SECRETS)
}
_OPEN_CARDS_BY_HEADER = text("""
    select substr(sealed_card, 1, :length) as header, count(*) as number from attempts
    where tenant_id = :tenant_id and closed_at is null and sealed_card is not null group by 1
""")


@dataclass(frozen=True, slots=True)
class CurrentKey:
    """The version of a data key, and what its seals begin with."""

    version: int
    header: bytes


async def lock_seals_of_older_keys(
    tx: Transaction, tenant_id: UUID, what: Sealed, current: CurrentKey, *, after: Seal, limit: int
) -> list[Seal]:
    """The next seals behind `after` that are not of the current key; without those that somebody is writing. Needs the owner's login."""
    parameters = {"tenant_id": tenant_id, "after": after.row_id, "limit": limit}
    if what is Sealed.OPEN_CARDS:
        parameters |= {"header": current.header}
    else:
        parameters |= {"version": current.version, "after_rank": after.rank}
    return [Seal(row.row_id, row.sealed, row.rank) for row in await tx.execute(_PAGES[what], parameters)]


async def replace_seals(tx: Transaction, tenant_id: UUID, what: Sealed, current: CurrentKey, seals: Sequence[Seal]) -> int:
    """Put seals of the current key into rows that this transaction has locked. Returns how many. Needs the owner's login."""
    parameters: dict[str, object] = {
        "tenant_id": tenant_id,
        "ids": [each.row_id for each in seals],
        "seals": [each.sealed for each in seals],
    }
    if what is not Sealed.OPEN_CARDS:
        parameters["version"] = current.version
    return (await tx.execute(_REPLACE[what], parameters)).rowcount


async def count_seals_by_key(tx: Transaction, tenant_id: UUID, what: Sealed, *, below: int) -> Mapping[int, int]:
    """How many numbers, or secrets, there are under each version of the data key below this one."""
    rows = await tx.execute(_BY_KEY[what], {"tenant_id": tenant_id, "below": below})
    return {row.version: row.number for row in rows}


async def count_open_cards_by_header(tx: Transaction, tenant_id: UUID, *, length: int) -> Mapping[bytes, int]:
    """How many open attempts hold a card, by what its seal begins with."""
    rows = await tx.execute(_OPEN_CARDS_BY_HEADER, {"tenant_id": tenant_id, "length": length})
    return {bytes(row.header): row.number for row in rows}
