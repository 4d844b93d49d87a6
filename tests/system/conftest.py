"""The whole thing, started as a person would start it, with a bank that fails; and a client that never gives up too early."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.serving import CARD, mutation

ROOT = Path(__file__).resolve().parents[2]
CHAOS = {"FAILURE_RATE": "0.05", "MIN_LATENCY_MS": "10", "MAX_LATENCY_MS": "200", "BANK_SEED": "7"}
DIALS = {"failure_rate": 0.05, "min_latency_ms": 10, "max_latency_ms": 200}  # the same: every test finds them so
STARTS_WITHIN_S, STOPS_WITHIN_S = 60.0, 40.0
PATIENCE_S = 120.0  # a bound, never a pause: two minutes after the last fault nothing may be open any more
POLL_S = 0.1
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=200)
FIELDS = """
fragment Receipt on Payment {
  id orderId state needsReview reviewReasons amount { minorUnits } pendingOperation { verb attempts }
  history { state } bankReferences { authorization capture void refund }
}
"""
ORDER = "query ($id: String!) { orderPayment(orderId: $id) { payment { id } } }"
PAYMENT = f"query ($id: ID!) {{ payment(id: $id) {{ ...Receipt }} }} {FIELDS}"


class System:
    """A running `partner-api up`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PARTNER_API_")}
        self.errors_file = folder / "stderr"
        self.data = folder / "data"
        with self.errors_file.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "up", "--json", "--port", "0", "--data", str(self.data), *arguments],
                cwd=ROOT,
                env={**kept, **CHAOS},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout
        readable, _, _ = select.select([self.process.stdout], [], [], STARTS_WITHIN_S)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            self.stop()
        assert line, self.errors_file.read_text()
        self.ready: dict[str, Any] = json.loads(line)

    def kill(self, name: str) -> None:
        """SIGKILL to the processes of this name that were there in the beginning and still are."""
        for pid in self.ready["pids"][name]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code, and what else was on stdout."""
        self.process.send_signal(signal.SIGTERM)
        try:
            rest, _ = self.process.communicate(timeout=STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, rest


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., System]]:
    """Starts a system for this module; it is stopped in the end, and was silent on stdout meanwhile."""
    systems: list[System] = []

    def start(*arguments: str) -> System:
        systems.append(System(tmp_path_factory.mktemp("system"), *arguments))
        return systems[-1]

    yield start
    for system in systems:
        if system.process.poll() is None:
            assert system.stop() == (0, "")


@dataclass
class Shop:
    """A client that repeats a request with the same key for as long as it gets no answer."""

    http: httpx.AsyncClient
    system: System
    run: str
    count: int = 0
    branches: int = 0
    refused: int = field(default=0)  # how often there was no answer, or a 503

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of the first answer that there is within PATIENCE_S."""
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            with suppress(httpx.TransportError):
                response = await self.http.post(self.system.ready["graphql"], json={"query": query, "variables": variables})
                answer = response.json()
                if response.status_code == 200 and "errors" not in answer:
                    return answer["data"]
                assert response.status_code == 503, answer
            self.refused += 1
            await asyncio.sleep(POLL_S)
        raise AssertionError("no answer in time")

    def wish(self, amount: int = 100) -> dict[str, Any]:
        """A new order."""
        self.count += 1
        return {
            "idempotencyKey": f"{self.run}-key-{self.count}",
            "orderId": f"{self.run}-order-{self.count}",
            "customerId": "customer-1",
            "amount": {"minorUnits": amount, "currency": "USD"},
            "source": {"card": CARD},
        }

    async def authorize(self, wish: dict[str, Any]) -> Any:
        return (await self.ask(mutation("authorizePayment"), input=wish))["authorizePayment"]

    async def operate(self, verb: str, payment: str, key: str) -> Any:
        return (await self.ask(mutation(f"{verb}Payment"), input={"idempotencyKey": key, "paymentId": payment}))[f"{verb}Payment"]

    async def settled(self, payment: str) -> Any:
        """The receipt, once nothing is awaited any more."""
        return await eventually(lambda: self._settled(payment))

    async def receipt(self, payment: str) -> Any:
        return (await self.ask(PAYMENT, id=payment))["payment"]

    async def order(self, order_id: str) -> Any:
        """The order's payment, or None when there is none yet."""
        return (await self.ask(ORDER, id=order_id))["orderPayment"]["payment"]

    async def _settled(self, payment: str) -> Any:
        receipt = await self.receipt(payment)
        return receipt if receipt["state"] != "PENDING" and receipt["pendingOperation"] is None else None

    async def ledger(self) -> Any:
        """What the bank did for the API."""
        address = f"{self.system.ready['bank_control_url']}/ledger"
        return (await self.http.get(address, params={"key_prefix": "att_"})).json()

    @asynccontextmanager
    async def another_client(self) -> AsyncIterator["Shop"]:
        """The same shop over connections of its own, with orders of its own."""
        async with httpx.AsyncClient(headers=dict(self.http.headers), limits=LIMITS, timeout=20, trust_env=False) as http:
            self.branches += 1
            yield Shop(http, self.system, f"{self.run}-{self.branches}")

    async def weather(self, **dials: Any) -> None:
        """Turn the bank's dials."""
        (await self.http.patch(f"{self.system.ready['bank_control_url']}/chaos", json=dials)).raise_for_status()


async def eventually(question: Callable[[], Awaitable[Any]]) -> Any:
    """Asks until the answer is true, and returns it."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        if answer := await question():
            return answer
        await asyncio.sleep(POLL_S)
    raise AssertionError("what was waited for did not come")


@pytest.fixture
async def shop(system: System, request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """A client of the module's system, with orders of the test's own."""
    headers = {"Authorization": f"Bearer {system.ready['api_key']}"}
    async with httpx.AsyncClient(headers=headers, limits=LIMITS, timeout=20, trust_env=False) as http:
        made = Shop(http, system, request.node.name[:60])
        yield made
        await made.weather(**DIALS, clear_faults=True)


def judge(ledger: Any, receipts: list[Any]) -> list[str]:
    """Where the bank's books and our receipts disagree."""
    holds = {each["authorization_id"]: each for each in ledger["authorizations"]}
    captures = {each["capture_id"]: each for each in ledger["captures"]}
    voids = {each["void_id"]: each for each in ledger["voids"]}
    refunds = {each["refund_id"]: each for each in ledger["refunds"]}
    wrong = []
    for receipt in receipts:
        bank, order, reasons = receipt["bankReferences"], receipt["orderId"], receipt["reviewReasons"]
        hold = holds.get(bank["authorization"])
        if hold is None:
            wrong.append(f"{order}: no such hold")
            continue
        twins = [each for each in holds.values() if each["idempotency_key"] == hold["idempotency_key"]]
        effective = [each for each in twins if each["state"] != "voided"]
        state = {"AUTHORIZED": "active", "CAPTURED": "captured", "REFUNDED": "captured", "VOIDED": "voided"}[receipt["state"]]
        if hold["state"] != state or hold["amount"] != receipt["amount"]["minorUnits"]:
            wrong.append(f"{order}: {receipt['state']} here, {hold['state']} there")
        if len(effective) > 1 and "POSSIBLE_ORPHAN_HOLD" not in reasons:
            wrong.append(f"{order}: {len(effective)} holds and no flag")
        ours = {each["capture_id"]: each for each in captures.values() if each["authorization_id"] == hold["authorization_id"]}
        if len(ours) != (state == "captured") or (bank["capture"] not in ours and bank["capture"] is not None):
            wrong.append(f"{order}: {len(ours)} captures, ours is {bank['capture']}")
        if bank["capture"] is None and ours and "CAPTURE_REFERENCE_UNKNOWN" not in reasons:
            wrong.append(f"{order}: a capture without a reference and no flag")
        back = [each for each in refunds.values() if each["capture_id"] in ours]
        if len(back) != (receipt["state"] == "REFUNDED") or (bank["refund"] and bank["refund"] not in refunds):
            wrong.append(f"{order}: {len(back)} refunds, ours is {bank['refund']}")
        if bank["void"] and voids.get(bank["void"], {}).get("authorization_id") != hold["authorization_id"]:
            wrong.append(f"{order}: void {bank['void']} is not of this hold")
    return wrong


@pytest.fixture
def disagreements(shop: Shop) -> Callable[[list[Any]], Awaitable[list[str]]]:
    """Compares receipts with the bank's books."""

    async def compare(receipts: list[Any]) -> list[str]:
        return judge(await shop.ledger(), receipts)

    return compare


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Asks until the answer is true, and returns it."""
    return eventually
