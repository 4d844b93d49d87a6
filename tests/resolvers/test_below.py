"""What is below users and cards: payments and spending, and that no document takes more statements for more rows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.ids import IdKind, encode_id
from domain.scope import Scope
from tests.app.serving import Api
from tests.gateway.kept_cards import keeper
from tests.resolvers.cards import add
from tests.resolvers.users import fresh_name
from tests.resolvers.users import make as make_user

PAYMENTS = """payments(first: $first, after: $after) {
    totalCount nodes { id storedCard { id } user { id } } pageInfo { hasNextPage endCursor }
}"""
USER = f"query ($id: ID!, $first: Int, $after: String) {{ user(id: $id) {{ {PAYMENTS} }} }}"
CARD = f"query ($id: ID!, $first: Int, $after: String) {{ card(id: $id) {{ {PAYMENTS} }} }}"
TREE = """query ($users: Int) { users(first: $users) { nodes {
    externalId
    payments(first: 2) { nodes { id } }
    cards(first: 2) { nodes {
        lastFour history { after } spend { today { minorUnits } }
        user { externalId }
        payments(first: 2) { nodes { id state } }
    } }
} } }"""
COUNTS = """query ($users: Int) { users(first: $users) { nodes {
    payments(first: 1) { totalCount nodes { id } } cards(first: 1) { totalCount nodes { payments(first: 1) { totalCount } } }
} } }"""


async def pay(api: Api, customer: str, card_id: str | None, **wish: Any) -> Any:
    """A payment of a customer, with a stored card or with another."""
    source = {"source": {"storedCard": {"cardId": card_id, "cvv": "123"}}} if card_id else {}
    return await api.payment(customerId=customer, **source, **wish)


async def pages(api: Api, document: str, node: str, thing: str) -> list[str]:
    """The ids of all payments below, page by page, two at a time."""
    found: list[str] = []
    after, has_next = None, True
    while has_next:
        page = (await api.ask(document, id=node, first=2, after=after))[thing]["payments"]
        assert len(page["nodes"]) <= 2
        found += [each["id"] for each in page["nodes"]]
        after, has_next = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert page["totalCount"] == len(found)
    return found


async def test_payments_of_before_and_after_a_user_was_made_stand_below_them(api: Api, here: Any) -> None:
    customer, paid = fresh_name(api, "customer"), []
    for _ in range(3):
        here.pass_by(1)
        paid.append((await pay(api, customer, None))["id"])
    user = await make_user(api, externalId=customer)
    card = await add(api, userId=user["id"])
    for _ in range(2):
        here.pass_by(1)
        paid.append((await pay(api, customer, card["id"]))["id"])
    await pay(api, "somebody else", None)

    above = await api.ask("query ($id: ID!) { payment(id: $id) { user { id } storedCard { id lastFour } } }", id=paid[-1])
    below_user, below_card = await pages(api, USER, user["id"], "user"), await pages(api, CARD, card["id"], "card")

    assert above["payment"] == {"user": {"id": user["id"]}, "storedCard": {"id": card["id"], "lastFour": card["lastFour"]}}
    assert below_user == paid[::-1]
    assert below_card == paid[:2:-1]


async def test_payments_are_found_by_user_and_by_card(api: Api) -> None:
    customer = fresh_name(api, "customer")
    user = await make_user(api, externalId=customer)
    card = await add(api, userId=user["id"])
    with_it, without = (await pay(api, customer, card["id"]))["id"], (await pay(api, customer, None))["id"]
    await pay(api, "somebody else", None)
    document = "query ($where: PaymentFilter) { payments(filter: $where) { nodes { id } totalCount } }"

    async def found(**where: str) -> set[str]:
        page = (await api.ask(document, where=where))["payments"]
        assert page["totalCount"] == len(page["nodes"])
        return {each["id"] for each in page["nodes"]}

    assert await found(userId=user["id"]) == {with_it, without}
    assert await found(cardId=card["id"]) == {with_it}
    assert await found(cardId=card["id"], customerId="somebody else") == set()
    (error,) = await api.errors(document, where={"cardId": user["id"]})
    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["filter", "cardId"]}


async def test_a_key_that_may_not_look_at_payments_sees_none_below(api: Api, make_key: Callable[..., Awaitable[str]]) -> None:
    card = await add(api)
    key = await make_key(api.tenant, scopes=frozenset({Scope.USERS_READ, Scope.CARDS_READ}))
    blind = api.as_somebody(api.tenant, key)
    document = "query ($id: ID!) { card(id: $id) { lastFour spend { today { minorUnits } } payments { nodes { id } } } }"

    answer = (await blind.post({"query": document, "variables": {"id": card["id"]}})).json()

    assert answer["data"]["card"] == {"lastFour": card["lastFour"], "spend": None, "payments": None}
    assert {error["extensions"]["scope"] for error in answer["errors"]} == {"payments:read"}


@pytest.fixture
async def crowd(api: Api) -> None:
    """A hundred users; every other one has two cards and paid with one of them."""
    parts = api.app.state.house.parts
    keep = keeper(parts, api.tenant)

    async def move_in(number: int) -> None:
        customer = f"customer {number}"
        kept = await keep(customer=customer)
        if number % 2:
            await pay(api, customer, encode_id(IdKind.CARD, kept.id))
        else:
            await pay(api, customer, None)

    for start in range(0, 100, 10):
        await asyncio.gather(*(move_in(number) for number in range(start, start + 10)))


async def test_however_many_rows_a_document_takes_as_many_statements(api: Api, crowd: None, statements: list[str]) -> None:
    for document, most in ((TREE, 8), (COUNTS, 7)):
        taken = []
        for rows in (1, 10, 100):
            statements.clear()
            answer = await api.ask(document, users=rows)
            taken.append(len(statements))
            assert len(answer["users"]["nodes"]) == rows
            assert all(user["payments"]["nodes"] and user["cards"]["nodes"] for user in answer["users"]["nodes"])
        assert len(set(taken)) == 1, f"for 1, 10 and 100 users: {taken}"
        assert taken[0] <= most
