"""When a webhook is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.webhook_schedule import JITTER, MAX_ATTEMPTS, MAX_RETRY_AFTER_S, PAUSES_S, pause_s, read_retry_after

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_the_schedule_is_the_stated_one() -> None:
    pauses = [pause_s(attempts, 0.0) for attempts in range(1, MAX_ATTEMPTS)]

    assert PAUSES_S[0] == 0
    assert pauses == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


def test_after_the_last_attempt_there_is_none() -> None:
    assert pause_s(MAX_ATTEMPTS, 0.0) is None
    assert pause_s(MAX_ATTEMPTS, 0.0, retry_after_s=5) is None


@given(attempts=st.integers(1, MAX_ATTEMPTS - 1), random=st.floats(0, 1, exclude_max=True))
def test_jitter_makes_a_pause_longer_and_never_shorter(attempts: int, random: float) -> None:
    pause = pause_s(attempts, random)

    assert pause is not None
    assert PAUSES_S[attempts] <= pause <= PAUSES_S[attempts] * (1 + JITTER)


def test_retry_after_is_waited_for_if_it_is_longer() -> None:
    assert pause_s(1, 0.0, retry_after_s=60) == 60
    assert pause_s(2, 0.0, retry_after_s=60) == 300


def test_retry_after_is_capped() -> None:
    assert pause_s(1, 0.0, retry_after_s=10**9) == MAX_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("9" * 5000, MAX_RETRY_AFTER_S),
        ("Mon, 01 Jun 2026 12:02:00 GMT", 120),
        ("Mon, 01 Jun 2026 12:02:00 -0000", 120),
        ("Mon, 01 Jun 2026 11:00:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", MAX_RETRY_AFTER_S),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, NOW) == seconds


@given(st.text())
def test_whatever_a_receiver_writes_is_read_or_ignored(text: str) -> None:
    found = read_retry_after(text, NOW)

    assert found is None or 0 <= found <= timedelta(days=1).total_seconds()
