"""The documents: true to the code where a machine can tell, and with links that lead somewhere."""

import re

import pytest

from app import cost, settings
from bank.mock.settings import BankSettings
from domain.scope import Scope
from domain.tier import TIERS, TierName
from schema import enums
from tests.house.repository import ROOT, files, named

MAX_TRADEOFF_WORDS = 1_000
SECTIONS = ["Architecture", "State management", "Failure handling", "Idempotency", "What we would do differently"]
DOCUMENTS = [path for path in files() if path.suffix == ".md"]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# What begins with these are folders of somebody's own machine. Put together here, or this file would name them.
_HOMES = re.compile(r"(?<![\w.~{}/-])/(?:" + "|".join(("home", "Users", "root", "work", "mnt/c")) + r")/[\w.-]+")


def prose(name: str) -> str:
    return _FENCE.sub("", (ROOT / name).read_text())


def test_the_tradeoffs_are_short_and_have_their_sections() -> None:
    text = (ROOT / "TRADEOFFS.md").read_text()

    assert len(text.split()) <= MAX_TRADEOFF_WORDS
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS


def test_every_setting_is_described_and_no_other() -> None:
    known = {f"{settings.PREFIX}{name.upper()}": field for kind in settings.ALL for name, field in kind.model_fields.items()}
    text = (ROOT / "docs/settings.md").read_text()

    described = {name for name in re.findall(r"PARTNER_API_[A-Z_]+", text) if not name.startswith("PARTNER_API_DEMO_")}

    assert described == set(known)
    for name, field in known.items():
        (row,) = re.findall(rf"^\| `{name}` .*$", text, re.MULTILINE)
        if field.default in (None, ()):
            assert "| none |" in row, name
        elif not field.is_required():
            default = ",".join(field.default) if isinstance(field.default, tuple) else f"{field.default}".removesuffix(".0")
            assert f"| `{default}` |" in row, f"{name}: the default is {default}"


def test_every_variable_of_the_bank_is_described_with_its_default() -> None:
    text = (ROOT / "docs/bank-mock.md").read_text()
    defaults = BankSettings()

    for name, default in (
        ("PORT", defaults.port),
        ("FAILURE_RATE", defaults.failure_rate),
        ("MIN_LATENCY_MS", defaults.min_latency_ms),
        ("MAX_LATENCY_MS", defaults.max_latency_ms),
        ("AUTH_EXPIRY_HOURS", defaults.auth_expiry_hours),
        ("BANK_STATE", defaults.state),
    ):
        assert re.search(rf"^\| `{name}` \| `{re.escape(str(default))}` \|", text, re.MULTILINE), name
    for name in ("BANK_CONTROL_PORT", "BANK_SEED", "BANK_ACCOUNTS"):
        assert re.search(rf"^\| `{name}` \|", text, re.MULTILINE), name


def test_every_refusal_and_every_code_is_explained() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    sources = ["graphql_http", "graphql_sse", "graphql_ws", "graphql", "key_in_url", "limits", "operation", "public_errors"]
    code_sources = "".join((ROOT / f"app/{name}.py").read_text() for name in sources)
    code_sources += "".join((ROOT / f"resolvers/{name}.py").read_text() for name in ("asking", "refused_argument"))
    codes = set(re.findall(r'code(?:"\s*:|=)\s*(?:str = )?"([A-Z_]+)"', code_sources)) | {"BAD_REQUEST"}
    codes |= set(re.findall(r'_error\("([A-Z_]+)"', code_sources))

    assert len(codes) > 5, "the pattern has to find the codes"
    assert [code for code in codes if f"`{code}`" not in text] == []
    assert [code for code in enums.ErrorCode if f"`{code.value}`" not in text] == []


def test_every_scope_is_explained() -> None:
    text = (ROOT / "docs/keys.md").read_text()

    assert [scope for scope in Scope if f"`{scope}`" not in text] == []


@pytest.mark.parametrize("name", TierName)
def test_every_tier_is_described_with_its_numbers(name: TierName) -> None:
    tier = TIERS[name]
    rates = [number for rate in (tier.partner, tier.key) for number in (rate.capacity, rate.points)]
    row = " | ".join(f"{number:,}" for number in [*rates, tier.at_once, tier.monthly_cost])

    assert f"| `{name}` | {row} |" in (ROOT / "docs/limits.md").read_text()
    assert tier.partner.every_s == tier.key.every_s == 1, "the table says per second"


def test_the_costs_are_described() -> None:
    text = (ROOT / "docs/limits.md").read_text()
    rows = {"A mutation": cost.MUTATION, "`totalCount`": cost.COUNTED, "`__schema`, `__type`": cost.INTROSPECTION}

    for what, points in rows.items():
        assert re.search(rf"^\| {re.escape(what)} \| {points}\b", text, re.MULTILINE), what
    assert f"One operation may cost {cost.MAX_COST:,} points" in text


@pytest.mark.parametrize("name", [named(path) for path in DOCUMENTS])
def test_every_link_to_a_file_leads_to_one(name: str) -> None:
    here = (ROOT / name).parent

    broken = [
        target
        for target in _LINK.findall(prose(name))
        if "://" not in target and not target.startswith(("#", "mailto:")) and not (here / target.partition("#")[0]).exists()
    ]

    assert broken == []


def test_no_file_names_a_folder_of_somebodys_own_machine() -> None:
    found: list[str] = []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{named(path)}: {match[0]}" for match in _HOMES.finditer(text)]

    assert found == []
