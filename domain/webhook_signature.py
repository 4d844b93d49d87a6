"""Standard Webhooks v1 (https://www.standardwebhooks.com): how a receiver can be sure that a message is ours, whole, and of now.

The signature is over `id.timestamp.body`, so none of the three can be exchanged. A header may have several, separated by spaces: while
a secret is being changed there is one under each, and a receiver needs only one that it knows.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime

SECRET_PREFIX = "whsec_"  # noqa: S105  # what secrets begin with
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # as the specification has it
NEW_SECRET_BYTES = 32  # of ours: as long as the hash that they key
VERSION = "v1"
TOLERANCE_S = 300  # how old or how early a message may be for a receiver: its clock need not be ours
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"


def show_secret(key: bytes) -> str:
    """A secret as people and programs pass it on: `whsec_…`."""
    assert MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES
    return SECRET_PREFIX + base64.b64encode(key).decode()


def read_secret(text: str) -> bytes | None:
    """The key in a secret, or None for anything that is no secret of Standard Webhooks."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX).encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return key if text.startswith(SECRET_PREFIX) and MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES else None


def sign(keys: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: one for each key, the newest key's first. `timestamp_s` is that of the attempt."""
    assert keys, "there is always a secret"
    assert "." not in message_id, "a dot in the id would make two messages of one signature"
    content = b"%s.%d.%s" % (message_id.encode(), timestamp_s, body)
    return " ".join(f"{VERSION},{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}" for key in keys)


def signed_headers(keys: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message that is sent at this moment."""
    timestamp_s = int(at.timestamp())
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp_s),
        SIGNATURE_HEADER: sign(keys, message_id, timestamp_s, body),
    }
