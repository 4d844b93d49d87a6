"""Who is let in: every reason to refuse a caller, and the rule that finds it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.api_key import ApiKey
from domain.caller import Address
from domain.partner import Partner


class Unauthenticated(StrEnum):
    """Why there is no caller; the value is the sentence for him."""

    MISSING_KEY = "There is no API key. Send the header `Authorization: Bearer gp_live_…`."
    MALFORMED_KEY = "This is not an API key: it has a typing error or is incomplete. Send `Authorization: Bearer gp_live_…`."
    UNKNOWN_KEY = "This API key is not known here."
    REVOKED_KEY = "This API key has been revoked. Use another one."
    EXPIRED_KEY = "This API key has expired. Use another one."
    SUSPENDED = "This partner's access is suspended. Ask our staff why; what is under way goes on."
    ADDRESS_NOT_ALLOWED = "This API key can't be used from this address: its list of networks does not have it."
    ORIGIN_NOT_ALLOWED = "This API key can't be used by pages of this origin. Ask our staff to add it to the partner's list."
    TOO_MANY_WRONG_KEYS = "Too many unknown API keys came from this address. Wait, and send a good one."


# The key is good, and yet it does not let this request in (RFC 9110: 403); for the others another key would help (401).
NOT_FOR_YOU = frozenset({Unauthenticated.SUSPENDED, Unauthenticated.ADDRESS_NOT_ALLOWED, Unauthenticated.ORIGIN_NOT_ALLOWED})


@dataclass(frozen=True, slots=True)
class Refused:
    """No caller; `retry_after_s` seconds are to be waited where waiting helps."""

    why: Unauthenticated
    retry_after_s: int | None = None


def why_refused(key: ApiKey, partner: Partner, address: Address, now: datetime) -> Unauthenticated | None:
    """Why this key of this partner is not let in from there at that time, or None when it is."""
    if key.revoked_at is not None:
        return Unauthenticated.REVOKED_KEY
    if key.expires_at is not None and key.expires_at <= now:
        return Unauthenticated.EXPIRED_KEY
    if partner.suspended_at is not None:
        return Unauthenticated.SUSPENDED
    if key.networks and not any(address in network for network in key.networks):
        return Unauthenticated.ADDRESS_NOT_ALLOWED
    return None
