"""Agrees, at the start, with the database on the master key: with a wrong one nothing could be opened, and this says so at once."""

from datetime import datetime

from gateway.vault.data_key import DoesNotOpen
from gateway.vault.key_service import KeyService, Wrapped
from persistence.database import Database
from persistence.master_keys import MasterKeyRow, begin_with_master_key, list_master_keys

_CHECK = b"partner-api: this master key opens what it has wrapped"
_CHECK_CONTEXT = b"check value"


class WrongMasterKey(Exception):
    """This process has not the master key that the database's data keys are wrapped by. The message says what to do."""


async def agree_on_master_key(database: Database, key_service: KeyService, now: datetime) -> None:
    """Begin with the configured master key in an empty database; elsewhere see that each one that is needed is there and opens.

    Raises WrongMasterKey, KeysAway and DatabaseAway.
    """
    known = await _known(database)
    if not known:
        first = key_service.key_ids[0]
        check_value = await check_value_of(key_service, first)
        async with database.without_tenant(promised=True) as tx:
            await begin_with_master_key(tx, first, check_value, now)
        known = await _known(database)
    for each in known:
        if each.retired_at is None:
            await _check(key_service, each)


async def check_value_of(key_service: KeyService, master_key_id: str) -> bytes:
    """A known text, wrapped. What opens it is the same master key, whatever a key service's id for it means."""
    return (await key_service.wrap(master_key_id, _CHECK, _CHECK_CONTEXT)).content


async def _known(database: Database) -> list[MasterKeyRow]:
    async with database.without_tenant(promised=True) as tx:
        return await list_master_keys(tx)


async def _check(key_service: KeyService, needed: MasterKeyRow) -> None:
    if needed.id not in key_service.key_ids:
        raise WrongMasterKey(_MISSING_ACTIVE.format(needed.id) if needed.is_active else _MISSING_OLD.format(needed.id))
    try:
        opened = await key_service.unwrap(Wrapped(needed.id, needed.check_value), _CHECK_CONTEXT)
    except DoesNotOpen:
        opened = b""
    if opened != _CHECK:
        raise WrongMasterKey(
            f"The key service's master key {needed.id} is not the one that it was: it does not open its check value"
        )


_MISSING_ACTIVE = (
    "PARTNER_API_MASTER_KEY is not the master key of this database ({}): start with the one that its cards were sealed under, or, "
    "where a rotation has made another one active, with that; docs/operations.md, Master key, says more"
)
_MISSING_OLD = (
    "A rotation of the master key is not finished, and this process lacks the old one ({}): start with the old and the new one as "
    "PARTNER_API_MASTER_KEY and PARTNER_API_NEXT_MASTER_KEY, and run `partner-api vault rotate --master-key` again"
)
