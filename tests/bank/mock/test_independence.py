"""The mock is a bank from outside: it knows nothing of us."""

import ast
import sys
from pathlib import Path

import pytest

import bank.mock

FILES = sorted(Path(bank.mock.__file__).parent.glob("*.py"))
MAY_IMPORT = {"starlette", "uvicorn", "orjson", *sys.stdlib_module_names}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_imports_nothing_of_ours(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.startswith("bank.mock") or name.split(".")[0] in MAY_IMPORT, name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_its_files_stay_readable(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 300
