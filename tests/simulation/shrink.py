"""Makes a failing stretch small: fewer events, stories, steps and blows, as long as something still goes wrong."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.play import Played

T = TypeVar("T")
PATIENCE_S = 60.0  # of real time; what is left then is small enough to read, or big for a reason

Again = Callable[[Played], Awaitable[Played]]


async def shrink(failed: Played, play: Again, *, patience_s: float = PATIENCE_S) -> tuple[Played, int]:
    """The smallest failing history that was found in time, and how many plays that took.

    `play` plays the plan and the blows of what it is given, and nothing else. A smaller one counts if it fails in the same way:
    by the same invariant, so that one bug does not turn into another one on the way.
    """
    deadline = time.monotonic() + patience_s
    plays = 0
    best = failed

    async def still_fails(smaller: Played) -> bool:
        nonlocal best, plays
        if time.monotonic() > deadline:
            return False
        plays += 1
        played = await play(smaller)
        if _kind(failed) & _kind(played):
            best = replace(played, blows=smaller.blows)
            return True
        return False

    before = None
    while before != _size(best) and time.monotonic() < deadline:
        before = _size(best)
        await _fewer(lambda: best.plan.events, lambda kept: _with(best, events=tuple(kept)), still_fails)
        await _fewer(lambda: best.plan.stories, lambda kept: _with(best, stories=tuple(kept)), still_fails)
        await _fewer(lambda: best.blows, lambda kept: replace(best, blows=list(kept)), still_fails)
        await _fewer(
            lambda: [step.number for story in best.plan.stories for step in story.steps],
            lambda kept: replace(best, plan=best.plan.with_steps(set(kept))),
            still_fails,
        )
    return best, plays


async def _fewer(
    all_of: Callable[[], Sequence[T]],
    with_only: Callable[[Sequence[T]], Played],
    still_fails: Callable[[Played], Awaitable[bool]],
) -> None:
    """Leave out halves, then quarters, down to single ones: Zeller's delta debugging, without its second question."""
    size = max(1, len(all_of()) // 2)
    while True:
        start = 0
        while start < len(things := all_of()):
            if not await still_fails(with_only([*things[:start], *things[start + size :]])):
                start += size
        if size == 1:
            return
        size //= 2


def _with(played: Played, **changes: object) -> Played:
    return replace(played, plan=replace(played.plan, **changes))  # type: ignore[arg-type]


def _kind(played: Played) -> set[str]:
    """In which ways it went wrong, without the names of who it was."""
    return {each.partition(";")[0].rpartition(": ")[2] if ";" in each else each[:40] for each in played.wrong}


def _size(played: Played) -> tuple[int, ...]:
    return len(played.plan.events), len(played.plan.stories), len(played.blows), played.plan.operations
