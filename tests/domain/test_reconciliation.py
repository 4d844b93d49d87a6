"""How a run goes from page to page, what it counts, and where the next one begins."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from domain.reconciliation import KEYS_KEPT, OVERLAP, Counts, Phase, Place, Run, Trigger, look_back_to
from tests.domain.examples import NOW

HOUR = timedelta(hours=1)
HERE = Place(UUID(int=5), NOW)
RUN = Run(
    id=UUID(int=1),
    trigger=Trigger.SCHEDULE,
    started_at=NOW,
    since=NOW - HOUR,
    lease_until=NOW,
    lease_token=UUID(int=2),
)


def test_a_page_moves_the_run_on_and_adds_to_its_counts():
    after = RUN.past_page(HERE, Counts(agreed=3), None, NOW).past_page(HERE, Counts(1, 2, 3, 4), None, NOW)

    assert after == replace(RUN, place=HERE, counts=Counts(4, 2, 3, 4))
    assert after.counts.checked == 13


def test_the_end_of_a_phase_begins_the_next_one_and_the_last_one_ends_the_run():
    recent = RUN.past_page(HERE, Counts(), None, NOW).past_page(None, Counts(), None, NOW)
    done = recent.past_page(HERE, Counts(), None, NOW).past_page(None, Counts(agreed=1), None, NOW + HOUR)

    assert (recent.phase, recent.place, recent.finished_at) == (Phase.RECENT, None, None)
    assert (done.phase, done.place, done.finished_at, done.counts) == (Phase.DONE, None, NOW + HOUR, Counts(agreed=1))


def test_the_oldest_unanswered_operation_is_remembered():
    early, late = NOW - 2 * HOUR, NOW - HOUR

    run = RUN.past_page(HERE, Counts(), late, NOW).past_page(HERE, Counts(), early, NOW).past_page(HERE, Counts(), late, NOW)

    assert run.past_page(None, Counts(), None, NOW).unanswered_since == early


def test_the_first_run_looks_back_as_far_as_the_bank_keeps_keys():
    assert look_back_to(NOW, None) == NOW - KEYS_KEPT


def test_the_next_run_looks_back_to_the_start_of_the_last_one_and_a_little_further():
    assert look_back_to(NOW + HOUR, RUN) == NOW - OVERLAP


def test_it_goes_back_to_what_was_left_unanswered():
    left = replace(RUN, unanswered_since=NOW - 3 * HOUR)

    assert look_back_to(NOW + HOUR, left) == NOW - 3 * HOUR - OVERLAP


def test_nobody_looks_for_keys_that_the_bank_has_forgotten():
    left = replace(RUN, unanswered_since=NOW - 30 * HOUR)

    assert look_back_to(NOW + HOUR, left) == NOW + HOUR - KEYS_KEPT
