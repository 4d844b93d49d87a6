"""An armed failpoint: where a crash test wants this process to end, or to stand still. Settings refuse it in production.

`outcome-committed`                   ends the process at the first passing, by SIGKILL: nothing is closed, flushed or said goodbye to
`outcome-committed:3`                 the same at the third passing
`bank-call-due:1:hold=/run/go-on`     stands still from the first passing on, until there is such a file; other tasks run on. Meanwhile
                                      a client can get its answer and a test can do what it likes: a SIGKILL from outside, for instance
"""

import asyncio
import itertools
import logging
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from domain.failpoint import Failpoint, Reach, pass_on

LOOK_S = 0.02  # how often a process that stands still looks whether it may go on: quick for a person, nothing for a core

_FORM = re.compile(r"([^:]+)(?::([1-9][0-9]{0,5})(?::hold=(.+))?)?")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ArmedFailpoint:
    """What happens at the `passing`-th passing of `failpoint`: the end; or, with `hold`, a rest until that file exists.

    A process rests at each later passing as well, as long as the file is missing.
    """

    failpoint: Failpoint
    passing: int = 1
    hold: Path | None = None


def read_failpoint(text: str) -> ArmedFailpoint:
    """What `NAME`, `NAME:N` or `NAME:N:hold=FILE` arms. Raises ValueError with a sentence."""
    if not (parts := _FORM.fullmatch(text)):
        raise ValueError("it has to be NAME, NAME:N or NAME:N:hold=FILE, as in outcome-committed:3")
    name, passing, hold = parts.groups()
    if name not in list(Failpoint):
        raise ValueError(f"there is no such failpoint; there are {', '.join(Failpoint)}")
    return ArmedFailpoint(Failpoint(name), int(passing or 1), Path(hold) if hold else None)


def reach_for(armed: ArmedFailpoint | None) -> Reach:
    """What the world does at failpoints: nothing, but at the one that is armed."""
    if armed is None:
        return pass_on
    passings = itertools.count(1)

    async def reach(failpoint: Failpoint) -> None:
        if failpoint is not armed.failpoint or next(passings) < armed.passing:
            return
        if armed.hold is None:
            log.warning("failpoint %s: ending here", failpoint.value)
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            log.warning("failpoint %s: standing still until there is %s", failpoint.value, armed.hold)
            while not armed.hold.exists():  # noqa: ASYNC110  (whoever makes the file is another process)
                await asyncio.sleep(LOOK_S)
            log.warning("failpoint %s: going on", failpoint.value)

    return reach
