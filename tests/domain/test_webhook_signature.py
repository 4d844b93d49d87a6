"""Signatures as Standard Webhooks v1 has them: the official vector, and the official library as the judge."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from domain.webhook_signature import (
    MAX_SECRET_BYTES,
    MIN_SECRET_BYTES,
    NEW_SECRET_BYTES,
    read_secret,
    show_secret,
    sign,
    signed_headers,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEYS = st.binary(min_size=MIN_SECRET_BYTES, max_size=MAX_SECRET_BYTES)


def key_of(secret: str) -> bytes:
    key = read_secret(secret)
    assert key is not None
    return key


def test_the_official_vector() -> None:
    signature = sign([key_of(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(key=KEYS, body=st.text().map(str.encode))
def test_the_official_library_verifies_what_we_sign(key: bytes, body: bytes) -> None:
    headers = signed_headers([key], "evt_1", datetime.now(UTC), b'{"a": %d}' % len(body))

    Webhook(show_secret(key)).verify(b'{"a": %d}' % len(body), headers)


@given(old=KEYS, new=KEYS)
def test_with_two_keys_the_library_verifies_with_either(old: bytes, new: bytes) -> None:
    headers = signed_headers([new, old], "evt_1", datetime.now(UTC), b"{}")

    for key in (old, new):
        Webhook(show_secret(key)).verify(b"{}", headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_neither_id_nor_time_nor_body_can_be_exchanged(changed: str) -> None:
    now = datetime.now(UTC)
    headers, body = signed_headers([key_of(SECRET)], "evt_1", now, b"{}"), b"{}"
    if changed == "body":
        body = b"[]"
    else:
        headers[changed] = {"webhook-id": "evt_2", "webhook-timestamp": str(int(now.timestamp()) + 1)}[changed]

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


def test_a_stranger_does_not_verify() -> None:
    headers = signed_headers([b"s" * NEW_SECRET_BYTES], "evt_1", datetime.now(UTC), b"{}")

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", headers)


@given(key=KEYS)
def test_a_secret_is_read_as_it_was_shown(key: bytes) -> None:
    assert read_secret(show_secret(key)) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        SECRET.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(b"k" * (MIN_SECRET_BYTES - 1)).decode(),
        "whsec_" + base64.b64encode(b"k" * (MAX_SECRET_BYTES + 1)).decode(),
        SECRET + "!",
        "whsec_ümlaut",
        "WHSEC_" + SECRET.removeprefix("whsec_"),
    ],
)
def test_what_is_no_secret_is_none(text: str) -> None:
    assert read_secret(text) is None
