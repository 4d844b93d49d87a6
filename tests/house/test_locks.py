"""The locks: complete, hashed, tied to no package index, and of one mind."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.repository import ROOT

EVERYTHING, RUNTIME = "requirements.lock", "deploy/requirements.lock"
_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
_COMMENT = re.compile(r"^    #")


def entries(name: str) -> dict[str, str]:
    """The packages of a lock and their versions. A line that is neither a package, nor a hash, nor a comment is refused."""
    found: dict[str, str] = {}
    hashes: dict[str, int] = {}
    latest = ""
    for number, line in enumerate((ROOT / name).read_text().splitlines(), start=1):
        if entry := _ENTRY.match(line):
            latest = canonicalize_name(entry["name"])
            assert latest not in found, f"{name}:{number} has {latest} twice"
            found[latest], hashes[latest] = entry["version"], 0
        elif _HASH.match(line):
            hashes[latest] += 1
        else:
            assert _COMMENT.match(line), f"{name}:{number} is neither a package nor a hash: {line}"
    assert all(hashes.values()), f"{name}: without a hash: {[each for each, count in hashes.items() if not count]}"
    return found


def required(*, runtime: bool) -> dict[str, Requirement]:
    """What pyproject.toml asks for."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = list(settings["project"]["dependencies"])
    if not runtime:
        lines += [line for extra in settings["project"]["optional-dependencies"].values() for line in extra]
        lines += [line for group in settings["dependency-groups"].values() for line in group]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


@pytest.mark.parametrize("name", [EVERYTHING, RUNTIME])
def test_every_line_of_a_lock_is_a_version_with_hashes_and_no_url(name: str) -> None:
    assert entries(name)
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize(("name", "runtime"), [(EVERYTHING, False), (RUNTIME, True)])
def test_every_dependency_is_locked_at_a_version_that_it_allows(name: str, runtime: bool) -> None:
    locked = entries(name)

    wrong = {
        package: locked.get(package)
        for package, requirement in required(runtime=runtime).items()
        if package not in locked or locked[package] not in requirement.specifier
    }

    assert wrong == {}


def test_both_locks_have_the_same_versions() -> None:
    everything, runtime = entries(EVERYTHING), entries(RUNTIME)

    assert {name: version for name, version in runtime.items() if everything.get(name) != version} == {}


def test_the_image_gets_no_tools_and_no_embedded_servers() -> None:
    only_here = set(required(runtime=False)) - set(required(runtime=True))

    assert only_here & set(entries(RUNTIME)) == set()
