"""From two secrets to the keys for each purpose (HKDF, RFC 5869), so that no key is used for two things."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

API_KEYS = b"api keys"
FINGERPRINTS = b"fingerprints of requests"
CARD_FINGERPRINTS = b"fingerprints of card numbers"
MASTER_KEY_IDS = b"ids of master keys"
DATA_KEY_WRAPS = b"wraps of data keys"
CARD_SEALS = b"seals of cards in attempts"  # of the version before there were data keys
MASTER_KEY_ID_BYTES = 8  # enough to tell master keys apart, and nothing of the key is in it


def key_for(secret: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"partner-api: " + purpose).derive(secret)


def ring_of(*master_keys: bytes) -> dict[str, bytes]:
    """What wraps data keys, by the id of each master key."""
    return {key_for(each, MASTER_KEY_IDS)[:MASTER_KEY_ID_BYTES].hex(): key_for(each, DATA_KEY_WRAPS) for each in master_keys}
