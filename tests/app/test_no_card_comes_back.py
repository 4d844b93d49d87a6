"""No card number and no CVV comes back or is logged, whatever is sent."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.app.serving import Api, mutation
from tests.domain.examples import card_numbers

VIEWER = "{ viewer { partner { name } } }"
AUTHORIZE = mutation("authorizePayment")


cvvs = st.text("0123456789", min_size=3, max_size=4).filter(
    lambda cvv: cvv not in ("200", "201", "203", "400", "2000", "5000", "1999")
)
WISH = {
    "idempotencyKey": "k",
    "orderId": "o",
    "customerId": "c",
    "amount": {"minorUnits": 1, "currency": "USD"},
    "source": {"card": {"number": "", "cvv": "", "expiryMonth": 12, "expiryYear": 2030}},
}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of everything in the input, inner things too."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))


PLACES = list(leaves(WISH))


def placed(wish: Any, path: tuple[str, ...], value: Any) -> Any:
    """The input with a value put somewhere."""
    if not path:
        return value
    inner = wish.get(path[0], {}) if isinstance(wish, dict) else {}
    return {**(wish if isinstance(wish, dict) else {}), path[0]: placed(inner, path[1:], value)}


def as_literal(value: Any) -> str:
    """A value as a document has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {as_literal(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_literal(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@st.composite
def spoilt_requests(draw: st.DrawFn) -> tuple[Any, str, str]:
    """A request that holds a card and is wrong in some way; its number and its CVV."""
    number, cvv = draw(card_numbers), draw(cvvs)
    wish = placed(placed(WISH, ("source", "card", "number"), number), ("source", "card", "cvv"), cvv)
    shapes = [
        number,
        int(number),
        [number],
        {"x": number},
        {"number": number, "cvv": cvv},
        cvv,
        int(cvv),
        [cvv],
        None,
        True,
        number + ".5",
    ]
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES))
        if draw(st.booleans()):
            path = (*path, draw(st.sampled_from(["extra", "cvc", "number", "a1"])))
        wish = placed(wish, path, draw(st.sampled_from(shapes)))
    document = (
        f"mutation {{ authorizePayment(input: {as_literal(wish)}) {{ __typename ... on UserError {{ code message path }} }} }}"
    )
    match draw(st.sampled_from(["variables", "literals", "broken", "other"])):
        case "variables":
            body: Any = {
                "query": AUTHORIZE,
                "variables": {"input": wish} if draw(st.booleans()) else {"input": wish, number: cvv},
            }
        case "literals":
            body = {"query": document}
        case "broken":
            start, length = draw(st.integers(0, len(document))), draw(st.integers(0, 5))
            put = draw(
                st.sampled_from(
                    ["", " ", '"', "{", "}", "(", ")", ":", "$", "@", "...", f' "{cvv}" ', f" {number} ", '"""', "\\"]
                )
            )
            body = {"query": document[:start] + put + document[start + length :]}
        case _:
            query = draw(
                st.sampled_from(
                    [
                        VIEWER,
                        "{ payment(id: %s) { id } }",
                        "{ payments(first: %s) { nodes { id } } }",
                        "{ orderPayment(orderId: %s) { reason } }",
                    ]
                )
            )
            body = {
                "query": query.replace("%s", as_literal(draw(st.sampled_from(shapes)))),
                "operationName": draw(st.sampled_from([None, number])),
            }
    return body, number, cvv


def shows(text: str, number: str, cvv: str) -> bool:
    """Whether a text holds the number, or the CVV as a number of its own."""
    return number in text or re.search(rf"(?<![\w.]){cvv}(?![\w.])", text) is not None


async def test_no_card_number_and_no_cvv_comes_back_or_is_logged_whatever_is_sent(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Malformed in every way that hypothesis finds, in variables and in literals."""
    caplog.set_level(logging.INFO)
    loop, answered = asyncio.get_running_loop(), 0

    def exchange(body: Any) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(api.post(body), loop).result(timeout=10)

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt_requests())
    def check(spoilt: tuple[Any, str, str]) -> None:
        nonlocal answered
        body, number, cvv = spoilt
        caplog.clear()

        response = exchange(body)

        said = re.sub(r'"locations":\[[^\]]*\]', "", response.text)
        said = re.sub(r"(pay|err|att)_\w+", "", said)
        assert response.status_code < 500, response.text
        assert not shows(said, number, cvv), said
        assert not shows("\n".join(record.getMessage() for record in caplog.records), number, cvv), caplog.text
        answered += 1

    await asyncio.to_thread(check)

    assert answered >= 300
