"""A run of the reconciliation: one pass over all payments of one partner that could differ from the bank's books.

AT_REST ──► RECENT ──► DONE

AT_REST  payments that nothing is changing: does the hold that they rest on still stand as they say?
RECENT   operations that were closed since the last run: has the bank kept the same reference under the same key?
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.discrepancy import Discrepancy, Remedy

KEYS_KEPT = timedelta(hours=24)  # the bank keeps a key for about so long (contract §5); older operations can't be looked up
OVERLAP = timedelta(
    minutes=5
)  # an operation is closed by its process's clock and seen at its commit, a lease (20 s) later at most
REPORTS_KEPT = timedelta(days=90)  # what a quarter's audit looks at; the audit log itself is kept


class Trigger(StrEnum):
    """Who began a run."""

    SCHEDULE = "SCHEDULE"
    OPERATOR = "OPERATOR"


class Phase(StrEnum):
    """How far a run is."""

    AT_REST = "AT_REST"
    RECENT = "RECENT"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Counts:
    """What came out of comparing: each thing that was checked agreed, was repaired, was flagged, or is unanswered.

    `unanswered`: the bank had no clear answer, or the payment changed meanwhile. The next run looks again.
    """

    agreed: int = 0
    repaired: int = 0
    flagged: int = 0
    unanswered: int = 0

    @property
    def checked(self) -> int:
        return self.agreed + self.repaired + self.flagged + self.unanswered

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.agreed + other.agreed,
            self.repaired + other.repaired,
            self.flagged + other.flagged,
            self.unanswered + other.unanswered,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is in its phase: right behind this row. `at` orders operations; payments are in the order of their ids."""

    id: UUID
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One pass. Whoever holds its lease goes on with it, from its place; `unanswered_since` is for the next run to begin from."""

    id: UUID
    trigger: Trigger
    started_at: datetime
    since: datetime  # RECENT looks at operations that were closed after this, up to the start
    lease_until: datetime
    lease_token: UUID
    phase: Phase = Phase.AT_REST
    place: Place | None = None
    counts: Counts = Counts()
    unanswered_since: datetime | None = None  # when the oldest operation that is unanswered was closed
    finished_at: datetime | None = None

    def past_page(self, last: Place | None, counts: Counts, unanswered_since: datetime | None, at: datetime) -> "Run":
        """The run after a page that ended at `last`, or at the end of its phase (None)."""
        times = [each for each in (self.unanswered_since, unanswered_since) if each is not None]
        run = replace(self, counts=self.counts + counts, unanswered_since=min(times, default=None), place=last)
        if last is not None:
            return run
        if self.phase is Phase.AT_REST:
            return replace(run, phase=Phase.RECENT)
        return replace(run, phase=Phase.DONE, finished_at=at)


@dataclass(frozen=True, slots=True)
class ReportLine:
    """A discrepancy as a run reports it."""

    run_id: UUID
    payment_id: UUID
    discrepancy: Discrepancy
    remedy: Remedy
    found_at: datetime


def look_back_to(now: datetime, previous: Run | None) -> datetime:
    """Since when closed operations have to be looked up by a run that begins now, after `previous` was the last one finished."""
    oldest = now - KEYS_KEPT
    if previous is None:
        return oldest
    open_since = [each for each in (previous.unanswered_since, previous.started_at) if each is not None]
    return max(oldest, min(open_since) - OVERLAP)
