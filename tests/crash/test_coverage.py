"""Every failpoint is in the code, and a process dies at each: a new one without a row in the table turns the suite red."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from domain.failpoint import Failpoint
from tests.crash.table import exercised

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("app", "gateway", "bank", "persistence")
BARE = [
    part for plugin in ("cacheprovider", "schemathesis", "hypothesispytest") for part in ("-p", f"no:{plugin}")
]  # in half a second
PLANT = """
import enum, sys
import domain.failpoint

names = [(each.name, each.value) for each in domain.failpoint.Failpoint]
domain.failpoint.Failpoint = enum.StrEnum("Failpoint", [*names, ("CARD_SHREDDED", "card-shredded")])

import pytest

sys.exit(pytest.main(sys.argv[1:]))
"""


def reached(sources: Iterable[str]) -> set[str]:
    """The names of the failpoints that these sources pass: `reach(Failpoint.NAME)`, whoever's `reach` it is."""
    calls = (node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {
        argument.attr
        for call in calls
        if ast.unparse(call.func).endswith("reach")
        for argument in call.args
        if isinstance(argument, ast.Attribute) and ast.unparse(argument.value) == "Failpoint"
    }


def test_every_failpoint_is_exercised() -> None:
    assert set(Failpoint) - exercised() == set()


def test_no_failpoint_is_dead() -> None:
    in_code = reached(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py"))

    assert {failpoint.name for failpoint in Failpoint} == in_code


def test_a_new_failpoint_without_a_row_turns_the_suite_red() -> None:
    """The same suite, in a process in which one more failpoint is planted."""
    tests = f"{Path(__file__).relative_to(ROOT)}::"
    names = [tests + test.__name__ for test in (test_every_failpoint_is_exercised, test_no_failpoint_is_dead)]

    planted = subprocess.run(
        [sys.executable, "-c", PLANT, "-q", "--noconftest", *BARE, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert planted.returncode == 1, planted.stdout + planted.stderr
    assert "2 failed" in planted.stdout
    assert "CARD_SHREDDED" in planted.stdout
