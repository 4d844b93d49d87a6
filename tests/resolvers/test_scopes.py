"""What a key may ask for: every operation states its scope, and a key without it gets an error and nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNonNull,
    build_schema,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)
from strawberry.utils.str_converters import to_camel_case

from app.graphql import build_schema as build_api
from domain.ids import IdKind, decode_id_of, encode_id
from domain.scope import ALL_SCOPES, Scope
from persistence.api_keys import list_api_keys
from persistence.database import Database
from resolvers.asking import SCOPE
from resolvers.root import Mutation, Query, Subscription
from schema.enums import ErrorCode
from tests.app.serving import Api, mutation

SCHEMA = build_schema(build_api().as_str())
ASKED = {
    to_camel_case(field.python_name): field.metadata[SCOPE]
    for root in (Query, Mutation, Subscription)
    for field in root.__strawberry_definition__.fields  # type: ignore[attr-defined]
}
OPEN = {"viewer", "node"}  # `node` asks for the scope of what is named
ROOTS = [(kind, name) for kind in ("query", "mutation") for name in getattr(SCHEMA, f"{kind}_type").fields]
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


def literal(kind: Any) -> str:
    """A value of an input type, as a document has it."""
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if is_list_type(kind):
        return f"[{literal(kind.of_type)}]"
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        wanted = {name: each for name, each in kind.fields.items() if is_required_input_field(each)}
        wanted = wanted or dict(list(kind.fields.items())[:1])
        return "{" + ", ".join(f"{name}: {literal(each.type)}" for name, each in wanted.items()) + "}"
    scalars = {
        "Int": "1",
        "MinorUnits": "1",
        "DateTime": '"2027-01-01T00:00:00Z"',
        "Date": '"2027-01-01"',
        "CurrencyCode": '"USD"',
    }
    return scalars.get(kind.name, '"x"')


def document(kind: str, name: str) -> str:
    """One operation with whatever arguments it insists on."""
    field = getattr(SCHEMA, f"{kind}_type").fields[name]
    given = ", ".join(f"{argument}: {literal(its.type)}" for argument, its in field.args.items() if is_required_argument(its))
    selection = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    return f"{kind} {{ {name}{f'({given})' if given else ''}{selection} }}"


@pytest.fixture
def api_with(api: Api, make_key: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[Api]]:
    """The API with a key that has these scopes only."""

    async def make(*scopes: Scope) -> Api:
        return api.as_somebody(api.tenant, await make_key(api.tenant, scopes=frozenset(scopes)))

    return make


def forbidden(scope: Scope) -> dict[str, str]:
    """An error's extensions."""
    return {"code": "FORBIDDEN", "scope": scope.value}


def test_every_subscription_asks_for_a_scope() -> None:
    """That it is refused without, tests/app/test_graphql_ws.py shows."""
    assert SCHEMA.subscription_type is not None

    assert [name for name in SCHEMA.subscription_type.fields if not isinstance(ASKED[name], Scope)] == []


@pytest.mark.parametrize(("kind", "name"), ROOTS)
async def test_a_key_without_scopes_may_ask_for_nothing_but_who_it_is(api_with: Any, kind: str, name: str) -> None:
    powerless = await api_with()

    response = await powerless.post({"query": document(kind, name)})

    asked = ASKED[name]
    if name in OPEN:
        assert asked is None
        assert "errors" not in response.json()
    else:
        (error,) = response.json()["errors"]
        assert error["extensions"] == forbidden(asked)
        assert error["path"] == [name]
        assert f"`{asked}`" in error["message"]
        assert f"`{asked}`" in getattr(SCHEMA, f"{kind}_type").fields[name].description


@pytest.mark.parametrize(("kind", "name"), [root for root in ROOTS if root[1] not in OPEN])
async def test_a_key_with_the_one_scope_is_let_in_and_one_with_all_the_others_is_not(api_with: Any, kind: str, name: str) -> None:
    asked = ASKED[name]
    fitting, others = await api_with(asked), await api_with(*(ALL_SCOPES - {asked}))

    let_in = (await fitting.post({"query": document(kind, name)})).json()
    kept_out = (await others.post({"query": document(kind, name)})).json()

    assert not any(error["extensions"]["code"] == "FORBIDDEN" for error in let_in.get("errors", []))
    assert [error["extensions"] for error in kept_out["errors"]] == [forbidden(asked)]


@pytest.mark.parametrize("name", ["capture", "void", "refund"])
async def test_reading_is_not_writing(api: Api, api_with: Any, name: str) -> None:
    payment = await api.payment()
    reader = await api_with(Scope.PAYMENTS_READ)

    await reader.errors(mutation(f"{name}Payment"), input={"idempotencyKey": api.fresh("key"), "paymentId": payment["id"]})

    after = await api.ask("query ($id: ID!) { payment(id: $id) { state pendingOperation { verb } } }", id=payment["id"])
    assert after["payment"] == {"state": "AUTHORIZED", "pendingOperation": None}


async def test_who_may_charge_may_not_pay_back(api: Api, api_with: Any) -> None:
    payment = await api.payment()
    cashier = await api_with(Scope.PAYMENTS_WRITE)

    captured = await cashier.operate("capture", payment["id"])
    (error,) = await cashier.errors(
        mutation("refundPayment"), input={"idempotencyKey": api.fresh("key"), "paymentId": payment["id"]}
    )

    assert captured["payment"]["state"] == "CAPTURED"
    assert error["extensions"] == forbidden(Scope.REFUNDS_WRITE)


async def test_a_forbidden_request_does_not_use_its_idempotency_key_up(api: Api, api_with: Any) -> None:
    reader, wish = await api_with(Scope.PAYMENTS_READ), api.wish()

    await reader.errors(mutation("authorizePayment"), input=wish)

    answer = (await api.ask(mutation("authorizePayment"), input=wish))["authorizePayment"]
    assert answer["__typename"] == "PaymentPayload"
    assert not answer["replayed"]


async def test_what_is_forbidden_in_a_document_leaves_the_rest_of_it_alone(api: Api, api_with: Any) -> None:
    warehouse = await api_with(Scope.PAYMENTS_WRITE)
    first, second = await api.payment(), await api.payment()
    both = (
        "mutation ($a: CapturePaymentInput!, $b: RefundPaymentInput!) {"
        " capturePayment(input: $a) { __typename } refundPayment(input: $b) { __typename } }"
    )
    wishes = {
        "a": {"idempotencyKey": api.fresh("key"), "paymentId": first["id"]},
        "b": {"idempotencyKey": api.fresh("key"), "paymentId": second["id"]},
    }

    answer = (await warehouse.post({"query": both, "variables": wishes})).json()

    assert answer["data"] == {"capturePayment": {"__typename": "PaymentPayload"}, "refundPayment": None}
    assert [error["extensions"] for error in answer["errors"]] == [forbidden(Scope.REFUNDS_WRITE)]


async def test_a_node_asks_for_the_scope_of_its_kind_whether_there_is_one_or_not(api: Api, api_with: Any) -> None:
    payment = await api.payment()
    powerless = await api_with()
    nobodys = encode_id(IdKind.PAYMENT, api.tenant)

    answers = [await powerless.errors(NODE, id=each) for each in (payment["id"], nobodys)]

    assert answers[0] == answers[1]
    assert answers[0][0]["extensions"] == forbidden(Scope.PAYMENTS_READ)


async def test_a_key_may_always_look_at_itself_and_its_partner(api: Api, api_with: Any, owner: Database) -> None:
    powerless = await api_with()
    async with owner.tenant(api.tenant) as tx:
        own = next(each for each in await list_api_keys(tx, api.tenant) if not each.scopes)

    node = (await powerless.ask(NODE, id=encode_id(IdKind.API_KEY, own.id)))["node"]
    partner = (await powerless.ask(NODE, id=encode_id(IdKind.PARTNER, api.tenant)))["node"]

    assert (node["__typename"], decode_id_of(IdKind.API_KEY, node["id"])) == ("ApiKey", own.id)
    assert partner["__typename"] == "Partner"


def test_being_forbidden_is_an_error_and_no_refusal_of_a_mutation() -> None:
    """A refusal is about the wish; this is about who wishes."""
    assert "FORBIDDEN" not in set(ErrorCode)
