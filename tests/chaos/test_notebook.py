"""What clients are told is held against what they were told before, and against what is shown in the end."""

from pathlib import Path
from typing import Any

import pytest

from tests.chaos.aftermath import broken_promises
from tests.chaos.notebook import Notebook


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    """An empty one."""
    return Notebook(tmp_path / "acknowledged.txt")


def receipt(state: str, number: int = 1) -> dict[str, Any]:
    return {"id": f"pay_{number}", "orderId": f"order-{number}", "state": state}


def test_the_furthest_state_counts_and_each_step_is_written_down(notebook: Notebook) -> None:
    for state in ("PENDING", "AUTHORIZED", "PENDING", "CAPTURED", "AUTHORIZED"):  # replays show what was answered then
        notebook.acknowledge(0, receipt(state))

    assert notebook.by_state() == {"CAPTURED": 1}
    assert notebook.surprises == []
    assert notebook.file.read_text().splitlines() == ["pay_1 PENDING", "pay_1 AUTHORIZED", "pay_1 CAPTURED"]


@pytest.mark.parametrize(("before", "after"), [("VOIDED", "CAPTURED"), ("DECLINED", "AUTHORIZED"), ("REFUNDED", "VOIDED")])
def test_a_final_state_that_changes_is_a_surprise(notebook: Notebook, before: str, after: str) -> None:
    notebook.acknowledge(0, receipt(before))
    notebook.acknowledge(0, receipt(after))

    assert notebook.surprises == [f"order-1: {before} became {after}"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({0: [receipt("CAPTURED")]}, []),
        ({0: [receipt("REFUNDED")]}, []),
        ({0: []}, ["order-1: acknowledged as CAPTURED and gone"]),
        ({0: [receipt("AUTHORIZED")]}, ["order-1: acknowledged as CAPTURED and now AUTHORIZED"]),
        ({0: [], 1: [receipt("CAPTURED")]}, ["order-1: shown to another partner"]),
        ({0: [receipt("CAPTURED"), {**receipt("AUTHORIZED"), "id": "pay_2"}]}, ["order-1: 2 payments"]),
    ],
)
def test_what_is_shown_in_the_end_is_held_against_what_was_told(
    notebook: Notebook, shown: dict[int, list[dict[str, Any]]], expected: list[str]
) -> None:
    notebook.acknowledge(0, receipt("CAPTURED"))

    assert broken_promises(notebook, shown) == expected
