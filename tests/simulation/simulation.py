"""Stretch after stretch from one seed, until something goes wrong; then its smallest history, and how to see it again."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tests.simulation.plan import make_plan
from tests.simulation.play import Played, play
from tests.simulation.reading import readable
from tests.simulation.scene import Scene
from tests.simulation.shrink import PATIENCE_S, shrink

PER_STRETCH = 100  # operations: enough for races, few enough to be made small when something goes wrong
FAVOURED_HARSHNESS = 2.0  # of stretches that are played for the sake of some luck


@dataclass
class Simulated:
    """How far it came. `seen` counts what happened on the way."""

    seed: str
    stretches: int = 0
    operations: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    failure: str = ""


async def simulate(
    scene: Scene,
    seed: str,
    stretches: Sequence[int],
    *,
    favoured: frozenset[str] | None = None,
    patience_s: float = PATIENCE_S,
    on_stretch: Callable[[Simulated], None] = lambda _: None,
) -> Simulated:
    """Play these stretches of the seed, up to the first that fails; with the luck of `favoured` instead of the seed's own."""
    done = Simulated(seed)
    for number in stretches:
        plan = make_plan(f"{seed}/{number}", PER_STRETCH)
        if favoured is not None:
            plan = replace(plan, favoured=favoured, harshness=FAVOURED_HARSHNESS)
        played = await play(scene, plan)
        done.stretches += 1
        done.operations += plan.operations
        done.seen += played.seen
        on_stretch(done)
        if played.wrong:
            done.failure = await _explain(scene, seed, number, played, done, patience_s)
            return done
    return done


async def _explain(scene: Scene, seed: str, number: int, played: Played, done: Simulated, patience_s: float) -> str:
    async def again(smaller: Played) -> Played:
        return await play(scene, smaller.plan, allowed=frozenset(smaller.blows))

    smallest, plays = await shrink(played, again, patience_s=patience_s)
    lines = [
        f"seed {seed}, stretch {number}, after {done.operations} operations:",
        *(f"  {each}" for each in played.wrong[:5]),
        f"see it again: python3 dev.py simulate --seed {seed} --stretch {number}",
        f"a minimal history, of {smallest.plan.operations} operations ({plays} plays to find it):",
        *(f"  {story.steps[0]} …: partner {story.partner}, {story.order}, {story.card} card" for story in smallest.plan.stories),
        *readable(smallest.history),
        *(f"  {each}" for each in smallest.wrong[:5]),
    ]
    return "\n".join(lines)
