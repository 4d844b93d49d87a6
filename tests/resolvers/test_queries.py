"""What can be asked: one payment, lists of them, an order, and anything with an id."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.ids import IdKind, encode_id
from persistence.database import Database
from tests.app.serving import Api, mutation

LIST = """
query ($first: Int, $after: String, $last: Int, $before: String, $filter: PaymentFilter) {
  payments(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    edges { cursor node { id orderId } }
    nodes { id }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
ORDER = "query ($id: String!) { orderPayment(orderId: $id) { orderId readyToShip reason state payment { id } } }"
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
UNKNOWN = [
    "pay_00000000000000000000000005",
    "ptn_00000000000000000000000005",
    "key_00000000000000000000000005",
    "pay_0",
    "",
    "x",
    "☃",
]


async def page(api: Api, **arguments: Any) -> Any:
    """A page of payments."""
    return (await api.ask(LIST, **arguments))["payments"]


async def refusal(api: Api, **arguments: Any) -> Any:
    """The path and the message of a refused argument."""
    (error,) = await api.errors(LIST, **arguments)
    assert error["extensions"]["code"] == "INVALID_INPUT"
    return error["extensions"]["path"]


async def some(api: Api, here: Any, count: int = 5, **changes: Any) -> list[str]:
    """The ids of new payments, newest first, a minute apart."""
    made = []
    for _ in range(count):
        made.append((await api.payment(**changes))["id"])
        here.pass_by(60)
    return made[::-1]


def ids(answer: Any) -> list[str]:
    assert [edge["node"]["id"] for edge in answer["edges"]] == [node["id"] for node in answer["nodes"]]
    return [node["id"] for node in answer["nodes"]]


# --- Pages ------------------------------------------------------------------------------------------------------------


async def test_payments_come_newest_first_in_pages_that_follow_each_other(api: Api, here: Any) -> None:
    made = await some(api, here)

    first = await page(api, first=2)
    second = await page(api, first=2, after=first["pageInfo"]["endCursor"])
    third = await page(api, first=2, after=second["pageInfo"]["endCursor"])

    assert ids(first) + ids(second) + ids(third) == made
    assert [each["pageInfo"]["hasNextPage"] for each in (first, second, third)] == [True, True, False]
    assert [each["pageInfo"]["hasPreviousPage"] for each in (first, second, third)] == [False, True, True]
    assert first["pageInfo"]["startCursor"] == first["edges"][0]["cursor"]


async def test_pages_can_be_read_from_the_end(api: Api, here: Any) -> None:
    made = await some(api, here)

    last = await page(api, last=2)
    before = await page(api, last=2, before=last["pageInfo"]["startCursor"])
    first = await page(api, last=2, before=before["pageInfo"]["startCursor"])

    assert ids(first) + ids(before) + ids(last) == made
    assert [each["pageInfo"]["hasPreviousPage"] for each in (first, before, last)] == [False, True, True]
    assert [each["pageInfo"]["hasNextPage"] for each in (first, before, last)] == [True, True, False]


async def test_what_is_new_does_not_move_the_pages_behind(api: Api, here: Any) -> None:
    made = await some(api, here, 4)
    first = await page(api, first=2)

    await some(api, here, 3)

    assert ids(await page(api, first=2, after=first["pageInfo"]["endCursor"])) == made[2:]


async def test_between_two_cursors_is_what_stands_between_them(api: Api, here: Any) -> None:
    made = await some(api, here)
    edges = (await page(api))["edges"]

    assert ids(await page(api, after=edges[0]["cursor"], before=edges[4]["cursor"])) == made[1:4]


async def test_without_a_size_a_page_has_twenty_and_at_most_a_hundred(api: Api) -> None:
    assert len(ids(await page(api))) == 0
    assert await refusal(api, first=101) == ["first"]
    assert await refusal(api, last=101) == ["last"]
    assert await refusal(api, first=-1) == ["first"]
    assert await refusal(api, last=-1) == ["last"]
    assert await refusal(api, first=1, last=1) == ["last"]


async def test_an_empty_page_has_no_cursors(api: Api, here: Any) -> None:
    await some(api, here, 1)

    nothing = await page(api, first=0)
    everything_before = await page(api, filter={"orderId": "another"})

    assert nothing["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    assert everything_before["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    "cursor", ["", "x", "AAAA", "☃", "A" * 32, "////////////////////////////////", "pay_00000000000000000000000005"]
)
@pytest.mark.parametrize("argument", ["after", "before"])
async def test_a_cursor_that_is_none_of_ours_is_refused(api: Api, argument: str, cursor: str) -> None:
    response = await api.post({"query": LIST, "variables": {argument: cursor}})

    if cursor == "A" * 32:  # 1970-01-01 and the id of zeros: it could be one
        assert "errors" not in response.json()
    else:
        assert response.json()["errors"][0]["extensions"] == {"code": "INVALID_INPUT", "path": [argument]}


async def test_the_total_is_counted_when_asked_for(api: Api, here: Any) -> None:
    await some(api, here, 3)

    data = await api.ask("{ payments(first: 1) { totalCount nodes { id } } }")

    assert data["payments"]["totalCount"] == 3


# --- Filters ----------------------------------------------------------------------------------------------------------


async def test_each_filter_keeps_what_it_says(api: Api, here: Any) -> None:
    start = here.time
    first = await api.payment(amount=100, customerId="anna")
    here.pass_by(60)
    second = await api.payment(amount=200, customerId="bert")
    here.pass_by(60)
    third = await api.payment(amount=300, customerId="anna")
    await api.operate("void", third["id"])

    async def found(**where: Any) -> list[str]:
        return ids(await page(api, filter=where))[::-1]

    one, two, three = first["id"], second["id"], third["id"]
    minute = [f"{start.replace(minute=start.minute + n):%Y-%m-%dT%H:%M:%SZ}" for n in range(3)]
    assert await found(orderId=second["orderId"]) == [two]
    assert await found(customerId="anna") == [one, three]
    assert await found(states=["VOIDED"]) == [three]
    assert await found(states=["VOIDED", "AUTHORIZED"]) == [one, two, three]
    assert await found(states=[]) == []
    assert await found(minAmount=200) == [two, three]
    assert await found(maxAmount="200") == [one, two]
    assert await found(minAmount=101, maxAmount=299) == [two]
    assert await found(createdAfter=minute[1]) == [two, three]
    assert await found(createdBefore=minute[1]) == [one]
    assert await found(createdAfter=minute[1], createdBefore=minute[2]) == [two]
    assert await found(customerId="anna", maxAmount=200) == [one]
    assert await found(customerId="nobody") == []
    assert await found(customerId="", orderId="") == []


async def test_a_dashboard_finds_what_needs_review(api: Api, here: Any, control: httpx.AsyncClient) -> None:
    fine = await api.payment()
    here.pass_by(60)
    await control.patch("/chaos", json={"faults": [{"kind": "truncated_json", "stores_key": False}]})
    flagged = await api.payment()

    needing, others = await page(api, filter={"needsReview": True}), await page(api, filter={"needsReview": False})
    both = await page(api, filter={"needsReview": None})
    voided = await page(api, filter={"needsReview": True, "states": ["VOIDED"]})
    counted = await api.ask("{ payments(filter: { needsReview: true }) { totalCount } }")

    assert flagged["reviewReasons"] == ["POSSIBLE_ORPHAN_HOLD"]
    assert (ids(needing), ids(others), ids(both)) == ([flagged["id"]], [fine["id"]], [flagged["id"], fine["id"]])
    assert (ids(voided), counted["payments"]["totalCount"]) == ([], 1)


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"orderId": None, "customerId": None, "states": None},
        {"createdAfter": None, "createdBefore": None, "minAmount": None, "maxAmount": None, "needsReview": None},
        {"minAmount": -(2**63), "maxAmount": 2**63 - 1},
        {"createdAfter": "0001-01-01T00:00:00Z", "createdBefore": "9999-12-31T23:59:59.999999Z"},
    ],
    ids=str,
)
async def test_null_and_left_out_ask_for_nothing(api: Api, here: Any, where: dict[str, Any]) -> None:
    (made,) = await some(api, here, 1)

    assert ids(await page(api, filter=where)) == [made]
    assert ids(await page(api, filter=None, first=None, after=None, last=None, before=None)) == [made]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("orderId", "\x00"),
        ("customerId", "a\nb"),
        ("minAmount", "x"),
        ("minAmount", 1.5),
        ("maxAmount", 2**63),
        ("maxAmount", -(2**64)),
        ("minAmount", 1e300),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused_with_its_path(api: Api, name: str, value: object) -> None:
    assert await refusal(api, filter={name: value}) == ["filter", name]


async def test_a_name_is_found_in_either_spelling_of_unicode(api: Api, here: Any) -> None:
    order, customer = f"caf\u00e9-{api.fresh('order')}", "Bj\u00f6rn"
    (made,) = await some(api, here, 1, orderId=order, customerId=customer)
    decomposed = order.replace("\u00e9", "e\u0301")

    by_order = await page(api, filter={"orderId": decomposed})
    by_customer = await page(api, filter={"customerId": "Bjo\u0308rn"})
    ship = (await api.ask(ORDER, id=decomposed))["orderPayment"]

    assert ids(by_order) == ids(by_customer) == [made]
    assert (ship["orderId"], ship["payment"]) == (order, {"id": made})


# --- An order ---------------------------------------------------------------------------------------------------------


async def test_an_order_may_be_shipped_while_its_money_is_certain(api: Api, here: Any) -> None:
    order = api.fresh("order")
    answers = [(await api.ask(ORDER, id=order))["orderPayment"]]
    await api.payment(orderId=order, card={"number": "5555555555554444", "cvv": "789"})
    answers.append((await api.ask(ORDER, id=order))["orderPayment"])
    here.pass_by(60)
    payment = await api.payment(orderId=order)
    answers.append((await api.ask(ORDER, id=order))["orderPayment"])
    for verb in ("capture", "refund"):
        await api.operate(verb, payment["id"])
        answers.append((await api.ask(ORDER, id=order))["orderPayment"])

    assert [(each["readyToShip"], each["reason"], each["state"]) for each in answers] == [
        (False, "NO_PAYMENT", None),
        (False, "DECLINED", "DECLINED"),
        (True, "FUNDS_HELD", "AUTHORIZED"),
        (True, "FUNDS_CAPTURED", "CAPTURED"),
        (False, "REFUNDED", "REFUNDED"),
    ]
    assert answers[0]["payment"] is None
    assert answers[2]["payment"] == answers[4]["payment"] == {"id": payment["id"]}
    assert {each["orderId"] for each in answers} == {order}


async def test_after_seven_days_a_hold_does_not_ship(api: Api, here: Any) -> None:
    payment = await api.payment()
    here.pass_by(168 * 3600 - 1)
    before = (await api.ask(ORDER, id=payment["orderId"]))["orderPayment"]
    here.pass_by(1)

    after = (await api.ask(ORDER, id=payment["orderId"]))["orderPayment"]

    assert (before["readyToShip"], before["reason"]) == (True, "FUNDS_HELD")
    assert (after["readyToShip"], after["reason"], after["state"]) == (False, "HOLD_EXPIRED", "AUTHORIZED")


@pytest.mark.parametrize("order", ["", "x" * 256, "a\x00", "\u200b"])
async def test_an_order_that_cannot_be_is_refused_with_its_path(api: Api, order: str) -> None:
    (error,) = await api.errors(ORDER, id=order)

    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["orderId"]}


# --- Anything with an id ----------------------------------------------------------------------------------------------


async def test_a_node_is_found_by_its_id(api: Api) -> None:
    payment = await api.payment()
    viewer = (await api.ask("{ viewer { partner { id } apiKey { id } } }"))["viewer"]

    found = [(await api.ask(NODE, id=each))["node"] for each in (payment["id"], viewer["partner"]["id"], viewer["apiKey"]["id"])]

    assert [each["__typename"] for each in found] == ["Payment", "Partner", "ApiKey"]
    assert [each["id"] for each in found] == [payment["id"], viewer["partner"]["id"], viewer["apiKey"]["id"]]


@pytest.mark.parametrize("unknown", [*UNKNOWN, encode_id(IdKind.EVENT, UUID(int=5))])
async def test_what_does_not_exist_is_null(api: Api, unknown: str) -> None:
    assert await api.ask(NODE, id=unknown) == {"node": None}
    assert await api.ask("query ($id: ID!) { payment(id: $id) { id } }", id=unknown) == {"payment": None}


async def test_a_payment_is_answered_like_its_mutation_did(api: Api) -> None:
    payment = await api.payment()
    document = mutation("authorizePayment")
    fragment = document[document.index("fragment Payment") : document.index("fragment Error")]

    data = await api.ask(f"query ($id: ID!) {{ payment(id: $id) {{ ...Payment }} }} {fragment}", id=payment["id"])

    assert data["payment"] == payment


async def test_another_partner_sees_nothing_of_it(api: Api, other: Api, here: Any) -> None:
    payment = await api.payment()
    viewer = (await api.ask("{ viewer { partner { id } apiKey { id } } }"))["viewer"]
    cursor = (await page(api))["pageInfo"]["endCursor"]

    for each in (payment["id"], viewer["partner"]["id"], viewer["apiKey"]["id"]):
        assert await other.ask(NODE, id=each) == {"node": None}
    assert await other.ask("query ($id: ID!) { payment(id: $id) { id } }", id=payment["id"]) == {"payment": None}
    assert (await other.ask(ORDER, id=payment["orderId"]))["orderPayment"]["reason"] == "NO_PAYMENT"
    assert ids(await page(other)) == ids(await page(other, before=cursor)) == ids(await page(other, after=cursor)) == []
    assert ids(await page(other, filter={"orderId": payment["orderId"]})) == []
    assert (await other.ask("{ payments { totalCount } }")) == {"payments": {"totalCount": 0}}


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Whose transactions have been begun, one after the other."""
    begun: list[UUID] = []
    tenant = Database.tenant

    def noted(self: Database, tenant_id: UUID, **how: Any) -> Any:
        begun.append(tenant_id)
        return tenant(self, tenant_id, **how)

    monkeypatch.setattr(Database, "tenant", noted)
    return begun


async def test_a_page_with_what_is_under_way_is_one_transaction(api: Api, here: Any, transactions: list[UUID]) -> None:
    await some(api, here, 5)
    transactions.clear()

    data = await api.ask("{ payments { nodes { pendingOperation { verb } } } }")

    assert [node["pendingOperation"] for node in data["payments"]["nodes"]] == [None] * 5
    assert len(transactions) == 1


async def test_several_payments_of_one_document_are_one_transaction(api: Api, transactions: list[UUID]) -> None:
    first, second = await api.payment(), await api.payment()
    transactions.clear()

    data = await api.ask(f'{{ a: payment(id: "{first["id"]}") {{ id }} b: node(id: "{second["id"]}") {{ id }} }}')

    assert data == {"a": {"id": first["id"]}, "b": {"id": second["id"]}}
    assert len(transactions) == 1
