"""All schedules of a small case: a tree of choices, walked depth first by playing each branch from the start.

One payment and two runners: a request and the worker that takes over from it, or two workers in a row. At each point there is a
choice of who goes on, who dies, what the bank or its line does, and whether the first runner's lease runs out now. What is bounded:
deaths and troubles to a number each, and one lease that runs out, which is what makes a second runner.

What is left out, and why it loses nothing:
- Between a commit and the next point of the same runner nothing happens that others could see, so there is no turn there; dying
  there is dying at the runner's next point. The same holds between the arrival of an answer and what is done with it.
- The worker's look for tenants with work is a hint that the lease then checks, so its moment makes no difference; nor does the
  moment of a look for the client's sake, or at the backlog.
- Two neighbouring steps of different runners that touch different things, one our database and the other the bank, lead to the
  same state in either order: one order is walked. These are Godefroid's sleep sets (Partial-Order Methods, LNCS 1032).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.simulation.stage import DIE, GO, Point, Process

SILENT = ("committed", "the bank answers", "the answer is lost", "begin start_due ", "begin as_it_stands", "begin is_full")
BEFORE_THE_LEASE = ("begin begin_", "begin start_due_of")
RUN_OUT = "the lease runs out"


class Turn(NamedTuple):
    """Something that can happen next. The bank's work for a runner counts as that runner's."""

    runner: str
    what: str
    nth: int
    luck: str

    def commutes_with(self, other: "Turn") -> bool:
        """Whether their order makes no difference. A death is seen by nobody but the bank that works for the dead."""
        if self.runner == other.runner or RUN_OUT in (self.what, other.what):
            return False
        if GO not in (self.luck, other.luck):  # there may be no more than one
            return False
        return DIE in (self.luck, other.luck) or self.what.startswith("begin ") != other.what.startswith("begin ")


@dataclass(eq=False)
class Branch:
    """A director. `given` are the choices to repeat, the first alternative is taken after them; `taken` is what came of it.

    `first` is the runner whose lease may run out, `take_over` what happens then, `give_up` what happens when all that can follow
    is known from another branch: then the branch is `known`, and its end means nothing.
    """

    given: Sequence[int]
    troubles: Sequence[str]
    deaths_left: int
    troubles_left: int
    reduced: bool = True  # whether neighbours that commute are walked in one order only
    taken: list[tuple[int, int]] = field(default_factory=list)
    first: Process | None = None
    take_over: Callable[[], None] | None = None
    give_up: Callable[[], None] = lambda: None
    closed: bool = False  # from now on nothing goes wrong, and nothing is chosen
    known: bool = False
    calm: bool = True  # nothing has gone wrong in it
    asleep: set[Turn] = field(default_factory=set)

    def choose(self, points: Sequence[Point]) -> tuple[Point, str] | None:
        for point in points:
            if self.closed or f"{point.what} ".startswith(SILENT):
                return point, GO
        turns = {turn: point for turn, point in self._turns(points) if turn not in self.asleep}
        if not turns:
            self.known = self.closed = True
            self.give_up()
            return None
        choices = list(turns)
        number = self._take(len(choices))
        turn = choices[number]
        if self.reduced:
            self.asleep = {each for each in {*self.asleep, *choices[:number]} if each.commutes_with(turn)}
        if turn.what == RUN_OUT:
            self.run_out(calm=False)
            return None
        self.calm &= turn.luck == GO
        self.deaths_left -= turn.luck == DIE
        self.troubles_left -= turn.luck not in (GO, DIE)
        return turns[turn], turn.luck

    def run_out(self, *, calm: bool) -> None:
        """The first runner's lease does, and the second one begins; once. `calm`: there is nothing for it to take over."""
        take_over, self.take_over = self.take_over, None
        if take_over is not None:
            self.calm = calm
            take_over()

    def dies_at(self, *_: object) -> bool:
        return False  # in a transaction it is dying before it

    def _take(self, count: int) -> int:
        number = self.given[len(self.taken)] if len(self.taken) < len(self.given) else 0
        self.taken.append((number, count))
        return number

    def _turns(self, points: Sequence[Point]) -> Iterator[tuple[Turn, Point]]:
        for point in points:
            lucks = [GO]
            if self.deaths_left and not point.victim.dead:
                lucks.append(DIE)
            if self.troubles_left:
                lucks += [luck for luck in point.options if luck in self.troubles]
            yield from ((Turn(point.victim.name, point.what, point.nth, luck), point) for luck in lucks)
        if self.take_over is not None:
            for point in points:
                if point.victim is self.first and not point.what.startswith(BEFORE_THE_LEASE):
                    yield Turn(point.victim.name, RUN_OUT, 1, GO), point
                    return

    @property
    def next(self) -> list[int] | None:
        """The choices of the next branch, or None after the last one."""
        numbers = [number for number, _ in self.taken]
        for place in range(len(self.taken) - 1, -1, -1):
            number, count = self.taken[place]
            if number + 1 < count:
                return [*numbers[:place], number + 1]
        return None
