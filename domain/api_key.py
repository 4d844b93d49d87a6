"""API keys: `gp_live_` + 32 base-62 characters + 6 of checksum. The checksum tells a typing error without a look at the database
and lets secret scanners be certain; only a keyed hash of a key is ever stored.
"""

import hmac
import zlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

PREFIX = "gp_live_"
SECRET_LENGTH = 32  # base 62: 190 bits
CHECKSUM_LENGTH = 6  # 62^6 > 2^32: a CRC32
SHOWN_LENGTH = len(PREFIX) + 4  # of a key in lists: enough to tell one's keys apart, useless to anyone else
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key, without the key."""

    id: UUID
    tenant_id: UUID
    name: str
    shown: str
    created_at: datetime
    revoked_at: datetime | None = None


def new_api_key(randomness: int) -> str:
    """A key out of 256 random bits."""
    secret = "".join(ALPHABET[randomness // 62**place % 62] for place in range(SECRET_LENGTH))
    return PREFIX + secret + _checksum(PREFIX + secret)


def is_well_formed(text: str) -> bool:
    """Whether this could be a key of ours: prefix, length, alphabet and checksum."""
    secret, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    return (
        len(text) == len(PREFIX) + SECRET_LENGTH + CHECKSUM_LENGTH
        and text.startswith(PREFIX)
        and all(character in ALPHABET for character in text[len(PREFIX) :])
        and checksum == _checksum(secret)
    )


def hash_api_key(text: str, pepper: bytes) -> bytes:
    """What is stored: HMAC-SHA256 under a pepper that is not in the database."""
    return hmac.digest(pepper, text.encode(), "sha256")


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    return "".join(ALPHABET[number // 62**place % 62] for place in reversed(range(CHECKSUM_LENGTH)))
