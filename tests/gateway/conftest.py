"""Shortcuts to a payment in each state, and to the bank's ledger."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.answer import Performed
from domain.payment import Payment, PaymentState, Verb
from domain.request import AuthorizeRequest, OperateRequest
from gateway.gateway import Gateway


@pytest.fixture
def authorized(gateway: Gateway, tenant: UUID, wish: Callable[..., AuthorizeRequest]) -> Callable[..., Awaitable[Payment]]:
    """Makes a payment and expects it to be AUTHORIZED."""

    async def make(**how: Any) -> Payment:
        answer = await gateway.authorize(tenant, wish(**how))
        assert isinstance(answer, Performed)
        assert answer.payment.state is PaymentState.AUTHORIZED
        return answer.payment

    return make


@pytest.fixture
def operate(gateway: Gateway, tenant: UUID, on: Callable[..., OperateRequest]) -> Callable[..., Awaitable[Any]]:
    """Asks for an operation on a payment."""

    async def ask(verb: Verb, payment_id: UUID, key: str | None = None) -> Any:
        return await gateway.operate(tenant, verb, on(payment_id, key))

    return ask


@pytest.fixture
def ledger(control: httpx.AsyncClient) -> Callable[[], Awaitable[Any]]:
    """The bank's books, as its control address shows them."""

    async def read() -> Any:
        return (await control.get("/ledger")).json()

    return read
