"""What will go wrong and what will be ordered, all of it drawn from one seed before anything starts.

The same seed gives the same schedule. It does not give the same run: how processes interleave is the kernel's business.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

from tests.chaos.proxy import Fate, Toxic

Range = tuple[float, float]  # uniform in between
T = TypeVar("T")

# --- the line's weather ------------------------------------------------------------------------------------------------


class Weather(StrEnum):
    """How the line between gateway and bank is for a while."""

    CALM = "calm"
    FLAKY = "flaky"
    """A part of all requests meets a toxic."""
    SILENT = "silent"
    DOWN = "down"
    FLAPPING = "flapping"
    """Up and down again several times a second."""


WEATHER_S: dict[Weather, Range] = {
    Weather.CALM: (5, 15),
    Weather.FLAKY: (8, 20),
    Weather.SILENT: (3, 14),  # at times longer than the gateway waits for an answer
    Weather.DOWN: (3, 10),
    Weather.FLAPPING: (4, 8),
}
FLAP_S: Range = (0.1, 0.8)
SPOILED = 0.3  # of the requests in flaky weather
TOXIC_S: dict[Toxic, Range] = {
    Toxic.LATE_REQUEST: (0.1, 16),  # the gateway gives up after 12 s: some arrive after that
    Toxic.LATE_ANSWER: (0.1, 16),
    Toxic.RESET_BEFORE: (0, 0),
    Toxic.RESET_AFTER: (0, 0),
    Toxic.HANG_UP: (0.05, 2.5),  # the bank takes 0.1 to 2 s: before, while and after it acts
    Toxic.RESET_MID_BODY: (0, 0),
    Toxic.TRUNCATE: (0, 0),
    Toxic.DRIP: (0.001, 0.08),  # for each of some 250 bytes: up to 20 s
    Toxic.BLACK_HOLE: (0, 0),
}


@dataclass(frozen=True, slots=True)
class Period:
    """`weather` from `at_s` on, for `lasts_s`."""

    at_s: float
    lasts_s: float
    weather: Weather


def forecast(seed: int, lasts_s: float) -> list[Period]:
    """Weather for so long: calm and something else in turn."""
    chance = Random(f"weather {seed}")
    bad = _bag(chance, [each for each in Weather if each is not Weather.CALM])
    periods: list[Period] = []
    at_s = 0.0
    while at_s < lasts_s:
        weather = Weather.CALM if len(periods) % 2 == 0 else next(bad)
        period = Period(at_s, min(chance.uniform(*WEATHER_S[weather]), lasts_s - at_s), weather)
        periods.append(period)
        at_s += period.lasts_s
    return periods


def flaky_fate(chance: Random) -> Fate:
    """What meets one request in flaky weather."""
    if chance.random() >= SPOILED:
        return Fate()
    toxic = chance.choice(list(TOXIC_S))
    return Fate(toxic, chance.uniform(*TOXIC_S[toxic]))


# --- what befalls the processes ----------------------------------------------------------------------------------------


class Fault(StrEnum):
    """What is done to a process, or to the bank through its control address."""

    KILL_API = "kill api"
    KILL_WORKER = "kill worker"
    KILL_BANK = "kill bank"
    KILL_REDIS = "kill redis"
    CRASH_POSTGRES = "kill a postgres backend"
    """With kill -9: Postgres then ends all its backends and recovers."""
    FLUSH_REDIS = "flush redis"
    STOP_API = "stop api"
    STOP_WORKER = "stop worker"
    STOP_BANK = "stop bank"
    STOP_REDIS = "stop redis"
    STOP_POSTGRES_BACKEND = "stop a postgres backend"
    BANK_DATABASE_DOWN = "bank: database down"
    BANK_MISLEADING = "bank: misleading errors"
    BANK_UNREACHABLE = "bank: unreachable"
    BANK_SLOW_TO_STORE_KEYS = "bank: slow to store keys"
    BANK_SLOW_BEYOND_PATIENCE = "bank: slow to store keys beyond our patience"


FAULT_S: dict[Fault, Range] = {  # those that last
    Fault.STOP_API: (1, 26),  # at times beyond a lease (20 s): it wakes up and finds that others have taken over
    Fault.STOP_WORKER: (1, 26),
    Fault.STOP_BANK: (1, 14),
    Fault.STOP_REDIS: (1, 6),
    Fault.STOP_POSTGRES_BACKEND: (1, 8),
    Fault.BANK_DATABASE_DOWN: (2, 8),
    Fault.BANK_MISLEADING: (2, 6),
    Fault.BANK_UNREACHABLE: (2, 8),
    Fault.BANK_SLOW_TO_STORE_KEYS: (4, 10),
    Fault.BANK_SLOW_BEYOND_PATIENCE: (2, 5),
}
BANK_DIALS: dict[Fault, tuple[dict[str, object], dict[str, object]]] = {  # turned, and turned back
    Fault.BANK_DATABASE_DOWN: ({"database_down": True}, {"database_down": False}),
    Fault.BANK_MISLEADING: ({"misleading_errors": True}, {"misleading_errors": False}),
    Fault.BANK_UNREACHABLE: ({"unreachable": True}, {"unreachable": False}),
    # Together with hang-ups of the line, which come within 2.5 s.
    Fault.BANK_SLOW_TO_STORE_KEYS: ({"commit_to_key_delay_ms": 1500}, {"commit_to_key_delay_ms": 0}),
    # The gateway hangs up after 12 s, and the bank has acted within 2: between the two most keys get lost (contract §7.1).
    Fault.BANK_SLOW_BEYOND_PATIENCE: ({"commit_to_key_delay_ms": 11_500}, {"commit_to_key_delay_ms": 0}),
}
PAUSE_S: Range = (2, 6)  # between two faults
RECOVERY_S = 20.0  # between two crashes of Postgres: it is back after some seconds, and then everything else has to come back
FAULT_NEEDS_S = 1.0  # a fault begins this long before the end at the latest


@dataclass(frozen=True, slots=True)
class Event:
    """`fault` at `at_s`, for `lasts_s` if it is one that lasts. `which` in [0, 1) chooses among several processes."""

    at_s: float
    fault: Fault
    lasts_s: float
    which: float


def faults(seed: int, lasts_s: float) -> list[Event]:
    """What befalls the processes within so long. Each kind has had its turn before one comes again."""
    chance = Random(f"faults {seed}")
    bag = _bag(chance, list(Fault))
    events: list[Event] = []
    last_crash_s = -RECOVERY_S
    at_s = chance.uniform(*PAUSE_S)
    while at_s < lasts_s - FAULT_NEEDS_S:
        fault = next(bag)
        if fault is Fault.CRASH_POSTGRES:
            at_s = max(at_s, last_crash_s + RECOVERY_S)
            last_crash_s = at_s
        event = Event(at_s, fault, chance.uniform(*FAULT_S.get(fault, (0, 0))), chance.random())
        if at_s < lasts_s - FAULT_NEEDS_S:
            events.append(event)
        at_s += chance.uniform(*PAUSE_S)
    return events


# --- what is ordered ---------------------------------------------------------------------------------------------------


class Manners(StrEnum):
    """How a client goes about its requests."""

    PLAIN = "plain"
    HANGS_UP = "hangs up"
    """Leaves in the middle of each first request, and asks again with the same key."""
    TWICE = "twice at once"
    """Sends each first request twice at once, with the same key."""
    ACCEPTANCE = "acceptance"
    """Does not wait for the bank, and asks for the outcome later."""


ROADS: tuple[tuple[str, ...], ...] = ((), ("capture",), ("capture",), ("capture", "refund"), ("void",))
MANNERS = (Manners.PLAIN,) * 5 + (Manners.HANGS_UP,) * 2 + (Manners.TWICE,) * 2 + (Manners.ACCEPTANCE,) * 2
LEAVES_AFTER_S: Range = (0.005, 2.0)
AMOUNT_MINOR = (1, 20_000)
BAD_CARDS = 0.03  # of all orders


@dataclass(frozen=True, slots=True)
class Order:
    """One order and what becomes of it. `card` counts the good cards; None is one without money."""

    number: int
    at_s: float
    partner: int
    card: int | None
    amount_minor: int
    road: tuple[str, ...]
    manners: Manners
    leaves_after_s: float


def orders(seed: int, lasts_s: float, *, rate: float, partners: int, cards: int) -> Iterator[Order]:
    """Orders as they come in: `rate` a second on average, whether or not the earlier ones were served."""
    chance = Random(f"orders {seed}")
    number, at_s = 0, chance.expovariate(rate)
    while at_s < lasts_s:
        number += 1
        yield Order(
            number=number,
            at_s=at_s,
            partner=chance.randrange(partners),
            card=None if chance.random() < BAD_CARDS else chance.randrange(cards),
            amount_minor=chance.randint(*AMOUNT_MINOR),
            road=chance.choice(ROADS),
            manners=chance.choice(MANNERS),
            leaves_after_s=chance.uniform(*LEAVES_AFTER_S),
        )
        at_s += chance.expovariate(rate)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that a drill does, in seconds from its beginning."""

    lasts_s: float
    weather: list[Period]
    events: list[Event]
    orders: list[Order]
    chance: Random  # for what is drawn while it runs: the fate of a request, the pauses of a client


def schedule(seed: int, lasts_s: float, *, rate: float, partners: int, cards: int) -> Schedule:
    """The schedule of this seed."""
    return Schedule(
        lasts_s,
        forecast(seed, lasts_s),
        faults(seed, lasts_s),
        list(orders(seed, lasts_s, rate=rate, partners=partners, cards=cards)),
        Random(f"meanwhile {seed}"),
    )


def _bag(chance: Random, things: list[T]) -> Iterator[T]:
    """Each of them once, in random order, again and again."""
    while True:
        yield from chance.sample(things, len(things))
