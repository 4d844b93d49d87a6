"""`python3 dev.py simulate`: as many simulated operations as wanted, in as many processes; or a wider walk of the small case."""

import os
import secrets
import sys

import click

from tests.simulation.server import throwaway_server
from tests.simulation.side_by_side import WIDER, Job, play_side_by_side
from tests.simulation.simulation import PER_STRETCH


@click.command()
@click.option("--operations", type=click.IntRange(1), default=20_000, show_default=True, help="How many.")
@click.option(
    "--seed", default=lambda: str(secrets.randbelow(10**6)), show_default="a new one", help="The same seed, the same plays."
)
@click.option("--stretch", type=click.IntRange(0), help="Only this stretch of the seed, as a failure names it.")
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="cores", help="Side by side.")
@click.option("--walk", "walks", is_flag=True, help="Walk the small case wider than the tests do, instead.")
def command(*, operations: int, seed: str, stretch: int | None, processes: int, walks: bool) -> None:
    """Play payments in virtual time while everything fails, and check all invariants; end at the first violation.

    A violation is told with its seed, how to see it again, and the smallest history that still shows it. Exits with 1 then.
    """
    numbers = range(-(-operations // PER_STRETCH)) if stretch is None else range(stretch, stretch + 1)
    wider = range(len(WIDER)) if walks else range(0)
    numbers = range(0) if walks else numbers
    processes = min(processes, len(wider) or len(numbers))
    click.echo(f"{len(wider)} walks" if walks else f"seed {seed}, {len(numbers) * PER_STRETCH:,} operations", err=True)
    with throwaway_server() as url:
        jobs = [Job(url, seed, numbers[place::processes], wider[place::processes]) for place in range(processes)]
        failure = play_side_by_side(jobs, len(numbers) * PER_STRETCH)
    if failure:
        click.echo(failure)
        sys.exit(1)


if __name__ == "__main__":
    command()
