"""From the Authorization header to a caller. A key that can't be one of ours never reaches the database."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cachetools import TTLCache

from domain.api_key import ApiKey, hash_api_key, is_well_formed
from domain.caller import Address, Caller
from domain.partner import Partner
from persistence.api_keys import find_presented_key
from persistence.database import Database

REVOCATION_S = 5.0  # a revoked key is refused everywhere after this time at the latest
CACHED_KEYS = 10_000  # known keys in memory, some 500 bytes each; unknown ones are not kept, they would push these out


class Unauthenticated(StrEnum):
    """Why there is no caller; the value is the sentence for him."""

    MISSING_KEY = "There is no API key. Send the header `Authorization: Bearer gp_live_…`."
    MALFORMED_KEY = "This is not an API key: it has a typing error or is incomplete. Send `Authorization: Bearer gp_live_…`."
    UNKNOWN_KEY = "This API key is not known here."
    REVOKED_KEY = "This API key has been revoked. Use another one."


@dataclass(frozen=True, slots=True)
class Refused:
    """No caller."""

    why: Unauthenticated


class Authentication:
    """Tells who presents a key. `monotonic` in seconds, for the age of what is remembered."""

    def __init__(self, database: Database, pepper: bytes, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._pepper = pepper
        self._known: TTLCache[bytes, tuple[ApiKey, Partner]] = TTLCache(CACHED_KEYS, REVOCATION_S, timer=monotonic)

    async def caller(self, authorization: str | None, address: Address) -> Caller | Refused:
        """Who is behind an Authorization header's value. Raises DatabaseAway."""
        if not authorization:
            return Refused(Unauthenticated.MISSING_KEY)
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not is_well_formed(text):
            return Refused(Unauthenticated.MALFORMED_KEY)
        key_hash = hash_api_key(text, self._pepper)
        known = self._known.get(key_hash)
        if known is None:
            async with self._database.presenting(key_hash) as tx:
                known = await find_presented_key(tx, key_hash)
            if known is None:
                return Refused(Unauthenticated.UNKNOWN_KEY)
            self._known[key_hash] = known
        key, partner = known
        return Refused(Unauthenticated.REVOKED_KEY) if key.revoked_at is not None else Caller(key, partner, address)
