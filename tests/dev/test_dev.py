"""What of dev.py can be tested without installing anything."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DEV = Path(__file__).resolve().parents[2] / "dev.py"


@pytest.fixture(scope="module")
def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", DEV)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_old_python_can_read_it_and_is_told_what_to_use() -> None:
    """It has to get as far as the sentence: the whole file is parsed before the first line runs."""
    ast.parse(DEV.read_text(), feature_version=(3, 7))
    pretend = f"import sys; sys.version_info = (3, 6, 15); exec(compile(open({str(DEV)!r}).read(), 'dev.py', 'exec'))"

    result = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr.startswith("This needs Python 3.11 or newer, and this one is 3.6. ")


STAMP = {"digest": "abc", "python": "3.11", "root": "/here"}


@pytest.mark.parametrize(
    ("stamp", "python", "root", "digest", "underway", "expected"),
    [
        (STAMP, "3.11", "/here", "abc", False, "keep"),
        (STAMP, "3.11", "/here", "other dependencies", False, "install"),
        ({}, "3.11", "/here", "abc", False, "install"),  # made by other means: completed, not thrown away
        (STAMP, "3.12", "/here", "abc", False, "rebuild"),  # the system's Python was upgraded
        (STAMP, "", "/here", "abc", False, "rebuild"),  # ... or removed
        (STAMP, "3.11", "/moved", "abc", False, "rebuild"),
        (STAMP, "3.11", "/here", "abc", True, "rebuild"),  # the last install was killed
        ({}, "3.10", "/here", "abc", False, "rebuild"),
    ],
)
def test_what_is_done_about_the_installed_packages(
    dev: ModuleType, stamp: dict[str, str], python: str, root: str, digest: str, underway: bool, expected: str
) -> None:
    assert dev.verdict(stamp, python, root, digest, underway) == expected


def test_a_change_of_either_file_changes_the_digest(dev: ModuleType, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("23")
    before = dev.digest(first, second)

    second.write_text("24")
    assert dev.digest(first, second) != before

    first.write_text("12")  # the same characters in a row, in other files
    second.write_text("3")
    assert dev.digest(first, second) != before


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"'])
def test_a_stamp_that_cannot_be_read_is_none(
    dev: ModuleType, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "STAMP", tmp_path / "stamp")
    (tmp_path / "stamp").write_text(content)

    assert dev.installed() == {}


def test_an_unknown_command_names_the_known_ones() -> None:
    result = subprocess.run([sys.executable, str(DEV), "tset"], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "There is no command 'tset'. There are: run, demo, test, check, bench, chaos, simulate, clean, lock." in result.stderr


def test_installers_are_not_led_astray_by_the_users_variables(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")

    environment = dev.environment()

    assert "/elsewhere" not in environment.values()
    assert environment["PIP_INDEX_URL"] == "https://mirror.example/simple"
