"""FicMart, as far as money is concerned: pays orders through the API and keeps asking until it knows how each ended."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from app.demo import documents
from app.demo.names import Names
from app.demo.wire import Reply, Wire
from domain.card import CardDetails
from domain.money import CURRENCY
from domain.payment import BankReferences, PaymentState, ReviewReason, Verb

SETTLED_WITHIN_S: Final = 90.0  # the worker takes over what a killed API left within half a minute
POLL_FIRST_S, POLL_CAP_S = 0.2, 1.0
PAGE: Final = 100  # the API's largest
MAX_RECEIPTS: Final = 5_000  # of one listing; more are somebody's load test, not a play


class NotSettled(Exception):
    """The bank's answer did not come in time."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants to pay for."""

    id: str
    customer_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment as the API shows it. Times stay as they were written."""

    id: str
    reference: str
    order_id: str
    customer_id: str
    amount_minor: int
    currency: str
    formatted: str
    state: PaymentState
    brand: str
    last_four: str
    history: tuple[tuple[PaymentState, str], ...]
    bank: BankReferences
    decline: tuple[str, str] | None  # code, message
    review_reasons: frozenset[ReviewReason]
    pending: Verb | None

    @property
    def moments(self) -> list[datetime]:
        """The times of the history."""
        return [datetime.fromisoformat(at) for _, at in self.history]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is awaited. An expired hold's release is the API's own affair: nobody has to wait for it."""
        return self.state is PaymentState.EXPIRED or (self.state is not PaymentState.PENDING and self.pending is None)

    @property
    def is_released(self) -> bool:
        """Whether the bank gave the held money back."""
        return self.bank.void is not None or ReviewReason.VOID_REFERENCE_UNKNOWN in self.review_reasons

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing will change any more unless somebody asks for it."""
        return self.is_settled and (self.state is not PaymentState.EXPIRED or self.is_released)


@dataclass(frozen=True, slots=True)
class Done:
    """The payment after an operation. `document` is what the API answered, field by field."""

    receipt: Receipt
    replayed: bool
    asked: int  # how often the request was sent
    document: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was done, and why. `kind` is the name of the error's type."""

    kind: str
    code: str
    message: str
    path: tuple[str, ...] | None
    payment_id: str | None = None
    current_state: str | None = None


Answer = Done | Refused


@dataclass(frozen=True, slots=True)
class ShipCheck:
    """May this order be shipped?"""

    ready: bool
    reason: str
    payment_id: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some receipts of a list."""

    receipts: tuple[Receipt, ...]
    has_next: bool
    end_cursor: str | None
    total: int | None


class Shop:
    """FicMart's client. Each request has a fresh idempotency key unless one is given."""

    def __init__(self, wire: Wire, names: Names) -> None:
        self.wire = wire
        self.names = names

    def order(self, amount_minor: int, customer_id: str | None = None) -> Order:
        """A new order, of a new customer unless one is given."""
        return Order(self.names.order(), customer_id or self.names.customer(), amount_minor)

    def wish(self, order: Order, card: CardDetails, key: str | None = None) -> dict[str, Any]:
        """The input of authorizePayment."""
        return {
            "idempotencyKey": key or self.names.key(),
            "orderId": order.id,
            "customerId": order.customer_id,
            "amount": {"minorUnits": order.amount_minor, "currency": CURRENCY},
            "source": {
                "card": {
                    "number": card.number,
                    "cvv": card.cvv,
                    "expiryMonth": card.expiry_month,
                    "expiryYear": card.expiry_year,
                }
            },
        }

    async def authorize(self, order: Order, card: CardDetails, key: str | None = None) -> Answer:
        """Hold the order's amount on a card."""
        return await self.send_wish(self.wish(order, card, key))

    async def send_wish(self, wish: Mapping[str, Any]) -> Answer:
        """authorizePayment with this input; asked until the answer is final."""
        return await self._final(lambda: self._mutate("authorizePayment", documents.AUTHORIZE, wish))

    async def send_wish_briefly(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """The same with another selection set: what the API answered, as it is."""
        reply = await self.wire.ask(documents.AUTHORIZE_BRIEFLY, {"input": dict(wish)})
        answer: dict[str, Any] = reply.data["authorizePayment"]
        return answer

    async def operate(self, verb: Verb, payment_id: str, key: str | None = None) -> Answer:
        """Capture, void or refund; asked until the answer is final."""
        wish = {"idempotencyKey": key or self.names.key(), "paymentId": payment_id}
        field_name = f"{verb.value.lower()}Payment"
        return await self._final(lambda: self._mutate(field_name, documents.OPERATIONS[verb], wish))

    async def payment(self, payment_id: str) -> Receipt | None:
        """The receipt as it is now."""
        document = (await self.wire.ask(documents.PAYMENT, {"id": payment_id})).data["payment"]
        return receipt_of(document) if document else None

    async def ship_check(self, order_id: str) -> ShipCheck:
        """Whether the order may be shipped."""
        answer = (await self.wire.ask(documents.ORDER_PAYMENT, {"orderId": order_id})).data["orderPayment"]
        return ShipCheck(answer["readyToShip"], answer["reason"], (answer["payment"] or {}).get("id"))

    async def page(self, where: dict[str, Any], *, first: int, after: str | None = None, counted: bool = False) -> Page:
        """A page of the receipts that match, newest first."""
        document = documents.COUNTED_PAYMENTS if counted else documents.PAYMENTS
        answer = (await self.wire.ask(document, {"first": first, "after": after, "filter": where})).data["payments"]
        info = answer["pageInfo"]
        receipts = tuple(receipt_of(edge["node"]) for edge in answer["edges"])
        return Page(receipts, info["hasNextPage"], info["endCursor"], answer.get("totalCount"))

    async def all_receipts(self, where: dict[str, Any]) -> list[Receipt]:
        """Every receipt that matches, at most MAX_RECEIPTS, newest first."""
        found: list[Receipt] = []
        page = await self.page(where, first=PAGE)
        found += page.receipts
        while page.has_next and len(found) < MAX_RECEIPTS:
            page = await self.page(where, first=PAGE, after=page.end_cursor)
            found += page.receipts
        return found

    async def partner(self) -> str:
        """Who the API takes us for."""
        name: str = (await self.wire.ask(documents.VIEWER, {})).data["viewer"]["partner"]["name"]
        return name

    async def until(self, payment_id: str, holds: Callable[[Receipt], bool], within_s: float) -> Receipt:
        """The receipt once something holds for it. Raises NotSettled when that takes too long."""
        world = self.wire.world
        give_up_at_s, wait_s = world.clock() + within_s, POLL_FIRST_S
        while True:
            receipt = await self.payment(payment_id)
            if receipt is not None and holds(receipt):
                return receipt
            if world.clock() + wait_s > give_up_at_s:
                seen = "not found" if receipt is None else f"{receipt.state}, pending: {receipt.pending}"
                raise NotSettled(f"payment {payment_id} after {within_s:.0f} s: {seen}")
            await world.sleep(wait_s)
            wait_s = min(wait_s * 1.5, POLL_CAP_S)

    async def _final(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """While the bank's answer is awaited, watch the payment; then repeat the request to learn how it ended."""
        world = self.wire.world
        give_up_at_s = world.clock() + SETTLED_WITHIN_S
        while True:
            answer = await ask()
            match answer:
                case Done(receipt) if not receipt.is_settled:
                    await self.until(receipt.id, lambda current: current.is_settled, SETTLED_WITHIN_S)
                case Refused("IdempotencyInProgressError"):
                    await world.sleep(POLL_CAP_S)
                case _:
                    return answer
            if world.clock() > give_up_at_s:
                raise NotSettled(f"no final answer after {SETTLED_WITHIN_S:.0f} s")

    async def _mutate(self, field_name: str, document: str, wish: Mapping[str, Any]) -> Answer:
        reply: Reply = await self.wire.ask(document, {"input": dict(wish)})
        answer = reply.data[field_name]
        if answer["__typename"] == "PaymentPayload":
            return Done(receipt_of(answer["payment"]), answer["replayed"], reply.asked, answer["payment"])
        return refusal_of(answer)


def refusal_of(answer: Mapping[str, Any]) -> Refused:
    """A UserError out of JSON."""
    return Refused(
        kind=answer["__typename"],
        code=answer["code"],
        message=answer["message"],
        path=None if answer["path"] is None else tuple(answer["path"]),
        payment_id=answer.get("paymentId"),
        current_state=answer.get("currentState"),
    )


def receipt_of(document: Mapping[str, Any]) -> Receipt:
    """A Payment out of JSON."""
    decline, pending = document["decline"], document["pendingOperation"]
    return Receipt(
        id=document["id"],
        reference=document["reference"],
        order_id=document["orderId"],
        customer_id=document["customerId"],
        amount_minor=int(document["amount"]["minorUnits"]),
        currency=document["amount"]["currency"],
        formatted=document["amount"]["formatted"],
        state=PaymentState(document["state"]),
        brand=document["card"]["brand"],
        last_four=document["card"]["lastFour"],
        history=tuple((PaymentState(each["state"]), each["at"]) for each in document["history"]),
        bank=BankReferences(**document["bankReferences"]),
        decline=None if decline is None else (decline["code"], decline["message"]),
        review_reasons=frozenset(ReviewReason(reason) for reason in document["reviewReasons"]),
        pending=None if pending is None else Verb(pending["verb"]),
    )
