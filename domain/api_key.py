"""API keys: `gp_live_` or `gp_test_` + 32 base-62 characters + 6 of checksum. The checksum tells a typing error without a look at
the database and lets secret scanners be certain; only a keyed hash of a key is ever stored.
"""

import hmac
import zlib
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from uuid import UUID

from domain.partner import Mode
from domain.scope import Scope

PREFIX_OF = {Mode.LIVE: "gp_live_", Mode.TEST: "gp_test_"}
PREFIX_LENGTH = len(PREFIX_OF[Mode.LIVE])
SECRET_LENGTH = 32  # base 62: 190 bits
CHECKSUM_LENGTH = 6  # 62^6 > 2^32: a CRC32
SHOWN_LENGTH = PREFIX_LENGTH + 4  # of a key in lists: enough to tell one's keys apart, useless to anyone else
SHOWN_NETWORKS = 8  # of a key in the audit log, whose notes have 1,000 characters: a network takes 43 at most
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key, without the key. Its tenant tells its mode; no `networks` means that any address will do.

    `replaced_by` is the key that came of a rotation: this one is good until `expires_at`, so that both work for a while.
    """

    id: UUID
    tenant_id: UUID
    name: str
    shown: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: UUID | None = None  # another key; None: the platform's staff
    expires_at: datetime | None = None
    networks: tuple[Network, ...] = ()
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: UUID | None = None


def network_of(text: str) -> Network:
    """A network in CIDR notation. Raises ValueError."""
    return ip_network(text)


def account_of(key: ApiKey) -> str:
    """What a key may do, in a line for the audit log."""
    said = [f"{len(key.scopes)} scopes: {' '.join(sorted(key.scopes))}"]
    if key.expires_at is not None:
        said.append(f"until {key.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    if key.networks:
        said.append(f"from {' '.join(map(str, key.networks[:SHOWN_NETWORKS]))}{' …' if key.networks[SHOWN_NETWORKS:] else ''}")
    return "; ".join(said)


def new_api_key(mode: Mode, randomness: int) -> str:
    """A key out of 256 random bits."""
    prefix = PREFIX_OF[mode]
    secret = "".join(ALPHABET[randomness // 62**place % 62] for place in range(SECRET_LENGTH))
    return prefix + secret + _checksum(prefix + secret)


def is_well_formed(text: str) -> bool:
    """Whether this could be a key of ours: prefix, length, alphabet and checksum."""
    secret, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    return (
        len(text) == PREFIX_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
        and text[:PREFIX_LENGTH] in PREFIX_OF.values()
        and all(character in ALPHABET for character in text[PREFIX_LENGTH:])
        and checksum == _checksum(secret)
    )


def holds_api_key(text: str) -> bool:
    """Whether there is something in it that begins like a key of ours, whole or not."""
    return any(prefix in text for prefix in PREFIX_OF.values())


def hash_api_key(text: str, pepper: bytes) -> bytes:
    """What is stored: HMAC-SHA256 under a pepper that is not in the database."""
    return hmac.digest(pepper, text.encode(), "sha256")


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    return "".join(ALPHABET[number // 62**place % 62] for place in reversed(range(CHECKSUM_LENGTH)))
