"""Payments of one partner, brought into trouble, and the names of what there is not."""

import httpx

from domain.answer import Performed
from domain.ids import IdKind, encode_id
from domain.payment import Verb, review
from persistence.payments import get_payments, lock_payments, save_payments

NOBODY = "ptn_00000000000000000000000005"
NOTHING = "pay_00000000000000000000000005"
REFERENCE = "{}_0f8fad5b-d9cb-469f-a165-70867728950e"
BY = ("--by", "ada", "--note", "ticket 17")


async def teapot(request):
    return httpx.Response(418, text="teapot", request=request)


class Office:
    """Payments of one partner, brought into trouble."""

    def __init__(self, gateway, tenant, wish, on, line, recovery, here, database):
        self.gateway, self.tenant, self._wish, self._on = gateway, tenant, wish, on
        self._line, self._recovery, self._here, self._database = line, recovery, here, database
        self.partner = encode_id(IdKind.PARTNER, tenant)

    async def authorized(self, *, accident=None, **how):
        """A payment, and what happened to its first try."""
        self._line.accidents = [accident] if accident else []
        answer = await self.gateway.authorize(self.tenant, self._wish(**how))
        assert isinstance(answer, Performed)
        self._here.pass_by(60)
        return answer.payment

    async def captured(self, *, accident=None, **how):
        """The same, captured."""
        payment = await self.authorized(**how)
        self._line.accidents = [accident] if accident else []
        return (await self.operate(Verb.CAPTURE, payment)).payment

    async def operate(self, verb, payment, key=None):
        """What the partner asks for. Ids of one moment have no order, so that the next thing happens in the next."""
        answer = await self.gateway.operate(self.tenant, verb, self._on(payment.id, key))
        self._here.pass_by(1)
        return answer

    async def forgotten(self):
        """A PENDING payment whose key the bank has forgotten."""
        self._line.accidents = ["reset"] * 6
        payment = (await self.gateway.authorize(self.tenant, self._wish())).payment
        self._line.accidents = []
        self._here.pass_by(24 * 3600)
        await self._recovery.run_once()
        return payment

    async def stuck(self, verb):
        """A payment with an operation that the bank answers with nonsense."""
        payment = await (self.captured() if verb is Verb.REFUND else self.authorized())
        self._line.accidents = [teapot] * 12
        await self.operate(verb, payment, "stuck")
        self._here.pass_by(60)
        await self._recovery.run_once()
        return payment

    async def flagged(self, *reasons):
        """A payment with these flags."""
        payment = await self.authorized()
        async with self._database.tenant(self.tenant) as tx:
            (locked,) = (await lock_payments(tx, self.tenant, [payment.id])).values()
            for reason in reasons:
                locked = review(locked, reason)
            await save_payments(tx, self.tenant, [locked])
        return payment

    async def now(self, payment):
        """The payment as it stands."""
        async with self._database.tenant(self.tenant) as tx:
            return (await get_payments(tx, self.tenant, [payment.id]))[payment.id]


def pay(payment):
    """The public id."""
    return encode_id(IdKind.PAYMENT, payment.id)
