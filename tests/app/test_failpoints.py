"""Failpoints: what a value arms, and what an armed one does. tests/crash/ has the processes that die of them."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.failpoints import ArmedFailpoint, reach_for, read_failpoint
from domain.failpoint import Failpoint

HERE, ELSEWHERE = Failpoint.OUTCOME_COMMITTED, Failpoint.OUTCOME_WRITTEN
THREE_PASSINGS = """
import asyncio, sys
from app.failpoints import read_failpoint, reach_for
from domain.failpoint import Failpoint

async def pass_three_times():
    reach = reach_for(read_failpoint(sys.argv[1]))
    try:
        for passing in (1, 2, 3):
            print("at", passing, flush=True)
            await reach(Failpoint.OUTCOME_WRITTEN)
            await reach(Failpoint.OUTCOME_COMMITTED)
    finally:
        print("cleaned up", flush=True)

asyncio.run(pass_three_times())
"""


@pytest.mark.parametrize(
    ("text", "armed"),
    [
        ("outcome-committed", ArmedFailpoint(HERE)),
        ("outcome-committed:1", ArmedFailpoint(HERE)),
        ("outcome-committed:30", ArmedFailpoint(HERE, 30)),
        ("outcome-committed:2:hold=/tmp/a:b=c", ArmedFailpoint(HERE, 2, Path("/tmp/a:b=c"))),  # noqa: S108
    ],
)
def test_a_value_says_where_when_and_how(text: str, armed: ArmedFailpoint) -> None:
    assert read_failpoint(text) == armed


@pytest.mark.parametrize("name", list(Failpoint))
def test_every_failpoint_can_be_armed(name: Failpoint) -> None:
    assert read_failpoint(name.value).failpoint is name


@pytest.mark.parametrize("text", ["outcome", "OUTCOME_COMMITTED", "outcome-committed ", "0"])
def test_an_unknown_name_is_answered_with_the_names_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="no such failpoint") as caught:
        read_failpoint(text)

    assert all(failpoint.value in str(caught.value) for failpoint in Failpoint)


@pytest.mark.parametrize("end", [":", ":0", ":-1", ":x", ":1:", ":1:hold", ":1:hold=", ":1:wait=/tmp/x", ":hold=/tmp/x", ":٣"])
def test_what_is_no_passing_or_no_file_is_refused(end: str) -> None:
    with pytest.raises(ValueError, match="NAME:N:hold=FILE"):
        read_failpoint(f"outcome-committed{end}")


@pytest.mark.parametrize(("value", "passed"), [("outcome-committed", 1), ("outcome-written:3", 3)])
def test_an_armed_failpoint_ends_the_process_by_sigkill_at_its_passing(value: str, passed: int) -> None:
    """No `finally` runs, as if the power had gone."""
    process = subprocess.run([sys.executable, "-c", THREE_PASSINGS, value], capture_output=True, text=True, check=False)

    assert process.returncode == -signal.SIGKILL
    assert process.stdout.split("\n")[:-1] == [f"at {passing}" for passing in range(1, passed + 1)]
    assert process.stderr == f"failpoint {value.partition(':')[0]}: ending here\n"


async def test_one_that_holds_stands_still_until_there_is_the_file_and_others_run_on(tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    reach = reach_for(ArmedFailpoint(HERE, 2, go_on))

    await reach(HERE)
    held = [asyncio.create_task(reach(HERE)) for _ in range(2)]
    await reach(ELSEWHERE)
    _, standing = await asyncio.wait(held, timeout=0.1)
    go_on.touch()
    done, _ = await asyncio.wait(held, timeout=10)

    assert standing == set(held)
    assert done == set(held)


async def test_nothing_happens_where_nothing_is_armed() -> None:
    reach = reach_for(None)

    for failpoint in Failpoint:
        await reach(failpoint)
