"""What is played in one stretch: stories of clients, and what happens to the world meanwhile. All of it comes from a seed, as data.

A plan can be made smaller: without a story, a step or an event the rest keeps its names, and with them its chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from domain.payment import Verb
from tests.simulation.bank_line import FORGOTTEN, LOST
from tests.simulation.stage import DIE, STILL
from tests.simulation.staged_parts import AWAY, BROKEN

PARTNERS = 3
APIS, WORKERS = 2, 2
STRETCH_S = 40.0  # of virtual time, in which stories begin and events happen
DAY_S = 86_400.0


@dataclass(frozen=True)
class Step:
    """One operation: a client's request, driven to its end. `number` is its name."""

    number: int
    verb: Verb
    key: str
    after_s: float  # since the step before ended, or began if this one is `at_once`
    at_once: bool = False
    accepts: bool = False  # is content with ACCEPTANCE
    other_body: bool = False
    patience_s: float | None = None  # hangs up then, and asks again
    cancels: bool = False  # and its server notices

    def __str__(self) -> str:
        return f"op {self.number}"


@dataclass(frozen=True)
class Story:
    """An order of a partner's, and what its client does, step by step."""

    partner: int
    order: str
    card: str
    amount: int
    begins_s: float
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Event:
    """Something that happens to the world at a moment, `whom` being a process."""

    at_s: float
    what: str
    for_s: float = 0.0
    whom: str = ""

    def __str__(self) -> str:
        return " ".join([self.what, *([self.whom] if self.whom else []), *([f"({self.for_s:.1f} s)"] if self.for_s else [])])


@dataclass(frozen=True)
class Plan:
    """One stretch. `harshness` scales how often a point brings bad luck; some kinds of it are `favoured`, see luck.py."""

    seed: str
    stories: tuple[Story, ...]
    events: tuple[Event, ...]
    harshness: float
    favoured: frozenset[str]
    reconciles: bool

    @property
    def operations(self) -> int:
        return sum(len(story.steps) for story in self.stories)

    def with_steps(self, kept: set[int]) -> "Plan":
        """Without all other steps, and without stories that have none left."""
        stories = (replace(story, steps=tuple(step for step in story.steps if step.number in kept)) for story in self.stories)
        return replace(self, stories=tuple(story for story in stories if story.steps))


# Cards: `rich` has money for everything, `poor` for one hold, the others are the contract's, and are declined.
CARDS = ("rich",) * 12 + ("poor",) * 3 + ("empty", "expired", "wrong cvv")


# A bug often needs the same two misfortunes one after the other, which is rare when all are equally rare. So each stretch has its
# own few favourites (swarm testing: Groce et al., ISSTA 2012).
KINDS = (STILL, DIE, AWAY, BROKEN, FORGOTTEN, LOST, "hang_up_window", "500_before_effect", "hang_after_effect")


def make_plan(seed: str, operations: int) -> Plan:
    """A stretch of so many operations."""
    chance = Random(seed)
    stories: list[Story] = []
    number = 0
    while number < operations:
        steps = tuple(_steps(chance, number, operations - number))
        number += len(steps)
        stories.append(
            Story(
                partner=chance.randrange(PARTNERS),
                # Sometimes another partner's order has the same name, and its keys too: see `_steps`.
                order=f"order {number if chance.random() < 0.9 else 'of everybody'}" if len(steps) > 1 else f"order {number}",
                card=chance.choice(CARDS),
                amount=chance.randrange(1, 5000),
                begins_s=chance.random() * STRETCH_S,
                steps=steps,
            )
        )
    events = tuple(sorted(_events(chance), key=lambda event: event.at_s))
    return Plan(
        seed,
        tuple(stories),
        events,
        harshness=chance.choice((0.0, 0.5, 1.0, 1.0, 2.0, 3.0)),
        favoured=frozenset(chance.sample(KINDS, 3)),
        reconciles=chance.random() < 0.3,
    )


def _steps(chance: Random, first: int, limit: int) -> Iterator[Step]:
    """An authorization and what may follow it, sensible or not."""
    verbs = [Verb.AUTHORIZE]
    while chance.random() < 0.66 and len(verbs) < min(limit, 6):
        verbs.append(_next_verb(chance, verbs[-1]))
    earlier: list[Step] = []
    for place, verb in enumerate(verbs):
        likes = [step for step in earlier if step.verb is verb]
        repeats = bool(likes) and chance.random() < 0.5
        step = Step(
            number=first + place,
            verb=verb,
            key=chance.choice(likes).key if repeats else f"key {first + place}" if chance.random() < 0.9 else f"key {place}",
            after_s=chance.choice((0.0, 0.05, 0.5, 3.0, 12.0)) * chance.random(),
            at_once=place > 0 and chance.random() < 0.25,
            accepts=verb is Verb.AUTHORIZE and chance.random() < 0.2,
            other_body=repeats and chance.random() < 0.2,
            patience_s=chance.random() * 4 if chance.random() < 0.15 else None,
            cancels=chance.random() < 0.5,
        )
        earlier.append(step)
        yield step


def _next_verb(chance: Random, last: Verb) -> Verb:
    match last:
        case Verb.AUTHORIZE:
            return chance.choice((Verb.CAPTURE,) * 6 + (Verb.VOID,) * 3 + (Verb.AUTHORIZE,) * 3 + (Verb.REFUND,))
        case Verb.CAPTURE:
            return chance.choice((Verb.REFUND,) * 5 + (Verb.CAPTURE,) * 2 + (Verb.VOID,) * 2 + (Verb.AUTHORIZE,))
        case Verb.VOID:
            return chance.choice((Verb.AUTHORIZE,) * 3 + (Verb.CAPTURE, Verb.VOID))
        case Verb.REFUND:
            return chance.choice((Verb.AUTHORIZE,) * 2 + (Verb.REFUND,) * 2 + (Verb.VOID,))


PROCESSES = tuple(f"api {number}" for number in range(APIS)) + tuple(f"worker {number}" for number in range(WORKERS))


def _events(chance: Random) -> Iterator[Event]:
    for what, likelihood, shortest_s, longest_s in (
        ("the bank is away", 0.15, 0.5, 20.0),
        ("the bank is away", 0.02, 300.0, 300.0),
        ("the bank's database is down", 0.08, 0.5, 20.0),
        ("the bank says not found", 0.05, 0.5, 10.0),
        ("our database is away", 0.10, 0.2, 8.0),
        ("holds run out", 0.10, 0.0, 0.0),
        ("days pass", 0.05, 0.9 * DAY_S, 1.2 * DAY_S),  # the bank forgets keys
        ("days pass", 0.05, 7 * DAY_S, 8 * DAY_S),  # holds run out
        ("weeks pass", 0.04, 36 * DAY_S, 36 * DAY_S),  # we forget keys
    ):
        if chance.random() < likelihood:
            yield Event(chance.random() * STRETCH_S, what, chance.uniform(shortest_s, longest_s))
    for what, likelihood, shortest_s, longest_s in (
        ("dies", 0.12, 0.0, 0.0),
        ("is slow", 0.15, 1.0, 45.0),
        ("has a wrong clock", 0.08, -40.0, 40.0),
        ("is told to stop", 0.06, 0.0, 0.0),
    ):
        for process in PROCESSES:
            if chance.random() < likelihood:
                yield Event(chance.random() * STRETCH_S, what, chance.uniform(shortest_s, longest_s), process)
