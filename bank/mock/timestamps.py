"""Time at the bank: nanoseconds while an answer is made, microseconds once stored (contract §2)."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

Clock = Callable[[], int]  # nanoseconds since 1970, UTC

NANOS_PER_SECOND: Final = 1_000_000_000
NANOS_PER_MICRO: Final = 1_000
MICROS_PER_SECOND: Final = 1_000_000
HOUR_NANOS: Final = 3600 * NANOS_PER_SECOND


def to_micros(nanos: int) -> int:
    """Rounded, as the bank's database rounds: the reason a POST and a GET differ in their last digits (§2)."""
    return (nanos + NANOS_PER_MICRO // 2) // NANOS_PER_MICRO


def to_rfc3339(nanos: int) -> str:
    """RFC 3339 in UTC with up to nine fractional digits, trailing zeros cut (§2)."""
    seconds, fraction = divmod(nanos, NANOS_PER_SECOND)
    digits = f"{fraction:09d}".rstrip("0")
    return f"{_to_second(seconds)}.{digits}Z" if digits else f"{_to_second(seconds)}Z"


# Neighbouring answers share their second and their expiry's; two would do, a few more cover clocks that jump.
@lru_cache(maxsize=64)
def _to_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def from_rfc3339(text: str) -> int:
    """Nanoseconds since 1970 from RFC 3339; raises ValueError. A time without an offset is UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * NANOS_PER_MICRO


def is_card_expired(expiry_month: int, expiry_year: int, nanos: int) -> bool:
    """A card is good until the last moment of its month (§3.6)."""
    today = datetime.fromtimestamp(nanos // NANOS_PER_SECOND, UTC)
    return (today.year, today.month) > (expiry_year, expiry_month)
