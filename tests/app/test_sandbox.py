"""Test keys: they reach another bank, and what they do and live payments never meet."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.settings import ServeSettings, SettingsError, read_settings
from bank.breaker import BreakerState
from bank.mock import Bank, BankSettings, VirtualTime, create_bank
from domain.partner import Mode, tenant_of
from gateway.recovery import Recovery
from persistence.database import Database
from tests.app.serving import SECRETS, Api, BankLine, serving, settings_for

CALM = {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0", "BANK_STATE": "memory", "BANK_SEED": "2"}
PAYMENT = "query ($id: ID!) { payment(id: $id) { id } node(id: $id) { id } }"
STATE = "query ($id: ID!) { payment(id: $id) { state bankReferences { authorization } } }"
ORDERS = "{ payments(first: 100) { edges { node { id orderId } } } }"


def holds_of(bank: Bank) -> list[str]:
    """The holds in a bank's books."""
    return list(bank.books.ledger.state.holds)


@pytest.fixture
def sandbox_bank() -> Any:
    """The sandbox's bank."""
    time = VirtualTime()
    made = create_bank(BankSettings.from_environment(CALM), clock=time.clock, sleep=time.sleep)
    yield made
    made.close()


@pytest.fixture
def sandbox_line(sandbox_bank: Bank) -> BankLine:
    """The line to it."""
    return BankLine(httpx.ASGITransport(app=sandbox_bank.app))


@pytest.fixture
async def live(
    database_urls: Any,
    here: Any,
    bank_line: BankLine,
    sandbox_line: BankLine,
    tenant: UUID,
    make_key: Callable[[UUID], Awaitable[str]],
) -> AsyncIterator[Api]:
    """A started API with both banks, and a client with a live key."""
    settings = settings_for(database_urls.app, sandbox_bank_url="http://sandbox")
    async with serving(settings, here.world, bank_line, sandbox_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


@pytest.fixture
async def test(live: Api, make_key: Callable[[UUID], Awaitable[str]]) -> Api:
    """The same partner with a test key."""
    sandbox = tenant_of(live.tenant, Mode.TEST)
    return live.as_somebody(sandbox, await make_key(sandbox))


async def test_a_test_keys_payment_is_made_at_the_sandboxs_bank_alone(test: Api, bank: Bank, sandbox_bank: Bank) -> None:
    payment = await test.payment()
    await test.operate("capture", payment["id"])
    refunded = await test.operate("refund", payment["id"])

    assert test.key.startswith("gp_test_")
    assert refunded["payment"]["state"] == "REFUNDED"
    assert holds_of(sandbox_bank) == [payment["bankReferences"]["authorization"]]
    assert holds_of(bank) == []


async def test_a_live_keys_payment_is_made_at_the_bank_alone(live: Api, bank: Bank, sandbox_bank: Bank) -> None:
    payment = await live.payment()

    assert live.key.startswith("gp_live_")
    assert holds_of(bank) == [payment["bankReferences"]["authorization"]]
    assert holds_of(sandbox_bank) == []


async def test_neither_mode_sees_the_others_payments(live: Api, test: Api) -> None:
    mine, theirs = await live.payment(), await test.payment()

    for api, own, other in ((live, mine, theirs), (test, theirs, mine)):
        assert await api.ask(PAYMENT, id=other["id"]) == {"payment": None, "node": None}
        assert [edge["node"]["id"] for edge in (await api.ask(ORDERS))["payments"]["edges"]] == [own["id"]]
        refused = await api.operate("void", other["id"])
        assert refused["__typename"] == "NotFoundError"


async def test_the_same_order_and_the_same_idempotency_key_are_two_things_in_two_modes(live: Api, test: Api) -> None:
    wish = {name: live.wish()[name] for name in ("idempotencyKey", "orderId")}

    one, other = await live.payment(**wish), await test.payment(**wish)

    assert one["id"] != other["id"]
    assert one["state"] == other["state"] == "AUTHORIZED"


async def test_a_sandbox_whose_bank_is_away_costs_live_payments_nothing(live: Api, test: Api, sandbox_line: BankLine) -> None:
    sandbox_line.is_cut = True
    house, now = live.app.state.house, live.app.state.house.parts.world.now
    for _ in range(40):
        house.sandbox.breaker.record(now(), ok=False)

    left_open = await test.authorize()
    paid = await live.authorize()

    assert left_open["payment"]["state"] == "PENDING"
    assert paid["payment"]["state"] == "AUTHORIZED"
    assert (house.sandbox.breaker.state(now()), house.parts.breaker.state(now())) == (BreakerState.OPEN, BreakerState.CLOSED)


async def test_recovery_asks_each_modes_own_bank(
    live: Api, test: Api, bank: Bank, sandbox_bank: Bank, sandbox_line: BankLine, watch: Database, here: Any
) -> None:
    sandbox_line.is_cut = True
    payment = (await test.authorize())["payment"]
    sandbox_line.is_cut = False
    here.pass_by(600)
    house = live.app.state.house

    await Recovery(house.parts, watch).run_once()
    untouched = (await test.ask(STATE, id=payment["id"]))["payment"]
    await Recovery(house.sandbox, watch).run_once()
    recovered = (await test.ask(STATE, id=payment["id"]))["payment"]

    assert (untouched["state"], recovered["state"]) == ("PENDING", "AUTHORIZED")
    assert recovered["bankReferences"]["authorization"] in holds_of(sandbox_bank)
    assert holds_of(bank) == []


async def test_the_partner_of_a_test_key_is_the_partner(live: Api, test: Api) -> None:
    asked = "{ viewer { partner { id name } } }"
    viewer = (await live.ask(asked))["viewer"]

    assert (await test.ask(asked))["viewer"] == viewer
    again = await test.ask("query ($id: ID!) { node(id: $id) { id } }", id=viewer["partner"]["id"])
    assert again["node"] == {"id": viewer["partner"]["id"]}


async def test_without_a_sandbox_test_keys_are_refused_and_told_why(api: Api, make_key: Callable[[UUID], Awaitable[str]]) -> None:
    sandbox = tenant_of(api.tenant, Mode.TEST)
    test = api.as_somebody(sandbox, await make_key(sandbox))

    response = await test.post({"query": "{ viewer { partner { id } } }"})

    assert response.status_code == 403
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "NO_SANDBOX"
    assert "test key" in error["message"]


def test_a_sandbox_at_the_live_bank_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "DATABASE_URL": "postgresql://a:b@c/d",
        "REDIS_URL": "redis://r",
        "BANK_URL": "http://b",
        "SANDBOX_BANK_URL": "http://b/",
    }
    for name, value in {**given, **{name.upper(): value for name, value in SECRETS.items()}}.items():
        monkeypatch.setenv(f"PARTNER_API_{name}", value)

    with pytest.raises(SettingsError, match="tests would move real money"):
        read_settings(ServeSettings)
