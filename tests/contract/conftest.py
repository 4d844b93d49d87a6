"""A bank without sockets, without chaos and in virtual time, and a till to ring it up from."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bank.mock import Bank, BankSettings, VirtualTime, create_bank

VISA = {
    "card_number": "4111111111111111",
    "cvv": "123",
    "amount": 5000,
    "expiry_month": 12,
    "expiry_year": 2030,
}


class Till:
    """Calls the bank as the gateway would. Every call has a key of its own unless one is given."""

    def __init__(self, client: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
        self.client = client
        self.control = control
        self._numbers = itertools.count(1)

    async def post(self, path: str, body: Any = None, *, key: str | bytes | None = None, **options: Any) -> httpx.Response:
        """POST /api/v1/<path>."""
        headers = [(b"Idempotency-Key", key if isinstance(key, bytes) else (key or self.new_key()).encode())]
        content = {"content": body} if isinstance(body, str | bytes) else {"json": body}
        return await self.client.post(f"/api/v1/{path}", headers=headers, **content, **options)

    def new_key(self) -> str:
        return f"key-{next(self._numbers)}"

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(f"/api/v1/{path}")

    async def authorize(self, *, key: str | bytes | None = None, **changes: Any) -> httpx.Response:
        return await self.post("authorizations", {**VISA, **changes}, key=key)

    async def capture(self, authorization_id: str, amount: Any = 5000, *, key: str | None = None) -> httpx.Response:
        return await self.post("captures", {"authorization_id": authorization_id, "amount": amount}, key=key)

    async def void(self, authorization_id: str, *, key: str | None = None) -> httpx.Response:
        return await self.post("voids", {"authorization_id": authorization_id}, key=key)

    async def refund(self, capture_id: str, amount: Any = 5000, *, key: str | None = None) -> httpx.Response:
        return await self.post("refunds", {"capture_id": capture_id, "amount": amount}, key=key)

    async def hold(self, amount: int = 5000, **changes: Any) -> str:
        """The id of a new hold."""
        answer = await self.authorize(amount=amount, **changes)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["authorization_id"])

    async def captured(self, amount: int = 5000) -> str:
        """The id of a new capture."""
        answer = await self.capture(await self.hold(amount), amount)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["capture_id"])

    async def chaos(self, **changes: Any) -> None:
        """Turn the bank's dials."""
        answer = await self.control.patch("/chaos", json=changes)
        assert answer.status_code == 200, answer.text

    async def ledger(self, **filters: str) -> Any:
        return (await self.control.get("/ledger", params=filters)).json()

    async def money(self, last4: str = "1111") -> tuple[int, int]:
        """Balance and available."""
        accounts = {account["last4"]: account for account in (await self.ledger())["accounts"]}
        return accounts[last4]["balance"], accounts[last4]["available"]


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def settings() -> BankSettings:
    return BankSettings(failure_rate=0, min_latency_ms=0, max_latency_ms=0, state="memory", seed=1)


@pytest.fixture
def bank(settings: BankSettings, time: VirtualTime) -> Bank:
    return create_bank(settings, clock=time.clock, sleep=time.sleep)


@pytest.fixture
async def client(bank: Bank) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bank.app), base_url="http://bank") as client:
        yield client


@pytest.fixture
async def till(client: httpx.AsyncClient, bank: Bank) -> AsyncIterator[Till]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bank.control), base_url="http://control") as control:
        yield Till(client, control)
