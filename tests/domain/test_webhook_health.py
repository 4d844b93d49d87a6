"""The breaker of an endpoint, by a clock in hand."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.webhook_health import (
    MAX_TRIPS,
    MIN_REQUESTS,
    OPEN_FOR_S,
    PROBE_S,
    WINDOW_S,
    Circuit,
    Health,
    circuit,
    noted,
    probing,
    slots_from_document,
    slots_to_document,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def tripped() -> Health:
    return noted(Health(), succeeded=0, failed=MIN_REQUESTS, now=NOW)


def test_seven_failures_of_ten_open_it() -> None:
    health = noted(Health(), succeeded=3, failed=7, now=NOW)

    assert circuit(health, NOW) is Circuit.OPEN
    assert health.trips == 1


def test_six_of_ten_do_not() -> None:
    assert circuit(noted(Health(), succeeded=4, failed=6, now=NOW), NOW) is Circuit.CLOSED


def test_nine_requests_say_nothing() -> None:
    assert circuit(noted(Health(), succeeded=0, failed=MIN_REQUESTS - 1, now=NOW), NOW) is Circuit.CLOSED


def test_failures_add_up_over_five_minutes() -> None:
    health = Health()
    for number in range(MIN_REQUESTS):
        assert circuit(health, later(number * 29)) is Circuit.CLOSED
        health = noted(health, succeeded=0, failed=1, now=later(number * 29))

    assert circuit(health, later(300)) is Circuit.OPEN


def test_what_is_older_than_five_minutes_is_forgotten() -> None:
    health = noted(Health(), succeeded=0, failed=MIN_REQUESTS - 1, now=NOW)

    health = noted(health, succeeded=0, failed=1, now=later(WINDOW_S))

    assert circuit(health, later(WINDOW_S)) is Circuit.CLOSED


def test_after_its_pause_it_lets_one_probe_through() -> None:
    health = tripped()

    assert probing(health, later(OPEN_FOR_S[0] - 1)) is None
    first = probing(health, later(OPEN_FOR_S[0]))
    assert first is not None
    assert circuit(first, later(OPEN_FOR_S[0])) is Circuit.HALF_OPEN
    assert probing(first, later(OPEN_FOR_S[0])) is None, "one is out"


def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    first = probing(tripped(), later(OPEN_FOR_S[0]))
    assert first is not None

    assert probing(first, later(OPEN_FOR_S[0] + PROBE_S)) is not None


def test_a_probe_that_succeeds_closes_it_and_forgives_the_trips() -> None:
    probe = probing(tripped(), later(OPEN_FOR_S[0]))
    assert probe is not None

    assert noted(probe, succeeded=1, failed=0, now=later(61)) == Health()


def test_a_probe_that_fails_opens_it_for_longer() -> None:
    probe = probing(tripped(), later(OPEN_FOR_S[0]))
    assert probe is not None

    health = noted(probe, succeeded=0, failed=1, now=later(61))

    assert (health.trips, health.open_until) == (2, later(61 + OPEN_FOR_S[1]))


def test_what_was_on_its_way_when_it_opened_is_no_trip() -> None:
    assert noted(tripped(), succeeded=0, failed=50, now=later(5)) == tripped()


def test_ten_trips_in_a_row_lose_it() -> None:
    health, now, spent = tripped(), NOW, timedelta()
    while not health.is_lost:
        assert health.open_until is not None
        spent += health.open_until - now
        now = health.open_until
        probe = probing(health, now)
        assert probe is not None
        health = noted(probe, succeeded=0, failed=1, now=now)

    assert health.trips == MAX_TRIPS == 10
    assert spent == timedelta(seconds=sum(OPEN_FOR_S)) > timedelta(days=1)


def test_a_clock_that_goes_back_counts_on() -> None:
    health = noted(Health(), succeeded=0, failed=5, now=later(60))

    health = noted(health, succeeded=0, failed=5, now=NOW)

    assert circuit(health, NOW) is Circuit.OPEN


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 120)), max_size=30))
def test_the_window_is_bounded_and_survives_the_table(counts: list[tuple[int, int, int]]) -> None:
    health, now = Health(), NOW
    for succeeded, failed, seconds in counts:
        now += timedelta(seconds=seconds)
        health = noted(health, succeeded=succeeded, failed=failed, now=now)

        assert len(health.slots) <= 10
        assert slots_from_document(slots_to_document(health)) == health.slots
