"""From two secrets to the keys for each purpose (HKDF, RFC 5869), so that no key is used for two things."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

API_KEYS = b"api keys"
FINGERPRINTS = b"fingerprints of requests"
CARD_SEALS = b"seals of cards in attempts"


def key_for(secret: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"partner-api: " + purpose).derive(secret)
