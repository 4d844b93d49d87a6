"""Shortcuts to a payment in each state, and to the bank's ledger."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.answer import Performed
from domain.audit import AuditEntry
from domain.payment import Payment, PaymentState, Standing, Verb
from domain.reconciliation import Counts, ReportLine, Run, Trigger
from domain.request import AuthorizeRequest, OperateRequest
from gateway import reconciliation as reconciliation_runs
from gateway.gateway import Gateway
from gateway.parts import Parts
from gateway.reconciliation import Finished, Reconciliation
from gateway.recovery import Recovery
from persistence.audit import newest_entries
from persistence.database import Database
from persistence.payments import get_standings
from persistence.reports import page_of_lines, page_of_runs


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


@pytest.fixture
def reconciliation(parts: Parts) -> Reconciliation:
    """Makes runs; payments over a thousand dollars are flagged where they are repaired."""
    return Reconciliation(parts, repair_limit_minor=100_000)


@pytest.fixture
def reconcile(
    reconciliation: Reconciliation, tenant: UUID, here: Any, database: Database
) -> Callable[[], Awaitable[tuple[Counts, list[ReportLine]]]]:
    """A run to its end, a second later: its counts, and what it reports."""

    async def make() -> tuple[Counts, list[ReportLine]]:
        here.pass_by(1)
        ending = await reconciliation.reconcile(tenant, Trigger.OPERATOR)
        assert isinstance(ending, Finished)
        async with database.tenant(tenant) as tx:
            return ending.run.counts, await page_of_lines(tx, tenant, ending.run.id, limit=1000)

    return make


@pytest.fixture
def standing(database: Database, tenant: UUID) -> Callable[[UUID], Awaitable[Standing]]:
    """How a payment stands."""

    async def read(payment_id: UUID) -> Standing:
        async with database.tenant(tenant) as tx:
            return (await get_standings(tx, tenant, [payment_id]))[payment_id]

    return read


@pytest.fixture
def audited(database: Database, tenant: UUID) -> Callable[[UUID], Awaitable[list[AuditEntry]]]:
    """What the audit log has of a payment, newest first."""

    async def read(payment_id: UUID) -> list[AuditEntry]:
        async with database.tenant(tenant) as tx:
            return await newest_entries(tx, tenant, payment_id=payment_id, limit=100)

    return read


@pytest.fixture
def recover(recovery: Recovery, tenant: UUID) -> Callable[[], Awaitable[None]]:
    """Drives what is due of this test's partner. Other tests of the module have banks of their own, whose ids are the same."""

    async def drive() -> None:
        await recovery._start_due_of(tenant, 100)
        await recovery.settle()

    return drive


@pytest.fixture
def several(authorized: Callable[..., Awaitable[Payment]], here: Any) -> Callable[[int], Awaitable[list[Payment]]]:
    """Makes AUTHORIZED payments of a cent, a second apart, so that their ids are in this order."""

    async def make(count: int) -> list[Payment]:
        made = []
        for _ in range(count):
            made.append(await authorized(amount=1))
            here.pass_by(1)
        return made

    return make


@pytest.fixture
def expire(control: httpx.AsyncClient) -> Callable[[Payment], Awaitable[None]]:
    """Lets a payment's hold run out at the bank."""

    async def make(payment: Payment) -> None:
        await control.post(f"/authorizations/{payment.bank.authorization}/expire")

    return make


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two, in a reconciliation."""
    monkeypatch.setattr(reconciliation_runs, "PAGE", 2)


@pytest.fixture
def stored(database: Database, tenant: UUID) -> Callable[[], Awaitable[list[Run]]]:
    """The partner's reconciliations, newest first."""

    async def read() -> list[Run]:
        async with database.tenant(tenant) as tx:
            return await page_of_runs(tx, tenant, limit=10)

    return read
