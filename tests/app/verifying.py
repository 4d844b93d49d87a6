"""Payments in every state through the real gateway, and the checker over them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.verification import Verification, verify
from domain.answer import Performed
from domain.payment import Payment, PaymentState, Verb
from domain.request import AuthorizeRequest, OperateRequest
from domain.violation import Breach
from gateway.gateway import Gateway
from gateway.recovery import Recovery
from persistence.database import Database

S = PaymentState
STEPS = {
    S.AUTHORIZED: (),
    S.CAPTURED: (Verb.CAPTURE,),
    S.VOIDED: (Verb.VOID,),
    S.REFUNDED: (Verb.CAPTURE, Verb.REFUND),
}


@dataclass
class Till:
    """A partner with a gateway and a bank of this test's own."""

    gateway: Gateway
    recovery: Recovery
    tenant: UUID
    database: Database
    control: httpx.AsyncClient
    here: Any
    line: Any
    wish: Callable[..., AuthorizeRequest]
    on: Callable[..., OperateRequest]

    async def authorize(self, **how: Any) -> Payment:
        """A payment, as it is when the answer comes."""
        answer = await self.gateway.authorize(self.tenant, self.wish(**how))
        assert isinstance(answer, Performed)
        return answer.payment

    async def operate(self, verb: Verb, payment: Payment) -> Any:
        """Ask for an operation."""
        return await self.gateway.operate(self.tenant, verb, self.on(payment.id))

    async def payment_in(self, state: PaymentState) -> Payment:
        """A payment that came into this state."""
        if state is S.PENDING:
            self.line.accidents = ["reset"] * 3
            payment = await self.authorize()
            self.line.accidents = []
            return payment
        if state is S.DECLINED:
            return await self.authorize(amount=100_000_000)
        payment = await self.authorize()
        for verb in STEPS.get(state, (Verb.CAPTURE,)):
            if state is S.EXPIRED:
                await self.control.post(f"/authorizations/{payment.bank.authorization}/expire")
            await self.operate(verb, payment)
        if state is S.EXPIRED:
            await self.recovery.run_once()  # releases the hold
        return payment

    async def sql(self, statement: str, **values: Any) -> None:
        """Change the rows of this partner, as the owner may."""
        async with self.database.tenant(self.tenant) as tx:
            await tx.execute(
                text(f"{statement}{' and' if ' where ' in statement else ' where'} tenant_id = :tenant"),
                {"tenant": self.tenant, **values},
            )

    async def ledger(self) -> Any:
        """The bank's books as they are now."""
        return (await self.control.get("/ledger")).json()

    async def verify(self, document: Any = None, **how: Any) -> Verification:
        """The checker over this partner alone."""
        given = {"now": self.here.time, "tenants": [self.tenant], **how}
        return await verify(self.database, await self.ledger() if document is None else document, **given)

    async def breaches(self, document: Any = None, **how: Any) -> set[Breach]:
        """What the checker finds."""
        return {each.breach for each in (await self.verify(document, **how)).violations}
