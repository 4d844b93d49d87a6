"""Clients that behave like a good shop's: a request is repeated with the same key until it is answered, whatever happens meanwhile."""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from bank.mock.validation import check_digit
from domain.backoff import backoff_s
from tests.chaos.notebook import Notebook
from tests.chaos.schedule import Manners, Order
from tests.chaos.system import CARD_PREFIX, CVV

TIMEOUT_S = 20.0  # the API answers a payment within 8 s, and when its database hangs within some more
# Before a request is repeated: growing, or clients who all come back at once would keep an API down that has only stumbled.
REPEAT_BASE_S, REPEAT_CAP_S = 0.2, 10.0
LOOK_S, LOOK_CAP_S = 0.5, 8.0  # between two looks at a payment that the bank has not answered: doubling
NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError)  # what says nothing about whether the request was served
NO_MONEY = {"number": "5555555555554444", "cvv": "789", "expiryMonth": 9, "expiryYear": 2030}  # contract §6
ASKED_AGAIN = 5  # every so many orders the first request is repeated when everything is done
START = {"capture": "AUTHORIZED", "void": "AUTHORIZED", "refund": "CAPTURED"}

RECEIPT = "fragment Receipt on Payment { id orderId state reviewReasons pendingOperation { verb } }"
PAYMENT = f"query ($id: ID!) {{ payment(id: $id) {{ ...Receipt }} }} {RECEIPT}"


def mutation(verb: str) -> str:
    """The document of one of the four."""
    return (
        f"mutation ($input: {verb.capitalize()}PaymentInput!) {{ answer: {verb}Payment(input: $input) {{ __typename "
        f"... on PaymentPayload {{ replayed payment {{ ...Receipt }} }} ... on UserError {{ code message }} }} }} {RECEIPT}"
    )


class Unanswered(Exception):
    """There was no answer until the very end."""


@dataclass
class Shop:
    """One partner's clients. `give_up` is set in the very end, when nobody waits for an answer any more."""

    number: int
    url: str
    http: aiohttp.ClientSession
    notebook: Notebook
    chance: Random
    give_up: asyncio.Event

    async def play(self, order: Order) -> None:
        """An order's way, to its end."""
        try:
            await self._play(order)
        except Unanswered:
            self.notebook.surprise(f"order-{order.number}: no answer until the end")

    async def _play(self, order: Order) -> None:
        answer = await self._mutate(order, "authorize", self._wish(order))
        if answer["__typename"] != "PaymentPayload":
            return self.notebook.surprise(f"order-{order.number}: authorize was refused: {answer}")
        payment = await self._decided(answer["payment"])
        for verb in order.road:
            if payment["state"] != START[verb]:
                return None
            wish = {"idempotencyKey": f"order-{order.number}-{verb}", "paymentId": payment["id"]}
            answer = await self._mutate(order, verb, wish)
            payment = await self._decided(answer.get("payment") or payment)
            if answer["__typename"] != "PaymentPayload" and not payment["reviewReasons"]:
                return self.notebook.surprise(f"order-{order.number}: {verb} was refused and nothing is flagged: {answer}")
        if order.number % ASKED_AGAIN == 0:
            again = await self._answer("authorize", self._wish(order))
            if again.get("replayed") is not True or again["payment"]["id"] != payment["id"]:
                self.notebook.surprise(f"order-{order.number}: asked again in the end, authorize was answered {again}")
        return None

    def _wish(self, order: Order) -> dict[str, Any]:
        card = NO_MONEY
        if order.card is not None:
            card = {"number": card_number(order.card), "cvv": CVV, "expiryMonth": 12, "expiryYear": 2035}
        return {
            "idempotencyKey": f"order-{order.number}-authorize",
            "orderId": f"order-{order.number}",
            "customerId": "customer",
            "amount": {"minorUnits": order.amount_minor, "currency": "USD"},
            "source": {"card": card},
            "wait": "ACCEPTANCE" if order.manners is Manners.ACCEPTANCE else "OUTCOME",
        }

    async def _mutate(self, order: Order, verb: str, wish: dict[str, Any]) -> dict[str, Any]:
        """A mutation's answer, asked for in the order's manners."""
        match order.manners:
            case Manners.HANGS_UP:
                with suppress(*NO_ANSWER):
                    async with asyncio.timeout(order.leaves_after_s) as patience:
                        await self._post(mutation(verb), {"input": wish})
                self.notebook.counts["hang-ups of clients"] += patience.expired()
            case Manners.TWICE:
                one, other = await asyncio.gather(*(self._answer(verb, wish) for _ in range(2)))
                self.notebook.counts["twice at once"] += 1
                self._compare(order, verb, one, other)
                return one
        return await self._answer(verb, wish)

    def _compare(self, order: Order, verb: str, one: dict[str, Any], other: dict[str, Any]) -> None:
        """Two answers to one key: about the same payment, and only one of them is the first."""
        payments = {answer["payment"]["id"] for answer in (one, other) if "payment" in answer}
        firsts = [answer for answer in (one, other) if answer.get("replayed") is False]
        if len(payments) > 1 or len(firsts) > 1:
            self.notebook.surprise(f"order-{order.number}: {verb} twice at once was answered as {one} and {other}")

    async def _answer(self, verb: str, wish: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.ask(mutation(verb), {"input": wish}))["answer"]
        if "payment" in answer:
            self.notebook.acknowledge(self.number, answer["payment"])
        return answer

    async def _decided(self, payment: dict[str, Any]) -> dict[str, Any]:
        """The payment once the bank has answered; looked at again and again."""
        pause_s = LOOK_S
        while payment["state"] == "PENDING" or payment["pendingOperation"] is not None:
            await self._pause(pause_s)
            pause_s = min(pause_s * 2, LOOK_CAP_S)
            looked = (await self.ask(PAYMENT, {"id": payment["id"]}))["payment"]
            if looked is None:
                self.notebook.surprise(f"{payment['orderId']}: {payment['id']} was acknowledged and is not found")
                raise Unanswered
            payment = looked
        self.notebook.acknowledge(self.number, payment)
        return payment

    async def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of the first answer that there is."""
        for tries in itertools.count(1):
            pause_s = backoff_s(tries, base_s=REPEAT_BASE_S, cap_s=REPEAT_CAP_S, random=self.chance.random())
            with suppress(*NO_ANSWER):
                status, retry_after_s, document = await self._post(query, variables)
                if status == 200 and "errors" not in document:
                    return dict(document["data"])
                if status != 503:
                    self.notebook.surprise(f"HTTP {status}: {str(document)[:300]}")
                pause_s += min(retry_after_s, REPEAT_CAP_S)
            self.notebook.counts["repeats"] += 1
            await self._pause(pause_s)
        raise AssertionError("unreachable: it counts for ever")

    async def _post(self, query: str, variables: dict[str, Any]) -> tuple[int, float, dict[str, Any]]:
        """Status, seconds of Retry-After, and the document."""
        self.notebook.counts["requests"] += 1
        async with self.http.post(self.url, json={"query": query, "variables": variables}) as response:
            return response.status, float(response.headers.get("Retry-After", 0)), await response.json()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.give_up.wait(), seconds)
        if self.give_up.is_set():
            raise Unanswered


def card_number(index: int) -> str:
    """The bank's good cards, by number."""
    digits = f"{CARD_PREFIX}{index:09d}"
    return digits + check_digit(digits)
