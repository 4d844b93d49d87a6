"""The public contract: printed, described, and with the names that clients rely on."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    build_schema,
    is_specified_directive,
    is_specified_scalar_type,
)

from app.graphql import build_schema as build_api
from domain.answer import (
    BankUnavailable,
    CardAlreadyRevealed,
    CardLimitExceeded,
    CardNotUsable,
    EndpointDisabled,
    ExternalIdTaken,
    IdempotencyInProgress,
    IdempotencyMismatch,
    InputProblem,
    InsufficientScope,
    InvalidInput,
    InvalidTransition,
    IssuingUnavailable,
    KeyNotUsable,
    LimitName,
    LimitReached,
    NotFound,
    OrderAlreadyPaid,
    Refusal,
    UserNotUsable,
)
from domain.ids import IdKind, decode_id_of
from domain.payment import PaymentState
from domain.scope import Scope
from domain.stored_card import CardState
from domain.user import UserState
from schema.enums import ErrorCode
from schema.errors import ErrorType, error_of
from tests.domain.examples import payment_in

PRINTED = Path(__file__).resolve().parents[2] / "schema" / "schema.graphql"
API = build_api()
SCHEMA = build_schema(API.as_str())
OURS = [each for name, each in SCHEMA.type_map.items() if not name.startswith("__") and not is_specified_scalar_type(each)]


def test_the_printed_schema_is_the_one_that_is_served() -> None:
    """The difference is what every client will notice; the message says how to renew the file when it is meant."""
    served = API.as_str().strip()

    printed = PRINTED.read_text().strip()

    assert printed == served, (
        "schema/schema.graphql is not the schema that is served. If the change is meant, renew the file: "
        'python -c "from app.graphql import build_schema; print(build_schema().as_str())" > schema/schema.graphql'
    )


def described(thing: GraphQLNamedType) -> Iterator[tuple[str, str | None]]:
    """Coordinates and descriptions of a type and of everything in it."""
    yield thing.name, thing.description
    match thing:
        case GraphQLObjectType() | GraphQLInterfaceType():
            for name, field in thing.fields.items():
                yield f"{thing.name}.{name}", field.description
                for argument, its in field.args.items():
                    yield f"{thing.name}.{name}({argument}:)", its.description
        case GraphQLInputObjectType():
            for name, its_field in thing.fields.items():
                yield f"{thing.name}.{name}", its_field.description
        case GraphQLEnumType():
            for name, value in thing.values.items():
                yield f"{thing.name}.{name}", value.description


@pytest.mark.parametrize("thing", OURS, ids=str)
def test_a_type_and_everything_in_it_is_described_in_sentences(thing: GraphQLNamedType) -> None:
    for coordinate, description in described(thing):
        assert description, f"{coordinate} has no description"
        assert description == description.strip(), coordinate
        assert description[0].isupper() or description[0].isdigit() or description[0] == "`", coordinate
        assert description.endswith((".", "?", "`.")), f"{coordinate}: {description}"


def test_directives_of_ours_are_described() -> None:
    for directive in SCHEMA.directives:
        if not is_specified_directive(directive):
            assert directive.description, directive.name


def signature(coordinate: str) -> str:
    """The type of `Type.field`, or of `Type.field(argument:)`."""
    owner, _, rest = coordinate.partition(".")
    name, _, argument = rest.rstrip(":)").partition("(")
    field = SCHEMA.type_map[owner].fields[name]
    return str(field.args[argument].type if argument else field.type)


FIXED = {  # names that clients and checks rely on, as far as they exist
    "Node.id": "ID!",
    "Money.minorUnits": "MinorUnits!",
    "Money.currency": "CurrencyCode!",
    "Money.formatted": "String!",
    "Query.viewer": "Viewer!",
    "Query.node": "Node",
    "Query.node(id:)": "ID!",
    "Query.payment": "Payment",
    "Query.payment(id:)": "ID!",
    "Query.payments": "PaymentConnection!",
    "Query.payments(first:)": "Int",
    "Query.payments(after:)": "String",
    "Query.payments(last:)": "Int",
    "Query.payments(before:)": "String",
    "Query.payments(filter:)": "PaymentFilter",
    "Query.reconciliation": "ReconciliationRunConnection!",
    "Query.reconciliation(first:)": "Int",
    "Query.reconciliation(after:)": "String",
    "Query.orderPayment": "OrderPayment!",
    "Query.orderPayment(orderId:)": "String!",
    "OrderPayment.readyToShip": "Boolean!",
    "OrderPayment.state": "PaymentState",
    "OrderPayment.payment": "Payment",
    "OrderPayment.reason": "ShipReason!",
    "Query.user": "User",
    "Query.user(id:)": "ID",
    "Query.user(externalId:)": "String",
    "Query.users": "UserConnection!",
    **{f"Query.users({name}:)": "Int" for name in ("first", "last")},
    **{f"Query.users({name}:)": "String" for name in ("after", "before")},
    "Query.users(filter:)": "UserFilter",
    **{f"Mutation.{verb}User(input:)": f"{verb.capitalize()}UserInput!" for verb in ("create", "update", "deactivate")},
    "Query.card": "Card",
    "Query.card(id:)": "ID!",
    "Query.cards": "CardConnection!",
    **{
        f"Mutation.{verb}Card(input:)": f"{verb.capitalize()}CardInput!"
        for verb in ("add", "activate", "freeze", "unfreeze", "close")
    },
    "PaymentFilter.orderId": "String",
    "PaymentFilter.customerId": "String",
    "PaymentFilter.states": "[PaymentState!]",
    "PaymentFilter.createdAfter": "DateTime",
    "PaymentFilter.createdBefore": "DateTime",
    "PaymentFilter.minAmount": "MinorUnits",
    "PaymentFilter.maxAmount": "MinorUnits",
    "Mutation.authorizePayment(input:)": "AuthorizePaymentInput!",
    "Mutation.capturePayment(input:)": "CapturePaymentInput!",
    "Mutation.voidPayment(input:)": "VoidPaymentInput!",
    "Mutation.refundPayment(input:)": "RefundPaymentInput!",
    "AuthorizePaymentInput.idempotencyKey": "String!",
    "AuthorizePaymentInput.orderId": "String!",
    "AuthorizePaymentInput.customerId": "String!",
    "AuthorizePaymentInput.amount": "MoneyInput!",
    "AuthorizePaymentInput.source": "PaymentSourceInput!",
    "AuthorizePaymentInput.wait": "WaitFor",
    "PaymentSourceInput.card": "CardDetailsInput",
    "CardDetailsInput.number": "String!",
    "CardDetailsInput.cvv": "String!",
    "CardDetailsInput.expiryMonth": "Int!",
    "CardDetailsInput.expiryYear": "Int!",
    "PaymentPayload.payment": "Payment!",
    "PaymentPayload.replayed": "Boolean!",
    "UserError.code": "ErrorCode!",
    "UserError.message": "String!",
    "UserError.path": "[String!]",
    "Payment.reference": "String!",
    "Payment.orderId": "String!",
    "Payment.customerId": "String!",
    "Payment.amount": "Money!",
    "Payment.state": "PaymentState!",
    "Payment.history": "[PaymentTransition!]!",
    "Payment.decline": "Decline",
    "Payment.pendingOperation": "PendingOperation",
    "Payment.needsReview": "Boolean!",
    "PaymentTransition.state": "PaymentState!",
    "PaymentTransition.at": "DateTime!",
    "Decline.code": "DeclineCode!",
    "Decline.message": "String!",
    "PendingOperation.verb": "PaymentOperation!",
    "PendingOperation.since": "DateTime!",
    "PendingOperation.attempts": "Int!",
    "PaymentConnection.totalCount": "Int!",
    "PaymentConnection.pageInfo": "PageInfo!",
    "PaymentConnection.edges": "[PaymentEdge!]!",
    **{f"{verb}PaymentInput.idempotencyKey": "String!" for verb in ("Capture", "Void", "Refund")},
    **{f"{verb}PaymentInput.paymentId": "ID!" for verb in ("Capture", "Void", "Refund")},
}


@pytest.mark.parametrize(("coordinate", "kind"), FIXED.items())
def test_a_fixed_name_has_its_fixed_type(coordinate: str, kind: str) -> None:
    assert signature(coordinate) == kind


def test_the_states_are_the_fixed_seven() -> None:
    states = SCHEMA.type_map["PaymentState"]

    assert isinstance(states, GraphQLEnumType)
    assert list(states.values) == ["PENDING", "AUTHORIZED", "CAPTURED", "VOIDED", "REFUNDED", "DECLINED", "EXPIRED"]


def test_what_a_caller_can_wait_for_is_fixed_and_the_outcome_is_the_default() -> None:
    wait = SCHEMA.type_map["AuthorizePaymentInput"].fields["wait"]

    assert list(SCHEMA.type_map["WaitFor"].values) == ["OUTCOME", "ACCEPTANCE"]
    assert "wait: WaitFor = OUTCOME" in API.as_str()
    assert str(wait.type) == "WaitFor"


def test_a_source_is_exactly_one_of_its_kinds() -> None:
    source = SCHEMA.type_map["PaymentSourceInput"]

    assert isinstance(source, GraphQLInputObjectType)
    assert source.is_one_of


@pytest.mark.parametrize("name", SCHEMA.mutation_type.fields if SCHEMA.mutation_type else [])
def test_a_mutation_takes_one_input_with_an_idempotency_key_and_answers_a_union(name: str) -> None:
    assert SCHEMA.mutation_type is not None
    field = SCHEMA.mutation_type.fields[name]

    assert list(field.args) == ["input"]
    wish = SCHEMA.type_map[str(field.args["input"].type).rstrip("!")]
    assert isinstance(wish, GraphQLInputObjectType)
    assert wish.name == f"{name[0].upper()}{name[1:]}Input"
    assert str(wish.fields["idempotencyKey"].type) == "String!"
    assert isinstance(field.type, GraphQLUnionType), "null for a bug of ours, which must not erase the fields before it"
    payloads = [each for each in field.type.types if "UserError" not in {its.name for its in each.interfaces}]
    assert len(payloads) == 1


@pytest.mark.parametrize(
    "thing", ["Payment", "User", "Card", "Partner", "ApiKey", "ReconciliationRun", "WebhookEndpoint", "WebhookDelivery"]
)
def test_what_has_an_id_is_a_node(thing: str) -> None:
    kind = SCHEMA.type_map[thing]

    assert isinstance(kind, GraphQLObjectType)
    assert [each.name for each in kind.interfaces] == ["Node"]


PAYMENT = payment_in(PaymentState.CAPTURED)
REFUSALS: list[tuple[Refusal, str, ErrorCode, list[str]]] = [
    (
        InvalidInput((InputProblem(("input", "orderId"), "No."), InputProblem(("input", "amount", "currency"), "Neither."))),
        "InvalidInputError",
        ErrorCode.INVALID_INPUT,
        ["input", "orderId"],
    ),
    (NotFound(("input", "paymentId"), "payment"), "NotFoundError", ErrorCode.NOT_FOUND, ["input", "paymentId"]),
    (
        InvalidTransition(PAYMENT.id, PAYMENT.state, "No."),
        "InvalidTransitionError",
        ErrorCode.INVALID_TRANSITION,
        ["input", "paymentId"],
    ),
    (
        IdempotencyMismatch("key-1"),
        "IdempotencyMismatchError",
        ErrorCode.IDEMPOTENCY_MISMATCH,
        ["input", "idempotencyKey"],
    ),
    (
        IdempotencyInProgress("key-1"),
        "IdempotencyInProgressError",
        ErrorCode.IDEMPOTENCY_IN_PROGRESS,
        ["input", "idempotencyKey"],
    ),
    (
        OrderAlreadyPaid("order-1", PAYMENT.id, PAYMENT.state),
        "OrderAlreadyPaidError",
        ErrorCode.ORDER_ALREADY_PAID,
        ["input", "orderId"],
    ),
    (
        InsufficientScope(("input", "apiKeyId"), frozenset({Scope.REFUNDS_WRITE})),
        "InsufficientScopeError",
        ErrorCode.INSUFFICIENT_SCOPE,
        ["input", "apiKeyId"],
    ),
    (KeyNotUsable(PAYMENT.id, "No."), "ApiKeyNotUsableError", ErrorCode.API_KEY_NOT_USABLE, ["input", "apiKeyId"]),
    (
        EndpointDisabled(PAYMENT.id),
        "WebhookEndpointDisabledError",
        ErrorCode.WEBHOOK_ENDPOINT_DISABLED,
        ["input", "webhookEndpointId"],
    ),
    (LimitReached(7, "of them."), "LimitReachedError", ErrorCode.LIMIT_REACHED, ["input"]),
    (
        CardNotUsable(("input", "cardId"), PAYMENT.id, CardState.FROZEN, "No."),
        "CardNotUsableError",
        ErrorCode.CARD_NOT_USABLE,
        ["input", "cardId"],
    ),
    (
        CardLimitExceeded(PAYMENT.id, LimitName.PER_DAY, 100, 1, PAYMENT.created_at),
        "CardLimitExceededError",
        ErrorCode.LIMIT_EXCEEDED,
        ["input", "amount"],
    ),
    (
        ExternalIdTaken(PAYMENT.id, UserState.ACTIVE),
        "ExternalIdTakenError",
        ErrorCode.EXTERNAL_ID_TAKEN,
        ["input", "externalId"],
    ),
    (
        UserNotUsable(("input", "userId"), PAYMENT.id, UserState.ERASED, "No."),
        "UserNotUsableError",
        ErrorCode.USER_NOT_USABLE,
        ["input", "userId"],
    ),
    (IssuingUnavailable(), "IssuingUnavailableError", ErrorCode.ISSUING_UNAVAILABLE, None),
    (BankUnavailable(), "BankUnavailableError", ErrorCode.BANK_UNAVAILABLE, None),
    (
        CardAlreadyRevealed(PAYMENT.id, PAYMENT.created_at),
        "CardAlreadyRevealedError",
        ErrorCode.CARD_ALREADY_REVEALED,
        ["input", "cardId"],
    ),
]


def test_no_kind_of_refusal_is_missing_below() -> None:
    assert {type(refusal) for refusal, *_ in REFUSALS} == set(get_args(Refusal))
    assert {code for _, _, code, _ in REFUSALS} == set(ErrorCode)
    assert {name for _, name, _, _ in REFUSALS} == {each.__name__ for each in get_args(ErrorType)}


@pytest.mark.parametrize(("refusal", "name", "code", "path"), REFUSALS, ids=[name for _, name, _, _ in REFUSALS])
def test_a_refusal_has_an_error_type_in_the_unions_of_mutations(
    refusal: Refusal, name: str, code: ErrorCode, path: list[str] | None
) -> None:
    error = error_of(refusal)

    assert (type(error).__name__, error.code, error.path) == (name, code, path)
    assert error.message.endswith(".")
    kind = SCHEMA.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    assert "UserError" in {each.name for each in kind.interfaces}
    assert SCHEMA.mutation_type is not None
    unions = [field.type for field in SCHEMA.mutation_type.fields.values()]
    assert any(kind in union.types for union in unions if isinstance(union, GraphQLUnionType))


def test_an_invalid_input_lists_all_problems_and_speaks_of_the_first() -> None:
    error = error_of(REFUSALS[0][0])

    assert [(each.path, each.message) for each in error.problems] == [
        (["input", "orderId"], "No."),
        (["input", "amount", "currency"], "Neither."),
    ]
    assert error.message == "No."


@pytest.mark.parametrize("index", [2, 5])
def test_an_error_about_a_payment_names_it_and_its_state(index: int) -> None:
    error = error_of(REFUSALS[index][0])

    assert decode_id_of(IdKind.PAYMENT, error.payment_id) == PAYMENT.id
    assert error.current_state is PaymentState.CAPTURED
