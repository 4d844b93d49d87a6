"""FicMart's client on an API in memory, in time that passes only by sleeping."""

from dataclasses import dataclass, field
from random import Random

import httpx
import pytest

from app.demo.names import Names
from app.demo.play import Outside
from app.demo.shop import Shop
from app.demo.wire import Endpoint, Wire, World, graphql_http
from bank.mock import Bank
from tests.app.demo.fake_api import KEY, START, URL, FakeApi


@dataclass
class Time:
    """Seconds, which pass only when somebody sleeps."""

    s: float = 0.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.s += seconds

    @property
    def world(self) -> World:
        return World(clock=lambda: self.s, random=Random(1).random, sleep=self.sleep)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def api(bank: Bank) -> FakeApi:
    return FakeApi(bank)


@pytest.fixture
def names() -> Names:
    return Names(Random(1).getrandbits)


@pytest.fixture
def shop(api: FakeApi, names: Names, clock: Time) -> Shop:
    """On the API in memory."""
    return Shop(Wire(graphql_http(api.transport), Endpoint(URL, KEY), clock.world), names)


@pytest.fixture
def outside(api: FakeApi, bank: Bank, clock: Time) -> Outside:
    """For a whole play: the bank's own address is http://bank, its control address http://control."""
    banks = {"bank": httpx.ASGITransport(app=bank.app), "control": httpx.ASGITransport(app=bank.control)}

    async def route(request: httpx.Request) -> httpx.Response:
        return await banks[request.url.host].handle_async_request(request)

    class Route(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await route(request)

    return Outside(
        world=clock.world,
        random_bits=Random(1).getrandbits,
        now=lambda: START,
        api=api.transport,
        bank=Route(),
    )
