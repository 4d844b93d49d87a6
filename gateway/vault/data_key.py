"""A data key, and what it seals: AES-256-GCM (NIST SP 800-38D), with the place of the seal as additional data.

A seal is `format · key version · nonce · ciphertext and tag` (1, 4, 12 and n + 16 bytes). The additional data is `format · key version ·
tenant · row · field`: moved to another partner, row or field, or said to be of another version, it does not open.
"""

import os
from enum import Enum
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # what GCM wants; random, for far fewer than 2^32 seals under one key: docs/operations.md says when to rotate
FORMAT = b"\x02"  # 1 were the cards of attempts sealed under the master key itself: gateway/sealing.py
VERSION_BYTES = 4
HEADER_BYTES = len(FORMAT) + VERSION_BYTES


class DoesNotOpen(Exception):
    """A seal from another place, of another key, or changed. Ours: somebody has touched the rows, or a bug has."""


class Field(Enum):
    """What is sealed: the column. The value is part of the additional data, so it never changes."""

    ATTEMPT_CARD = b"attempts.sealed_card"
    CARD_NUMBER = b"card_numbers.sealed"
    WEBHOOK_SECRET = b"webhook_secrets.sealed"


class DataKey:
    """One partner's key of one version. Sealing and opening take some microseconds and ask nobody."""

    __slots__ = ("_aead", "tenant_id", "version")

    def __init__(self, tenant_id: UUID, version: int, key: bytes) -> None:
        self.tenant_id = tenant_id
        self.version = version
        self._aead = AESGCM(key)

    def __repr__(self) -> str:
        return f"DataKey(version={self.version})"

    @property
    def header(self) -> bytes:
        """What every seal of this key begins with."""
        return header_of(self.version)

    def seal(self, field: Field, row_id: UUID, content: bytes) -> bytes:
        """The content, for this field of this row of this partner only."""
        nonce = os.urandom(NONCE_BYTES)
        return self.header + nonce + self._aead.encrypt(nonce, content, self._place(field, row_id))

    def open(self, field: Field, row_id: UUID, sealed: bytes) -> bytes:
        """The content. Raises DoesNotOpen."""
        if sealed[:HEADER_BYTES] != self.header:
            raise DoesNotOpen(f"it is not of version {self.version}")
        nonce, content = sealed[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES], sealed[HEADER_BYTES + NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, content, self._place(field, row_id))
        except (InvalidTag, ValueError):  # a ValueError for a nonce that is cut short
            raise DoesNotOpen(f"{field.name} {row_id} does not open") from None

    def _place(self, field: Field, row_id: UUID) -> bytes:
        # The field comes last, because all others have a fixed length: no two places are written alike.
        return self.header + self.tenant_id.bytes + row_id.bytes + field.value


def header_of(version: int) -> bytes:
    """What the seals of this version of a data key begin with."""
    return FORMAT + version.to_bytes(VERSION_BYTES, "big")


def version_of(sealed: bytes) -> int:
    """The version of the data key that a seal names. Raises DoesNotOpen for what is no seal of ours."""
    if sealed[:1] != FORMAT or len(sealed) < HEADER_BYTES + NONCE_BYTES:
        raise DoesNotOpen("it is not a seal of a data key")
    return int.from_bytes(sealed[1:HEADER_BYTES], "big")


def version_in(header: bytes) -> int:
    """The version that the first HEADER_BYTES of a seal name; 0 for a seal from before there were data keys."""
    return int.from_bytes(header[1:HEADER_BYTES], "big") if header[:1] == FORMAT else 0
