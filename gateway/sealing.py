"""Seals a card into its attempt while the authorization is unfinished, so that a crash can be made good. AES-256-GCM.

The additional data ties a seal to its partner and attempt: moved to another row, it does not open.
"""

import os
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.card import CardDetails

NONCE_BYTES = 12  # what GCM wants (NIST SP 800-38D); random, for far fewer than 2^32 seals in the life of a key
VERSION = b"\x01"


class CardSeal:
    """Seals and opens cards under one 256-bit key."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, card: CardDetails, tenant_id: UUID, attempt_id: UUID) -> bytes:
        """The card, for this attempt of this partner only."""
        content = orjson.dumps([card.number, card.cvv, card.expiry_month, card.expiry_year])
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._aead.encrypt(nonce, content, VERSION + tenant_id.bytes + attempt_id.bytes)

    def open(self, sealed: bytes, tenant_id: UUID, attempt_id: UUID) -> CardDetails:
        """The card. Raises cryptography's InvalidTag for another attempt's seal, a changed one, or another key."""
        nonce, content = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        additional = sealed[:1] + tenant_id.bytes + attempt_id.bytes
        number, cvv, month, year = orjson.loads(self._aead.decrypt(nonce, content, additional))
        return CardDetails(number, cvv, month, year)
