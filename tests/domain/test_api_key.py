"""API keys: a typing error is told without a look at the database."""

import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.api_key import (
    ALPHABET,
    CHECKSUM_LENGTH,
    PREFIX_LENGTH,
    PREFIX_OF,
    SECRET_LENGTH,
    hash_api_key,
    is_well_formed,
    new_api_key,
)
from domain.partner import Mode

LENGTH = PREFIX_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
randomness = st.integers(0, 2**256 - 1)
keys = st.builds(new_api_key, st.sampled_from(Mode), randomness)
places = st.integers(0, LENGTH - 1)


@given(keys)
def test_a_new_key_is_well_formed(key: str) -> None:
    assert is_well_formed(key)
    assert len(key) == LENGTH == 46
    assert set(key[PREFIX_LENGTH:]) <= set(ALPHABET)


@given(keys, places, st.sampled_from(ALPHABET + "_- é") | st.characters())
def test_any_single_wrong_character_is_noticed(key: str, place: int, character: str) -> None:
    assume(key[place] != character)

    assert not is_well_formed(key[:place] + character + key[place + 1 :])


@given(keys, st.integers(0, LENGTH - 2))
def test_neighbours_that_changed_places_are_noticed(key: str, place: int) -> None:
    assume(key[place] != key[place + 1])

    assert not is_well_formed(key[:place] + key[place + 1] + key[place] + key[place + 2 :])


def test_every_single_typing_error_in_one_key_is_noticed() -> None:
    """All of them, not a sample."""
    key = new_api_key(Mode.LIVE, 2**255 + 987654321)

    taken = [
        (place, character)
        for place in range(LENGTH)
        for character in ALPHABET + "_"
        if character != key[place] and is_well_formed(key[:place] + character + key[place + 1 :])
    ]
    swapped = [
        place
        for place in range(LENGTH - 1)
        if key[place] != key[place + 1] and is_well_formed(key[:place] + key[place + 1] + key[place] + key[place + 2 :])
    ]

    assert taken == swapped == []


@given(keys, places)
def test_a_lost_or_a_doubled_character_is_noticed(key: str, place: int) -> None:
    assert not is_well_formed(key[:place] + key[place + 1 :])
    assert not is_well_formed(key[:place] + key[place] + key[place:])


@pytest.mark.parametrize(
    "text", ["", "gp_live_", "gp_test_" + "0" * 38, "Bearer", "gp_live_" + "0" * 38, "\ud800" * 46, "٠" * 46]
)
def test_anything_else_is_no_key(text: str) -> None:
    assert not is_well_formed(text)


@given(st.text(min_size=40, max_size=50))
def test_no_text_makes_the_check_fail(text: str) -> None:
    assert is_well_formed(text) is False
    assert is_well_formed(PREFIX_OF[Mode.TEST] + text[: LENGTH - PREFIX_LENGTH]) in (False, True)


@given(st.integers(0, 62**SECRET_LENGTH - 1), st.integers(0, 62**SECRET_LENGTH - 1))
def test_every_bit_of_chance_that_a_key_can_hold_is_in_it(one: int, other: int) -> None:
    assume(one != other)

    assert new_api_key(Mode.LIVE, one) != new_api_key(Mode.LIVE, other)


@given(keys)
def test_what_is_stored_is_a_keyed_hash(key: str) -> None:
    stored = hash_api_key(key, b"pepper")

    assert stored == hmac.new(b"pepper", key.encode(), hashlib.sha256).digest()
    assert stored != hash_api_key(key, b"salt")
