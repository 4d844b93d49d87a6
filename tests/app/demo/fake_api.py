"""The API in memory, behind the published schema: the rules are those of `domain`, the bank is a real mock, there is no database."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from inspect import isawaitable
from pathlib import Path
from typing import Any

import httpx
from graphql import GraphQLSchema, build_schema, execute, parse

from bank.answer import Done, Refused
from bank.client import AuthorizeCall, BankCall, BankClient, CaptureCall, RefundCall, VoidCall, bank_http
from bank.mock import Bank
from domain.answer import InvalidInput, InvalidTransition, refusal_of
from domain.card import CardDetails
from domain.ids import IdKind, encode_id, time_ordered_uuid
from domain.order import decisive_payment, order_payment
from domain.payment import LIVE_STATES, Payment, PaymentState, PendingOperation, Standing, Verb, step
from domain.request import AuthorizeRequest, RawAuthorize, RawCard, parse_authorize, parse_operate
from gateway.interpretation import interpret, refusal_sentence

SCHEMA_FILE = Path(__file__).resolve().parents[3] / "schema" / "schema.graphql"
KEY = "gp_live_of_the_test"
URL = "http://api/graphql"
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
UNPUBLISHED_NOW = timedelta(milliseconds=1)  # each event has a moment of its own


_parsed = lru_cache(parse)  # that they are valid is proved once, in test_documents.py


@lru_cache
def published_schema() -> GraphQLSchema:
    """The schema as partners have it."""
    return build_schema(SCHEMA_FILE.read_text())


@dataclass
class _Kept:
    """What came of a request, under its idempotency key."""

    fingerprint: str
    answer: asyncio.Future[dict[str, Any]]
    payment_id: str = ""  # when the answer was not final


class FakeApi:
    """`transport` is what an HTTP client needs. Overwrite a method to plant a fault."""

    def __init__(self, bank: Bank) -> None:
        self.bank = BankClient(bank_http("http://bank", httpx.ASGITransport(app=bank.app)))
        self.schema = published_schema()
        self.payments: dict[str, Payment] = {}
        self.kept: dict[str, _Kept] = {}
        self.time = START
        self.slow = False  # the bank's answer to an authorization comes only after the payment has been looked at
        self.unfinished: dict[str, Callable[[], Awaitable[None]]] = {}
        self.pending: dict[str, PendingOperation] = {}
        self.released: set[str] = set()  # expired holds
        self.accidents: list[Callable[[httpx.Request], httpx.Response | None]] = []
        self.requests = 0
        self.transport = httpx.MockTransport(self._handle)

    def now(self) -> datetime:
        """Moves on a little whenever somebody looks."""
        self.time += UNPUBLISHED_NOW
        return self.time

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.accidents and (response := self.accidents.pop(0)(request)) is not None:
            return response
        if request.headers.get("authorization") != f"Bearer {KEY}":
            error = {"message": "There is no such API key.", "extensions": {"code": "UNAUTHENTICATED"}}
            return httpx.Response(401, json={"errors": [error]})
        body = json.loads(request.content)
        root = {
            "viewer": {"partner": {"name": "FicMart"}, "apiKey": {"name": "test", "prefix": "gp_live_of"}},
            "payment": self.payment,
            "payments": self.page,
            "orderPayment": self.ship_check,
            "authorizePayment": self.authorize,
            "capturePayment": lambda info, input: self.operate(Verb.CAPTURE, input),  # noqa: A006, ARG005
            "voidPayment": lambda info, input: self.operate(Verb.VOID, input),  # noqa: A006, ARG005
            "refundPayment": lambda info, input: self.operate(Verb.REFUND, input),  # noqa: A006, ARG005
        }
        document = _parsed(body["query"])
        result = execute(self.schema, document, root_value=root, variable_values=body["variables"])
        result = await result if isawaitable(result) else result
        return httpx.Response(200, json=result.formatted)

    # --- queries ------------------------------------------------------------------------------------------------------

    async def payment(self, info: Any, id: str) -> dict[str, Any] | None:  # noqa: A002, ARG002
        await self._work(id)
        return self.show(self.payments[id]) if id in self.payments else None

    async def _work(self, payment_id: str) -> None:
        """What the worker would do meanwhile."""
        if finish := self.unfinished.pop(payment_id, None):
            await finish()
        payment = self.payments.get(payment_id)
        if payment is not None and payment.state is PaymentState.EXPIRED and payment_id not in self.released:
            self.released.add(payment_id)
            await self._ask_bank(Verb.VOID, payment, VoidCall(payment.bank.authorization or ""))

    async def page(self, info: Any, *, first: int, after: str | None = None, **arguments: Any) -> dict[str, Any]:  # noqa: ARG002
        for payment_id in list(self.payments):
            await self._work(payment_id)
        where = arguments.get("filter") or {}
        found = [payment for payment in reversed(self.payments.values()) if _matches(payment, where)]
        start = int(after) if after else 0
        end = start + first
        edges = [{"cursor": str(start + place + 1), "node": self.show(each)} for place, each in enumerate(found[start:end])]
        return {
            "totalCount": len(found),
            "edges": edges,
            "pageInfo": {
                "hasNextPage": end < len(found),
                "hasPreviousPage": start > 0,
                "startCursor": edges[0]["cursor"] if edges else None,
                "endCursor": edges[-1]["cursor"] if edges else None,
            },
        }

    def ship_check(self, info: Any, orderId: str) -> dict[str, Any]:  # noqa: ARG002, N803
        decisive = decisive_payment([Standing(each) for each in self.payments.values() if each.order_id == orderId])
        payment = decisive.payment if decisive else None
        answer = order_payment(decisive, self.time)
        return {
            "readyToShip": answer.ready_to_ship,
            "reason": answer.reason.value,
            "state": payment.state.value if payment else None,
            "payment": self.show(payment) if payment else None,
        }

    # --- mutations ----------------------------------------------------------------------------------------------------

    async def authorize(self, info: Any, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, ARG002
        card = input["source"]["card"]
        raw = RawAuthorize(
            input["idempotencyKey"],
            input["orderId"],
            input["customerId"],
            input["amount"]["minorUnits"],
            input["amount"]["currency"],
            RawCard(card["number"], card["cvv"], card["expiryMonth"], card["expiryYear"]),
        )
        request = parse_authorize(raw, self.time)
        if isinstance(request, InvalidInput):
            return _invalid(request)
        return await self._once(input, Verb.AUTHORIZE, lambda: self._authorize(request))

    async def _authorize(self, request: AuthorizeRequest) -> dict[str, Any]:
        live = [each for each in self.payments.values() if each.order_id == request.order_id and each.state in LIVE_STATES]
        if live:
            return {
                **_error("OrderAlreadyPaidError", "ORDER_ALREADY_PAID", "This order has a live payment."),
                "paymentId": _id(live[0]),
                "currentState": live[0].state.value,
            }
        payment = Payment(
            id=time_ordered_uuid(self.now(), len(self.payments)),
            order_id=request.order_id,
            customer_id=request.customer_id,
            amount=request.amount,
            card=request.card.summary,
            state=PaymentState.PENDING,
            reached={PaymentState.PENDING: self.time},
        )
        self.payments[_id(payment)] = payment

        async def finish() -> None:
            self.pending.pop(_id(payment), None)
            await self._ask_bank(Verb.AUTHORIZE, payment, self.hold(request.card, request.amount.minor_units))

        if self.slow:
            self.pending[_id(payment)] = PendingOperation(Verb.AUTHORIZE, self.time, 1)
            self.unfinished[_id(payment)] = finish
        else:
            await finish()
        return self._payload(payment)

    def hold(self, card: CardDetails, amount_minor: int) -> AuthorizeCall:
        """What is asked of the bank."""
        return AuthorizeCall(card, amount_minor)

    async def operate(self, verb: Verb, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        request = parse_operate(input["idempotencyKey"], input["paymentId"])
        if isinstance(request, InvalidInput):
            return _invalid(request)
        payment = self.payments.get(input["paymentId"])
        if payment is None:
            return _error("NotFoundError", "NOT_FOUND", "There is no payment of yours with this id.", ["input", "paymentId"])
        return await self._once(input, verb, lambda: self._operate(verb, payment))

    async def _operate(self, verb: Verb, payment: Payment) -> dict[str, Any]:
        refusal = refusal_of(verb, payment, None)
        if refusal is not None:
            return self._refused(refusal)
        bank, amount = payment.bank, payment.amount.minor_units
        calls: dict[Verb, Callable[[], BankCall]] = {
            Verb.CAPTURE: lambda: CaptureCall(bank.authorization or "", amount),
            Verb.VOID: lambda: VoidCall(bank.authorization or ""),
            Verb.REFUND: lambda: RefundCall(bank.capture or "", amount),
        }
        sentence = await self._ask_bank(verb, payment, calls[verb]())
        if sentence is not None:
            now = self.payments[_id(payment)]
            return self._refused(InvalidTransition(now.id, now.state, sentence))
        return self._payload(payment)

    async def _ask_bank(self, verb: Verb, payment: Payment, call: BankCall) -> str | None:
        key = encode_id(IdKind.ATTEMPT, time_ordered_uuid(self.now(), self.requests << 8 | list(Verb).index(verb)))
        answer = await self.bank.send(call, key)
        assert isinstance(answer, Done | Refused), answer
        outcome = interpret(verb, payment, answer, 0)
        moved = step(payment, outcome, self.now())
        self.payments[_id(payment)] = moved
        return refusal_sentence(verb, moved, outcome)

    async def _once(self, wish: dict[str, Any], verb: Verb, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        fingerprint = json.dumps([verb, wish], sort_keys=True)
        key = wish["idempotencyKey"]
        known = self.kept.get(key)
        if known is not None and known.fingerprint != fingerprint:
            return _error("IdempotencyMismatchError", "IDEMPOTENCY_MISMATCH", "This key was used for something else.")
        if known is not None and known.payment_id in self.pending:
            return {**self._payload(self.payments[known.payment_id]), "replayed": True}
        if known is not None and known.payment_id:
            return self.replay(self._payload(self.payments[known.payment_id]))
        if known is not None:
            return self.replay(await known.answer)
        kept = self.kept[key] = _Kept(fingerprint, asyncio.get_running_loop().create_future())
        answer = await work()
        if answer["__typename"] != "PaymentPayload":
            del self.kept[key]  # nothing was done
        elif answer["payment"]["pendingOperation"] is not None:
            kept.payment_id = answer["payment"]["id"]
        kept.answer.set_result(answer)
        return answer

    def replay(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request that was made before."""
        return {**answer, "replayed": True}

    # --- answers ------------------------------------------------------------------------------------------------------

    def _payload(self, payment: Payment) -> dict[str, Any]:
        return {"__typename": "PaymentPayload", "replayed": False, "payment": self.show(self.payments[_id(payment)])}

    def _refused(self, refusal: InvalidTransition) -> dict[str, Any]:
        return {
            **_error("InvalidTransitionError", "INVALID_TRANSITION", refusal.message),
            "paymentId": encode_id(IdKind.PAYMENT, refusal.payment_id),
            "currentState": refusal.state.value,
        }

    def show(self, payment: Payment) -> dict[str, Any]:
        """A payment as the schema has it."""
        pending = self.pending.get(_id(payment))
        return {
            "id": _id(payment),
            "reference": payment.reference,
            "orderId": payment.order_id,
            "customerId": payment.customer_id,
            "amount": {
                "minorUnits": payment.amount.minor_units,
                "currency": payment.amount.currency,
                "formatted": payment.amount.formatted,
            },
            "state": payment.state.value,
            "card": {"brand": payment.card.brand.value, "lastFour": payment.card.last_four},
            "createdAt": payment.created_at.isoformat(),
            "history": [{"state": state.value, "at": at.isoformat()} for state, at in payment.history],
            "bankReferences": {name: getattr(payment.bank, name) for name in ("authorization", "capture", "void", "refund")},
            "decline": {"code": payment.decline.code.value, "message": payment.decline.message} if payment.decline else None,
            "needsReview": bool(payment.review_reasons),
            "reviewReasons": sorted(payment.review_reasons),
            "pendingOperation": {"verb": pending.verb.value, "since": pending.since.isoformat(), "attempts": 1}
            if pending
            else None,
        }


def _id(payment: Payment) -> str:
    return encode_id(IdKind.PAYMENT, payment.id)


def _matches(payment: Payment, where: dict[str, Any]) -> bool:
    return (
        where.get("orderId") in (None, payment.order_id)
        and where.get("customerId") in (None, payment.customer_id)
        and (where.get("states") is None or payment.state.value in where["states"])
    )


def _error(kind: str, code: str, message: str, path: list[str] | None = None) -> dict[str, Any]:
    return {"__typename": kind, "code": code, "message": message, "path": path}


def _invalid(answer: InvalidInput) -> dict[str, Any]:
    first = answer.problems[0]
    return {**_error("InvalidInputError", "INVALID_INPUT", first.message, list(first.path)), "problems": []}
