"""Several processes that play or walk at a time, each with a database of its own; and how far they are, told to people."""

import multiprocessing
import queue
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from domain.payment import Verb
from tests.databases import drop_database, make_database
from tests.simulation.bank_line import FORGOTTEN, LOST
from tests.simulation.scene import scene, virtual_runner
from tests.simulation.simulation import Simulated, simulate
from tests.simulation.small_case import Case
from tests.simulation.staged_parts import AWAY, BROKEN
from tests.simulation.walking import ANSWERS, Walked, walk

TELL_EVERY_S = 5.0
LISTEN_S = 1.0  # between two looks at whether all processes are alive

# On demand: every kind of bad luck twice would be millions of schedules; these are some tens of thousands.
WIDER: Sequence[tuple[Case, dict[str, Any]]] = [
    *((Case(verb), {"deaths": 2, "troubles": 1, "answers": (LOST, FORGOTTEN)}) for verb in Verb),
    *((Case(verb), {"deaths": 0, "troubles": 2, "answers": (LOST, FORGOTTEN)}) for verb in Verb),
    *((Case(verb), {"deaths": 1, "troubles": 1, "answers": (AWAY, BROKEN)}) for verb in Verb),
    *((Case(verb, two_workers=True), {"deaths": 1, "troubles": 1, "answers": ANSWERS}) for verb in Verb),
    *((Case(Verb.AUTHORIZE, funds=funds), {"deaths": 1, "troubles": 1, "answers": ANSWERS}) for funds in (0, 1)),
    (Case(Verb.CAPTURE, late=True), {"deaths": 1, "troubles": 1, "answers": ANSWERS}),
]


@dataclass(frozen=True)
class Job:
    """What one process plays: these stretches of the seed, or these walks of WIDER."""

    server_url: str
    seed: str
    stretches: Sequence[int]
    walks: Sequence[int]


def play_side_by_side(jobs: Sequence[Job], wanted: int) -> str:
    """Run the jobs, tell how far they are, and return the first failure, or nothing."""
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[tuple[int, Simulated | Walked | None]] = context.Queue()
    workers = [context.Process(target=_work, args=(place, job, told), daemon=True) for place, job in enumerate(jobs)]
    for worker in workers:
        worker.start()
    try:
        return _listen(workers, told, wanted)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _listen(workers: Sequence[Any], told: "multiprocessing.Queue[tuple[int, Simulated | Walked | None]]", wanted: int) -> str:
    started = last = time.monotonic()
    done: dict[int, Simulated] = {}
    left = len(workers)
    while left:
        try:
            place, news = told.get(timeout=LISTEN_S)
        except queue.Empty:
            if failed := [worker.exitcode for worker in workers if worker.exitcode]:
                return f"a process ended by itself: {failed}"
            continue
        match news:
            case None:
                left -= 1
            case Walked():
                click.echo(str(news))
            case Simulated():
                done[place] = news
        if failure := _failure(news):
            return failure
        if done and (not left or time.monotonic() - last > TELL_EVERY_S):
            last = time.monotonic()
            _tell(list(done.values()), wanted, last - started)
    seen: Counter[str] = sum((each.seen for each in done.values()), Counter())
    for name, count in sorted(seen.items()):
        click.echo(f"{count:>12,}  {name}")
    return ""


def _failure(news: Simulated | Walked | None) -> str:
    match news:
        case Walked(wrong=told) | Simulated(failure=told):
            return told
        case _:
            return ""


def _tell(done: Sequence[Simulated], wanted: int, seconds: float) -> None:
    operations = sum(each.operations for each in done)
    rate = operations / seconds
    click.echo(
        f"{operations:,} of {wanted:,} operations, {rate:.0f}/s, {(wanted - operations) / rate / 60:.1f} min to go", err=True
    )


def _work(place: int, job: Job, told: "multiprocessing.Queue[tuple[int, Simulated | Walked | None]]") -> None:
    """One process."""

    async def there() -> None:
        urls = await make_database(job.server_url)
        async with scene(urls) as here:
            for number in job.walks:
                case, bounds = WIDER[number]
                told.put((place, await walk(here, case, **bounds)))
            if job.stretches:
                result = await simulate(here, job.seed, job.stretches, on_stretch=lambda now: told.put((place, now)))
                told.put((place, result))
        await drop_database(job.server_url, urls)
        told.put((place, None))

    with virtual_runner() as runner:
        runner.run(there())
