"""Documents that shape what a webhook sends: checked when they are saved, executed for one event.

It is a subscription to `transactionEvents` like any other, executed by the same schema with the same resolvers; only the feed has one
event and ends. So a webhook shows what a stream shows, to whom it shows it.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from ipaddress import IPv4Address
from typing import Any, TypeVar, cast
from uuid import UUID

import strawberry
from graphql import DocumentNode, FieldNode, GraphQLError, OperationDefinitionNode, OperationType, parse
from strawberry.schema.schema import validate_document
from strawberry.types.execution import ExecutionResult, PreExecutionError

from app.cost import DocumentCost
from app.graphql import MAX_TOKENS, MAY_HOLD_A_CARD, RULES
from app.public_errors import PublicErrors
from app.scrubbing import scrub
from domain.api_key import ApiKey
from domain.caller import Caller
from domain.event import LoggedEvent
from domain.partner import Partner
from domain.tier import TierName
from domain.webhook import WebhookEndpoint
from domain.webhook_request import MAX_DOCUMENT_LENGTH
from gateway.world import World
from persistence.database import Database
from persistence.event_feed import EventFeed
from resolvers.context import Context

ROOT_FIELD = "transactionEvents"
MAX_SHAPE_COST = 100  # points; the stream's start is 10 of these. It is executed for each event, and nobody is charged for it
ONE_SUBSCRIPTION = (
    f"It has to be one subscription to `{ROOT_FIELD}`, without a name for it, arguments, directives or variables: "
    f"`subscription {{ {ROOT_FIELD} {{ id }} }}`. Which events are sent is said by `types`."
)

T = TypeVar("T")


class Shapes:
    """What is known of documents, with the schema that is served."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._core = schema._schema

    def problems_of(self, text: str) -> list[str]:
        """Everything that is wrong with a document, in sentences; none: it can be saved."""
        if len(text) > MAX_DOCUMENT_LENGTH:
            return [f"It has {len(text)} characters; at most {MAX_DOCUMENT_LENGTH} are allowed."]
        if MAY_HOLD_A_CARD.search(text):
            return [
                "It has a long number in it, which may be that of a card. Documents are stored, and card numbers must not be."
            ]
        try:
            document = parse(text, max_tokens=MAX_TOKENS)
        except GraphQLError as error:
            return [_said(error)]
        if not _is_one_subscription(document):
            return [ONE_SUBSCRIPTION]
        if errors := validate_document(self._core, document, RULES):
            return [_said(each) for each in errors]
        cost = DocumentCost(self._core, document).operation(None).of(None)
        if cost > MAX_SHAPE_COST:
            return [f"It costs {cost} points; at most {MAX_SHAPE_COST} are allowed. Ask for less that has to be loaded."]
        return []


class Shaper:
    """Executes documents. `public_errors` says what of an error may be sent."""

    def __init__(self, schema: strawberry.Schema, database: Database, world: World, public_errors: PublicErrors) -> None:
        self._schema = schema
        self._database = database
        self._world = world
        self._public_errors = public_errors

    async def __call__(self, tenant_id: UUID, endpoint: WebhookEndpoint, logged: LoggedEvent) -> Mapping[str, Any]:
        """`data` is what the document selects of the event, and `errors` says what of it could not be had, if anything."""
        assert endpoint.shape is not None, "there is a document"
        context = ShapingContext(_saved_by(tenant_id, endpoint), self._database, self._world, logged)
        results = await self._schema.stream(endpoint.shape, context_value=context)
        async with aclosing(results):
            async for result in results:
                assert isinstance(result, ExecutionResult | PreExecutionError), "we have no @defer"
                data = next(iter(result.data.values())) if result.data else None
                shaped: dict[str, Any] = {"data": data}
                if result.errors:
                    shaped["errors"] = [self._public_errors(each) for each in result.errors]
                return shaped
        raise AssertionError("a stream with an event has a result")


class ShapingContext(Context):
    """As much of a request's context as a subscription can reach: what changes something is not there at all."""

    def __init__(self, caller: Caller, database: Database, world: World, logged: LoggedEvent) -> None:
        self.caller = caller
        self.database = database
        self.world = world
        self.feed = cast(EventFeed, OneEvent(logged))
        self.request_id = "webhook"
        self.last_event_id = None
        self.payments_made = 0


class OneEvent:
    """A feed that has one event, and ends."""

    def __init__(self, logged: LoggedEvent) -> None:
        self._logged = logged

    async def follow(self, _tenant_id: UUID, _after: int | None = None) -> AsyncIterator[LoggedEvent]:
        """That event."""
        yield self._logged

    def once(self, _tenant_id: UUID, logged: LoggedEvent, make: Callable[[LoggedEvent], T]) -> T:
        """What is made of it: nobody else follows."""
        return make(logged)


def _saved_by(tenant_id: UUID, endpoint: WebhookEndpoint) -> Caller:
    """The key that saved the document, as it was then: the endpoint outlives it, as a rotated key's streams don't."""
    key = ApiKey(endpoint.saved_by, tenant_id, "webhook", "", endpoint.scopes, endpoint.updated_at)
    return Caller(key, Partner(tenant_id, "", endpoint.created_at, TierName.STANDARD), IPv4Address(0))


def _is_one_subscription(document: DocumentNode) -> bool:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if len(operations) != 1:
        return False
    (operation,) = operations
    selections = operation.selection_set.selections
    root = selections[0]
    return (
        operation.operation is OperationType.SUBSCRIPTION
        and not operation.variable_definitions
        and not operation.directives
        and len(selections) == 1
        and isinstance(root, FieldNode)
        and root.name.value == ROOT_FIELD
        and root.alias is None
        and not root.arguments
        and not root.directives
    )


def _said(error: GraphQLError) -> str:
    message, _ = scrub(error.message)
    places = [f"line {each.line}, column {each.column}" for each in error.locations or ()]
    return f"At {places[0]}: {message}" if places else message
