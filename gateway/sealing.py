"""A card sealed into its attempt while the authorization is unfinished, so that a crash can be made good. It ends with the attempt.

The CVV is in it, and nowhere else: a seal is erased in the very transaction that closes its attempt.
"""

from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.card import CardDetails
from gateway.vault.data_key import NONCE_BYTES, DataKey, Field

OLD_FORMAT = b"\x01"


def seal_card(key: DataKey, attempt_id: UUID, card: CardDetails) -> bytes:
    """The card, for this attempt only."""
    content = orjson.dumps([card.number, card.cvv, card.expiry_month, card.expiry_year])
    return key.seal(Field.ATTEMPT_CARD, attempt_id, content)


def open_card(key: DataKey, attempt_id: UUID, sealed: bytes) -> CardDetails:
    """The card. Raises DoesNotOpen."""
    return _card(key.open(Field.ATTEMPT_CARD, attempt_id, sealed))


def is_old_seal(sealed: bytes) -> bool:
    """Whether it was sealed before there were data keys."""
    return sealed[:1] == OLD_FORMAT


class OldCardSeal:
    """Opens what was sealed under a master key itself, before there were data keys: `format · nonce · ciphertext and tag`.

    An attempt of then may still be open after an upgrade.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def open(self, sealed: bytes, tenant_id: UUID, attempt_id: UUID) -> CardDetails | None:
        """The card; None when it is not of this key, or of another place."""
        nonce, content = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return _card(self._aead.decrypt(nonce, content, sealed[:1] + tenant_id.bytes + attempt_id.bytes))
        except InvalidTag:
            return None


def _card(content: bytes) -> CardDetails:
    number, cvv, month, year = orjson.loads(content)
    return CardDetails(number, cvv, month, year)
