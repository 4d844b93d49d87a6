"""A file past 350 lines (500 of tests), or a function past 70, is split or argued for here."""

import ast

from tests.house.repository import files, named

MAX_FILE_LINES = 350
MAX_TEST_FILE_LINES = 500  # many small cases beside each other are read one at a time; a story of 500 lines is not
MAX_FUNCTION_LINES = 70
LONG_FILES = {  # file: why it is better long
    "persistence/tables.py": "one list of tables, each of which is read alone; a test compares all of them with the migrations",
    "tests/app/test_graphql_http.py": "one door and each of its answers; cases of a few lines that share one set of fixtures",
}
LONG_FUNCTIONS: dict[str, str] = {}  # file and function: why it is better long

PYTHON = [path for path in files() if path.suffix == ".py"]


def test_every_long_file_is_argued_for() -> None:
    long = {
        name
        for path in PYTHON
        if len(path.read_text().splitlines())
        > (MAX_TEST_FILE_LINES if (name := named(path)).startswith("tests/") else MAX_FILE_LINES)
    }

    assert long - set(LONG_FILES) == set()


def test_every_long_function_is_argued_for() -> None:
    long: set[str] = set()
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES:
                    long.add(f"{named(path)} {node.name}")

    assert long - set(LONG_FUNCTIONS) == set()


def test_the_rules_have_no_clock_of_their_own() -> None:
    """`datetime` is a value in domain/; what time it is comes from outside. The import contracts can't tell the two apart."""
    asking = {"now", "utcnow", "today"}
    found = [
        f"{named(path)}:{node.lineno}"
        for path in PYTHON
        if named(path).startswith("domain/")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in asking
    ]

    assert found == []
