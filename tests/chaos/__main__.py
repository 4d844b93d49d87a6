"""`python3 dev.py chaos`: load and faults side by side, then the question whether anything was lost or done twice."""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

import click

from tests.chaos.aftermath import CouldNotVerify
from tests.chaos.drill import Drill
from tests.chaos.report import Display
from tests.chaos.schedule import schedule
from tests.chaos.system import CARDS, PARTNERS, DidNotStart

COULD_NOT_SAY, INTERRUPTED = 2, 130  # exit codes, beside 0 and 1; the latter is the shells' for Ctrl-C


@click.command()
@click.option("--minutes", type=click.FloatRange(0.1, 24 * 60), default=10.0, show_default=True, help="How long faults go on.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed, the same schedule.")
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=20.0, show_default=True, help="Orders a second.")
@click.option("--keep", is_flag=True, help="Keep the run's folder when nothing was wrong, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def chaos(*, minutes: float, seed: int, rate: float, keep: bool, as_json: bool) -> None:
    """Load the whole system while its parts are killed, stopped and cut off, and compare everything in the end.

    The seed determines which faults and which orders come when; how the processes interleave it does not. Exits with 0 when
    nothing was lost, done twice or left open, with 1 when something was, with 2 when nobody can say. Then the run's folder is kept.
    """
    if sys.platform != "linux":
        raise click.ClickException("This needs Linux: it finds the processes that it may kill in /proc.")
    folder = Path(tempfile.mkdtemp(prefix="partner-api-chaos-"))
    folder.chmod(0o711)  # PostgreSQL's account has to pass when this is root
    display = Display()
    display.say(f"Logs, the clients' notes and the list of faults are in {folder}")
    wanted = schedule(seed, minutes * 60, rate=rate, partners=len(PARTNERS), cards=CARDS)
    try:
        with display.running():
            result = asyncio.run(Drill(wanted, folder, display).run())
    except (DidNotStart, CouldNotVerify) as error:
        display.say(f"{error}\nEverything is kept in {folder}")
        sys.exit(COULD_NOT_SAY)
    except KeyboardInterrupt:
        display.say(f"Stopped. Everything is kept in {folder}")
        sys.exit(INTERRUPTED)
    (folder / "report.json").write_text(json.dumps(result.as_json(), indent=2))
    display.result(result, as_json=as_json)
    if result.is_right and not keep:
        shutil.rmtree(folder)
    else:
        display.say(f"Everything is kept in {folder}")
    sys.exit(0 if result.is_right else 1)


if __name__ == "__main__":
    chaos()
