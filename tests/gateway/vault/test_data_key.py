"""A seal opens in its own place and nowhere else."""

import struct
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.vault.data_key import DataKey, DoesNotOpen, Field, version_of

KEY = bytes(range(32))
TENANT, ROW = UUID(int=1), UUID(int=2)
versions = st.integers(1, 2**31 - 1)


@given(st.binary(max_size=300), versions, st.uuids(), st.uuids(), st.sampled_from(Field), st.binary(min_size=32, max_size=32))
def test_what_was_sealed_opens(content: bytes, version: int, tenant: UUID, row: UUID, field: Field, key: bytes) -> None:
    data_key = DataKey(tenant, version, key)

    sealed = data_key.seal(field, row, content)

    assert data_key.open(field, row, sealed) == content
    assert version_of(sealed) == version


@given(st.binary(max_size=50), versions, st.uuids(), st.uuids(), st.sampled_from(Field))
def test_it_is_aes_gcm_as_documented(content: bytes, version: int, tenant: UUID, row: UUID, field: Field) -> None:
    """Read by another API of the library, and by the words of the module's docstring."""
    sealed = DataKey(tenant, version, KEY).seal(field, row, content)

    seal_format, named, nonce = struct.unpack_from(">BI12s", sealed)
    place = struct.pack(">BI16s16s", seal_format, named, tenant.bytes, row.bytes) + field.value
    decryptor = Cipher(AES(KEY), GCM(nonce, sealed[-16:])).decryptor()
    decryptor.authenticate_additional_data(place)
    opened = decryptor.update(sealed[17:-16]) + decryptor.finalize()

    assert (seal_format, named) == (2, version)
    assert opened == content


@pytest.mark.parametrize(
    "elsewhere",
    [
        (DataKey(UUID(int=3), 1, KEY), Field.CARD_NUMBER, ROW),
        (DataKey(TENANT, 2, KEY), Field.CARD_NUMBER, ROW),
        (DataKey(TENANT, 1, KEY[::-1]), Field.CARD_NUMBER, ROW),
        (DataKey(TENANT, 1, KEY), Field.ATTEMPT_CARD, ROW),
        (DataKey(TENANT, 1, KEY), Field.CARD_NUMBER, UUID(int=3)),
    ],
    ids=["another partner", "another version", "another key", "another field", "another row"],
)
def test_a_seal_does_not_open_elsewhere(elsewhere: tuple[DataKey, Field, UUID]) -> None:
    key, field, row = elsewhere
    sealed = DataKey(TENANT, 1, KEY).seal(Field.CARD_NUMBER, ROW, b"4111111111111111")

    with pytest.raises(DoesNotOpen):
        key.open(field, row, sealed)


def test_a_version_that_is_only_claimed_does_not_open() -> None:
    """Somebody writes another version in front of a seal, and its key is the same."""
    sealed = DataKey(TENANT, 1, KEY).seal(Field.CARD_NUMBER, ROW, b"4111111111111111")
    relabelled = DataKey(TENANT, 2, KEY).header + sealed[5:]

    with pytest.raises(DoesNotOpen):
        DataKey(TENANT, 2, KEY).open(Field.CARD_NUMBER, ROW, relabelled)


@given(st.data())
def test_a_seal_that_was_touched_does_not_open(data: st.DataObject) -> None:
    sealed = DataKey(TENANT, 1, KEY).seal(Field.CARD_NUMBER, ROW, b"4111111111111111")
    place = data.draw(st.integers(0, len(sealed) - 1))
    flipped = sealed[place] ^ data.draw(st.integers(1, 255))
    touched = sealed[:place] + bytes([flipped]) + sealed[place + 1 :]

    with pytest.raises(DoesNotOpen):
        DataKey(TENANT, 1, KEY).open(Field.CARD_NUMBER, ROW, touched)


@given(st.integers(0, 48))
def test_a_seal_that_was_cut_does_not_open(length: int) -> None:
    sealed = DataKey(TENANT, 1, KEY).seal(Field.CARD_NUMBER, ROW, b"4111111111111111")[:length]

    with pytest.raises(DoesNotOpen):
        DataKey(TENANT, 1, KEY).open(Field.CARD_NUMBER, ROW, sealed)


def test_the_same_content_is_sealed_anew_each_time() -> None:
    key = DataKey(TENANT, 1, KEY)

    seals = {key.seal(Field.CARD_NUMBER, ROW, b"4111111111111111") for _ in range(1000)}

    assert len({sealed[5:17] for sealed in seals}) == 1000


def test_a_key_shows_nothing_of_itself() -> None:
    key = DataKey(uuid4(), 7, KEY)

    assert repr(key) == "DataKey(version=7)"
    assert not hasattr(key, "__dict__")
