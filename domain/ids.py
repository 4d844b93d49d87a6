"""Opaque, typed, prefixed identifiers: `pay_01j9…` outside, a UUIDv7 inside.

The body is the UUID in Crockford's base 32, lower case, 26 characters: double-click selects it, it reads well on the phone, and
being ordered by time it keeps index inserts at the right-hand edge. There is exactly one spelling of each id.
"""

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
BODY_LENGTH = 26  # 26 × 5 bits carry the 128 bits of a UUID, with two to spare
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


class IdKind(StrEnum):
    """What an id names; the value is its prefix."""

    PARTNER = "ptn"
    API_KEY = "key"
    USER = "usr"
    CARD = "card"
    PAYMENT = "pay"
    ATTEMPT = "att"
    EVENT = "evt"
    RECONCILIATION = "rec"
    AUDIT_ENTRY = "aud"
    WEBHOOK_ENDPOINT = "whe"
    WEBHOOK_DELIVERY = "whd"


_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]  # two characters at a time: every answer is full of ids
_SHIFTS = range(5 * (BODY_LENGTH - 2), -1, -10)
_KINDS = {kind.value: kind for kind in IdKind}


def encode_id(kind: IdKind, value: UUID) -> str:
    """The public spelling of `value`, for instance `pay_01j9zc…`."""
    number = value.int
    return f"{kind}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"


def decode_id(text: str) -> tuple[IdKind, UUID] | None:
    """Kind and value of a public id, or None for anything that `encode_id` would not have written."""
    prefix, _, body = text.rpartition("_")
    kind = _KINDS.get(prefix)
    if kind is None or len(body) != BODY_LENGTH or any(character not in _VALUES for character in body):
        return None
    number = 0
    for character in body:
        number = number << 5 | _VALUES[character]
    return (kind, UUID(int=number)) if number < 1 << 128 else None


def decode_id_of(kind: IdKind, text: str) -> UUID | None:
    """The value of a public id of one kind, or None for another kind and for anything malformed."""
    decoded = decode_id(text)
    return decoded[1] if decoded is not None and decoded[0] is kind else None


def time_ordered_uuid(now: datetime, randomness: int) -> UUID:
    """A UUIDv7 (RFC 9562 §5.7) of this millisecond; `randomness` gives its 74 random bits."""
    milliseconds = int(now.timestamp() * 1000)
    assert 0 <= milliseconds < 1 << 48, "the clock is outside of what a UUIDv7 can say"
    high, low = randomness >> 62 & 0xFFF, randomness & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


def time_in(value: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
