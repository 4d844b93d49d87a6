"""Documents beyond a limit are refused with the reason, before they cost anything."""

import gc
import sys
from typing import Any

import pytest
from graphql import StringValueNode, get_introspection_query

from app import graphql
from tests.app.serving import Api

RESPONSE_JSON, JSON = "application/graphql-response+json", "application/json"


def nested(depth: int) -> str:
    """A document of this depth. It need not make sense: depth is told whatever the fields are."""
    return "{ viewer " * depth + "{ id }" + " }" * depth


def fragments(count: int) -> str:
    """Each fragment spreads the next one twice: 2^count ways through a document of a few kB."""
    chain = " ".join(f"fragment F{index} on Query {{ ...F{index + 1} ...F{index + 1} }}" for index in range(count))
    return f"{{ ...F0 }} {chain} fragment F{count} on Query {{ __typename }}"


REFUSED_DOCUMENTS = {
    "too deep": (nested(16), "nested more than 15 levels"),
    "deeper than the parser goes": (nested(2000), "nested too deeply"),
    "a literal deeper than the parser goes": ("{ payment(id: " + "[" * 2000 + "]" * 2000 + ") { id } }", "nested too deeply"),
    "too many aliases": (
        "{" + " ".join(f"a{index}: viewer {{ apiKey {{ id }} }}" for index in range(51)) + "}",
        "more than 50 aliases",
    ),
    "too many aliases in a fragment": (
        "{ ...F } fragment F on Query {" + " ".join(f"a{index}: __typename" for index in range(51)) + "}",
        "more than 50 aliases",
    ),
    "too many tokens": ("{" + "__typename " * 5000 + "}", "tokens"),
    "a fragment that spreads itself": ("{ ...F } fragment F on Query { ...F }", "within itself"),
    "two that spread each other": ("{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }", "within itself"),
}


@pytest.mark.parametrize(("document", "reason"), REFUSED_DOCUMENTS.values(), ids=REFUSED_DOCUMENTS.keys())
async def test_a_document_beyond_a_limit_is_refused_with_the_reason(api: Api, document: str, reason: str) -> None:
    response = await api.post({"query": document}, Accept=RESPONSE_JSON)

    assert response.status_code == 400
    assert any(reason in error["message"] for error in response.json()["errors"])
    assert all(error["extensions"]["code"] == "INVALID_INPUT" for error in response.json()["errors"])


async def test_what_tools_ask_is_within_the_limits(api: Api) -> None:
    data = await api.ask(get_introspection_query())

    assert data["__schema"]["queryType"]["name"] == "Query"


async def test_fifty_aliases_are_within_the_limits(api: Api) -> None:
    data = await api.ask("{" + " ".join(f"a{index}: __typename" for index in range(50)) + "}")

    assert len(data) == 50


async def test_a_fragment_that_does_not_exist_is_the_clients_mistake(api: Api) -> None:
    response = await api.post({"query": "{ ...Missing }"}, Accept=RESPONSE_JSON)

    assert response.status_code == 400
    assert "Unknown fragment 'Missing'." in [error["message"] for error in response.json()["errors"]]


async def test_the_work_of_checking_a_document_grows_with_its_length_and_not_with_its_paths() -> None:
    """A document of 2 kB with 30 such fragments would keep a process busy for hours."""
    schema = graphql.build_schema()

    async def calls(count: int) -> int:
        made = 0

        def note(_: Any, event: str, __: Any) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(note)
        try:
            await schema.execute(fragments(count))
        finally:
            sys.setprofile(None)
        return made

    await calls(1)

    assert await calls(12) < 2 * await calls(8)


async def test_a_document_with_a_card_in_it_is_not_kept_in_memory(api: Api) -> None:
    """A dump of the process's memory must not show yesterday's cards."""
    document = f"""
        mutation {{ authorizePayment(input: {{
            idempotencyKey: "{api.fresh("key")}", orderId: "{api.fresh("order")}", customerId: "c"
            amount: {{minorUnits: 100, currency: USD}}
            source: {{card: {{number: "4111111111111111", cvv: "123", expiryMonth: 12, expiryYear: 2030}}}}
        }}) {{ __typename }} }}
    """

    await api.ask(document)

    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, StringValueNode) and each.value == "4111111111111111"]
    assert kept == []
