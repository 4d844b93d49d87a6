"""The rooms: imports point down only, frameworks stay where they belong, and the names of the rooms are ours alone."""

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.house.repository import ROOT

ROOMS = ("app", "resolvers", "gateway", "schema", "persistence", "bank", "domain")
PLANTS = (  # file, a line that has no business there, and the contract that must notice
    ("domain/money.py", "import gateway.attempts", "rooms"),
    ("gateway/world.py", "import schema.payment", "rooms"),
    ("persistence/events.py", "import bank.client", "rooms"),
    ("resolvers/viewer.py", "import app.settings", "rooms"),
    ("domain/card.py", "import time", "domain-is-pure"),
    ("domain/order.py", "from sqlalchemy import text", "domain-is-pure"),
    ("gateway/parts.py", "import strawberry", "no-graphql-below"),
    ("persistence/events.py", "from strawberry.dataloader import DataLoader", "no-graphql-below"),
    ("schema/order.py", "import persistence.events", "schema-is-thin"),
    ("resolvers/payments.py", "from sqlalchemy import text", "sql-in-one-place"),
    ("persistence/payments.py", "import httpx", "one-kind-of-io-each"),
    ("bank/client.py", "import redis", "bank-keeps-no-rows"),
    ("bank/mock/ledger.py", "import domain.money", "mock-is-a-stranger"),
    ("bank/mock/ledger.py", "import bank.answer", "mock-is-a-stranger"),
    ("gateway/driving.py", "import bank.mock", "mock-is-not-ours"),
)


def contracts() -> dict[str, str]:
    """The contracts of pyproject.toml: ids and names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {each["id"]: each["name"] for each in settings["contracts"]}


def broken(tree: Path) -> set[str]:
    """The ids of the contracts that a copy of the house breaks."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    found = {contract for contract, name in contracts().items() if any(line.startswith(f"{name} BROKEN") for line in lines)}
    kept = {contract for contract, name in contracts().items() if any(line.startswith(f"{name} KEPT") for line in lines)}
    assert found | kept == set(contracts()), done.stdout + done.stderr
    assert (done.returncode == 0) == (not found)
    return found


def copy_of_the_house(folder: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", folder)
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_planted_import_turns_its_contract_red(tmp_path: Path) -> None:
    """And the house as it is breaks none, so it is the plant that did it."""

    def broken_by(number: int) -> set[str]:
        tree = tmp_path / str(number)
        tree.mkdir()
        copy_of_the_house(tree)
        if number:
            file, line, _ = PLANTS[number - 1]
            with (tree / file).open("a") as text:
                text.write(f"\n{line}\n")
        return broken(tree)

    with ThreadPoolExecutor(4) as pool:
        untouched, *planted = pool.map(broken_by, range(len(PLANTS) + 1))

    assert untouched == set()
    unnoticed = [plant for plant, found in zip(PLANTS, planted, strict=True) if plant[2] not in found]
    assert unnoticed == []


def test_every_contract_has_a_plant() -> None:
    assert {contract for _, _, contract in PLANTS} == set(contracts())


def test_every_room_is_built_and_has_a_floor() -> None:
    """A new top-level package is not forgotten: it is packed, type-checked and has its place in the layers."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    linter = tools["importlinter"]

    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}

    assert found == set(ROOMS)
    assert set(linter["root_packages"]) == found
    assert {room.strip() for layer in linter["contracts"][0]["layers"] for room in layer.split("|")} == found
    assert set(tools["hatch"]["build"]["targets"]["wheel"]["packages"]) == found
    assert set(tools["mypy"]["packages"]) >= found


def test_no_other_distribution_owns_the_name_of_a_room() -> None:
    """PyPI has a `schema` and others: installed beside ours, they would overwrite our files without a word."""
    owners = importlib.metadata.packages_distributions()

    strangers = {room: [each for each in owners.get(room, []) if each != "partner-api"] for room in ROOMS}

    assert not any(strangers.values()), strangers


def test_a_room_is_imported_from_this_checkout() -> None:
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(ROOT), room
