"""How an endpoint is doing, and whether it is called: a circuit breaker for each, kept in its row, so that all workers know.

CLOSED ──(most requests fail)──► OPEN ──(pause over)──► HALF_OPEN ──(probe succeeds)──► CLOSED
                                  ▲                         │
                                  └─────(probe fails)───────┘   the tenth trip in a row disables the endpoint

An open breaker delays deliveries. It drops none and spends none of their attempts: only the probe is one.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

WINDOW_S = 300  # what is counted: five minutes tell an outage from a hiccup
SLOT_S = 30  # of the window; ten counters instead of a list of all requests
MIN_REQUESTS = 10  # fewer say nothing about a rate
FAILURE_SHARE = 0.7  # a receiver that refuses one kind of event for good still has the others
# Pauses after each trip in a row. Their sum, 27 hours, is what a receiver may be away before it is disabled.
OPEN_FOR_S = (60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200)
MAX_TRIPS = len(OPEN_FOR_S) + 1
PROBE_S = 60.0  # for a probe to report; a worker that died with it must not leave the endpoint waiting


class Circuit(StrEnum):
    """Whether an endpoint is called; the value is its name in the schema."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


@dataclass(frozen=True, slots=True)
class Slot:
    """What was counted in one piece of the window; `number` is that of the piece, counted from 1970."""

    number: int
    requests: int
    failures: int


@dataclass(frozen=True, slots=True)
class Health:
    """`open_until` is None while the breaker is closed; `is_probing`: one delivery is out to find out, until then."""

    slots: tuple[Slot, ...] = ()
    trips: int = 0  # in a row
    open_until: datetime | None = None
    is_probing: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether the endpoint is to be disabled."""
        return self.trips >= MAX_TRIPS


def circuit(health: Health, now: datetime) -> Circuit:
    """Where the breaker stands."""
    if health.open_until is None:
        return Circuit.CLOSED
    return Circuit.OPEN if now < health.open_until and not health.is_probing else Circuit.HALF_OPEN


def probing(health: Health, now: datetime) -> Health | None:
    """The health with a probe on its way; None where none may go: it is too early, or one is out already."""
    if health.open_until is None or now < health.open_until:
        return None
    return replace(health, is_probing=True, open_until=now + timedelta(seconds=PROBE_S))


def noted(health: Health, *, succeeded: int, failed: int, now: datetime) -> Health:
    """After so many requests have come back."""
    if health.open_until is None:
        slots = _counted(health.slots, succeeded + failed, failed, int(now.timestamp()) // SLOT_S)
        requests, failures = sum(each.requests for each in slots), sum(each.failures for each in slots)
        if requests >= MIN_REQUESTS and failures >= FAILURE_SHARE * requests:
            return _tripped(health, now)
        return replace(health, slots=slots)
    if succeeded:
        return Health()
    # While it is open, what was on its way when it opened comes back: that it failed is no news.
    return _tripped(health, now) if failed and health.is_probing else health


def _tripped(health: Health, now: datetime) -> Health:
    trips = health.trips + 1
    pause_s = OPEN_FOR_S[min(trips, len(OPEN_FOR_S)) - 1]
    return Health(trips=trips, open_until=now + timedelta(seconds=pause_s))


def _counted(slots: tuple[Slot, ...], requests: int, failures: int, number: int) -> tuple[Slot, ...]:
    last = slots[-1] if slots and slots[-1].number >= number else Slot(number, 0, 0)
    before = slots[:-1] if slots and slots[-1] is last else slots
    kept = tuple(each for each in before if each.number > last.number - WINDOW_S // SLOT_S)
    return (*kept, Slot(last.number, last.requests + requests, last.failures + failures))


def slots_to_document(health: Health) -> list[list[int]]:
    """The window as JSON."""
    return [[each.number, each.requests, each.failures] for each in health.slots]


def slots_from_document(document: Any) -> tuple[Slot, ...]:
    """The inverse of `slots_to_document`."""
    return tuple(Slot(*each) for each in document)
