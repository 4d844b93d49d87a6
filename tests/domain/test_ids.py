"""Public ids: one spelling each, ordered by time, and nothing but ours is taken."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.ids import ALPHABET, BODY_LENGTH, IdKind, decode_id, decode_id_of, encode_id, time_ordered_uuid
from tests.domain.examples import moments, uuids

kinds = st.sampled_from(IdKind)
LARGEST = "7" + "z" * 25  # 128 ones
ZERO = "0" * 26


@given(kinds, uuids)
@example(IdKind.PAYMENT, UUID(int=0))
@example(IdKind.PAYMENT, UUID(int=2**128 - 1))
def test_an_id_comes_back_as_it_was(kind: IdKind, value: UUID) -> None:
    assert decode_id(encode_id(kind, value)) == (kind, value)


@given(kinds, uuids)
def test_an_id_is_its_prefix_and_26_characters_that_a_double_click_selects(kind: IdKind, value: UUID) -> None:
    text = encode_id(kind, value)

    assert text.startswith(f"{kind}_")
    assert len(text) == len(kind) + 1 + BODY_LENGTH
    assert set(text.rpartition("_")[2]) <= set(ALPHABET)


@given(uuids, st.integers(0, 29), st.characters())
def test_there_is_exactly_one_spelling_of_an_id(value: UUID, place: int, character: str) -> None:
    """Upper case, look-alikes and numbers beyond 128 bits are no ids."""
    text = encode_id(IdKind.PAYMENT, value)
    assume(text[place] != character)

    other = decode_id(text[:place] + character + text[place + 1 :])

    assert other is None or encode_id(*other) == text[:place] + character + text[place + 1 :]
    assert other != (IdKind.PAYMENT, value)


@given(st.text())
def test_whatever_is_taken_is_written_the_same_way(text: str) -> None:
    decoded = decode_id(text)

    assert decoded is None or encode_id(*decoded) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_",
        "pay",
        "pay_",
        ZERO,
        f"_{ZERO}",
        f"pay{ZERO}",
        f"pay-{ZERO}",
        f"pay__{ZERO}",
        f"PAY_{ZERO}",
        f" pay_{ZERO}",
        f"pay_{ZERO} ",
        f"pay_{ZERO}\n",
        f"pay_{ZERO[1:]}",
        f"pay_{ZERO}0",
        f"xyz_{ZERO}",
        f"pay_pay_{ZERO}",
        "pay_" + "8" + "0" * 25,  # 2^128
        "pay_" + "z" * 26,
        "pay_" + LARGEST.upper(),
        "pay_" + ZERO[1:] + "i",
        "pay_" + ZERO[1:] + "l",
        "pay_" + ZERO[1:] + "o",
        "pay_" + ZERO[1:] + "u",
        "pay_" + ZERO[1:] + "٠",  # a zero, but an Arabic one
        "pay_" + ZERO[1:] + "\ud800",
        str(UUID(int=5)),
    ],
)
def test_anything_malformed_is_no_id(text: str) -> None:
    assert decode_id(text) is None


def test_the_largest_id_is_taken() -> None:
    assert decode_id(f"evt_{LARGEST}") == (IdKind.EVENT, UUID(int=2**128 - 1))


@given(kinds, kinds, uuids)
def test_an_id_of_one_kind_is_none_of_another(kind: IdKind, other: IdKind, value: UUID) -> None:
    found = decode_id_of(other, encode_id(kind, value))

    assert found == (value if kind is other else None)


@given(moments, st.timedeltas(timedelta(milliseconds=1), timedelta(days=9)), st.integers(0), st.integers(0))
def test_ids_are_ordered_by_time_in_both_spellings(now: datetime, gap: timedelta, early: int, late: int) -> None:
    first, second = time_ordered_uuid(now, early), time_ordered_uuid(now + gap, late)

    assert first < second
    assert encode_id(IdKind.PAYMENT, first) < encode_id(IdKind.PAYMENT, second)


@given(moments, st.integers(0, 2**74 - 1))
def test_an_inner_id_is_a_uuid_of_version_7_with_the_millisecond_in_front(now: datetime, randomness: int) -> None:
    value = time_ordered_uuid(now, randomness)

    assert (value.version, value.variant) == (7, "specified in RFC 4122")
    assert value.int >> 80 == int(now.timestamp() * 1000)


@given(st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_all_74_random_bits_tell_ids_apart(one: int, other: int) -> None:
    assume(one != other)
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert time_ordered_uuid(now, one) != time_ordered_uuid(now, other)


def test_a_clock_before_1970_is_a_bug_of_ours() -> None:
    with pytest.raises(AssertionError, match="clock"):
        time_ordered_uuid(datetime(1969, 12, 31, tzinfo=UTC), 0)
