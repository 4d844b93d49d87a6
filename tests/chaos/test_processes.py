"""Signals reach the processes of this run and nobody else's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.chaos import processes


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A child of ours that looks like a worker, and sleeps."""
    with subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()", "app", "work"]) as process:
        yield process
        process.kill()


def found(child: subprocess.Popen[bytes]) -> processes.Process:
    return next(each for each in processes.children_of(os.getpid()) if each.pid == child.pid)


def test_a_process_is_told_by_its_command_line_among_its_parents_children(child: subprocess.Popen[bytes]) -> None:
    assert found(child) in processes.of_kind("worker", os.getpid())
    assert found(child) not in processes.of_kind("api", os.getpid())
    assert processes.of_kind("worker", child.pid) == []


def test_a_process_is_killed(child: subprocess.Popen[bytes]) -> None:
    assert processes.send(found(child), signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def test_one_that_has_ended_is_not_found_and_not_killed_even_while_it_is_not_buried(child: subprocess.Popen[bytes]) -> None:
    was = found(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert was not in processes.children_of(os.getpid())
    assert not processes.send(was, signal.SIGKILL)


def test_another_process_that_got_the_same_number_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    earlier = processes.Process(child.pid, os.getpid(), found(child).began - 1, ())

    assert not processes.send(earlier, signal.SIGKILL)
    assert child.poll() is None
