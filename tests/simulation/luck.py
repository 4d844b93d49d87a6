"""Who goes on next, and with what luck: by chance that hangs on nothing but the seed and the point's own name."""

from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from domain.failpoint import Failpoint
from gateway.attempts import LEASE_S
from tests.simulation.bank_line import FORGOTTEN, LOST, TROUBLES
from tests.simulation.stage import DIE, GO, STILL, Point, Process, Stage
from tests.simulation.staged_parts import AWAY, BROKEN

BAD_ANSWERS = 0.12  # of requests to the bank, when the harshness is 1
WEIGHTS = {LOST: 2, FORGOTTEN: 4}  # among them; the others once each
DATABASE_AWAY, CONFIRMATION_LOST = 0.006, 0.002  # of transactions
DEATHS = 0.0012  # of points and failpoints
DEATHS_IN_THE_WINDOW = 0.01  # while the bank has done it and its key is not stored (contract §7.1)
STILLS, STILLS_AT_THE_BANK = 0.0006, 0.003  # of points, and of those before the bank: half of them until the lease has run out
FAVOUR = {DIE: 4.0}  # how many times as often a favoured kind comes
FAVOUR_OF_OTHERS = 12.0
MOST = 0.8  # of all points at most bring bad luck, or nothing would ever end
_TOTAL = sum(WEIGHTS.get(luck, 1) for luck in TROUBLES)


class Blow(NamedTuple):
    """Bad luck at one point: the `nth` time that this actor came to `what`."""

    actor: str
    what: str
    nth: int
    luck: str


class Luck:
    """A director. With `allowed`, only these blows fall: that is how a history is made smaller. `fallen` are those that did."""

    stage: Stage

    def __init__(self, harshness: float, favoured: Set[str] = frozenset(), allowed: Set[Blow] | None = None) -> None:
        self.fallen: list[Blow] = []
        self.healed = False  # from now on nothing goes wrong
        self.database_away = False
        self._harshness = harshness
        self._favours = {luck: FAVOUR.get(luck, FAVOUR_OF_OTHERS) for luck in favoured}
        self._allowed = allowed
        self._stood: set[Blow] = set()
        self._allowed_lucks = {blow[:3]: blow.luck for blow in allowed or ()}

    def choose(self, points: Sequence[Point]) -> tuple[Point, str]:
        point = min(points, key=self._rank)
        if self.healed:
            return point, GO
        if self.database_away and AWAY in point.options:
            return point, AWAY
        luck = self._luck(point)
        return (point, luck) if self._falls(Blow(point.actor, point.what, point.nth, luck)) else (point, GO)

    def stands_still_s(self, point: Point) -> float:
        number = self.stage.chance("still", point.actor, point.what, point.nth)
        return 0.5 + 10 * number if number < 0.5 else LEASE_S * 0.75 + LEASE_S * (number - 0.5) * 2

    def dies_at(self, process: Process, actor: str, failpoint: Failpoint, nth: int) -> bool:
        if self.healed or process.name == "outside":
            return False
        dies = self.stage.chance("dies", actor, failpoint, nth) < DEATHS * self._harshness * self._favours.get(DIE, 1.0)
        return self._falls(Blow(actor, failpoint, nth, DIE if dies else GO))

    def _rank(self, point: Point) -> float:
        if point.rank is None:
            # Some actors are always late, and everybody is now and then: both kinds of races come about.
            whose = (point.actor,) if self.stage.chance("late", point.actor, point.what, point.nth) < 0.5 else ()
            point.rank = self.stage.chance("rank", *(whose or (point.actor, point.what, point.nth)))
        return point.rank

    def _luck(self, point: Point) -> str:
        if self._allowed is not None:
            return self._allowed_lucks.get((point.actor, point.what, point.nth), GO)
        number = self.stage.chance("luck", point.actor, point.what, point.nth)
        if number >= MOST:
            return GO
        for luck, share in _lucks(point):
            number -= share * self._harshness * self._favours.get(luck, 1.0)
            if number < 0:
                return luck
        return GO

    def _falls(self, blow: Blow) -> bool:
        if blow.luck == GO or (self._allowed is not None and blow not in self._allowed):
            return False
        if blow.luck == STILL:
            if blow in self._stood:  # it has, and goes on
                return False
            self._stood.add(blow)
        self.fallen.append(blow)
        return True


def _lucks(point: Point) -> Iterator[tuple[str, float]]:
    if not point.victim.dead and point.victim.name != "outside":
        yield DIE, DEATHS if point.victim is point.process else DEATHS_IN_THE_WINDOW
        if point.victim is point.process:
            yield STILL, STILLS_AT_THE_BANK if point.options is TROUBLES else STILLS
    if AWAY in point.options:
        yield AWAY, DATABASE_AWAY
    if BROKEN in point.options:
        yield BROKEN, CONFIRMATION_LOST
    if point.options is TROUBLES:
        yield from ((luck, BAD_ANSWERS * WEIGHTS.get(luck, 1) / _TOTAL) for luck in TROUBLES)
