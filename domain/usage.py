"""Usage: what a partner has used, by key and day (UTC)."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

WARN_AT = (100, 80)  # percent of a quota, the highest first


class Counter(StrEnum):
    """What is counted; the value is its name in the counters."""

    REQUESTS = "requests"  # that were admitted
    COST = "cost"  # points that they were charged
    ERRORS = "errors"  # answers that had errors
    PAYMENTS = "payments"  # that were accepted; a repetition is none
    EVENTS = "events"  # that a stream brought


@dataclass(frozen=True, slots=True)
class Figures:
    """How much of each."""

    requests: int = 0
    cost: int = 0
    errors: int = 0
    payments: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """What one key used on one day."""

    day: date
    key_id: UUID
    figures: Figures


class Grouping(StrEnum):
    """By what usage is added up."""

    DAY = "DAY"
    MONTH = "MONTH"
    KEY = "KEY"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a report: its first day and its key, where it is grouped by such."""

    since: date | None
    key_id: UUID | None
    figures: Figures


def quota_reached(used: int, quota: int) -> int | None:
    """Which mark of WARN_AT was reached; None: none."""
    return next((percent for percent in WARN_AT if used * 100 >= quota * percent), None)
