"""The GraphQL schema, put together: the roots, the scalars, and the limits of a document."""

from collections.abc import Iterator
from functools import lru_cache
from re import compile as pattern

import strawberry
from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import validate_document
from strawberry.types.execution import ExecutionContext

from app.cost import DocumentCost, OperationCost, UnknownOperation
from app.document_limits import DocumentLimits
from resolvers.root import Mutation, Query, Subscription
from schema.scalars import SCALARS

MAX_TOKENS = 2_000  # introspection has some 400; graphql-core's check of overlapping fields takes 0.1 s for so many
CACHED_DOCUMENTS = 500  # a partner's programs use some dozens of documents, again and again; each takes some 50 kB

RULES = (*specified_rules, DocumentLimits)  # our limits go with the specification's rules

MAY_HOLD_A_CARD = pattern(r"\d(?:[ -]?\d){11,}")  # documents with such literals are not kept in memory


class ApiSchema(strawberry.Schema):
    """Strawberry's schema, which leaves errors to the endpoint: its own logging would repeat what clients sent."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: see `app.graphql_http`."""


class Documents(SchemaExtension):
    """Parses documents, remembers the usual ones, and insists that one operation is meant.

    With several operations and no operationName the specification demands an error (§6.1); the first one would run otherwise.
    """

    def on_operation(self) -> Iterator[None]:
        """Our limits go with the specification's rules."""
        self.execution_context.validation_rules = RULES
        yield

    def on_parse(self) -> Iterator[None]:
        """Parse, or take the parsed document out of the cache."""
        execution = self.execution_context
        text = execution.query or ""
        document = parsed(text)
        _insist_on_one(document, execution.operation_name)
        execution.graphql_document = document
        yield

    def on_validate(self) -> Iterator[None]:
        """Take what validation found from the cache. A document that is not kept is left to Strawberry."""
        execution = self.execution_context
        text = execution.query or ""
        if is_kept(text):
            core = execution.schema._schema  # graphql-core's own, as Strawberry's cache takes it
            execution.pre_execution_errors = _validate_cached(core, text, tuple(execution.validation_rules))
        yield


def cost_of(schema: GraphQLSchema, text: str, name: str | None) -> OperationCost | None:
    """What an operation costs, from the cache if its document is kept. None: it can't be executed, and execution will say why."""
    weigh = _weigh_cached if is_kept(text) else _weigh
    try:
        document = weigh(schema, text)
        return None if document is None else document.operation(name)
    except (GraphQLError, UnknownOperation):
        return None


def _weigh(schema: GraphQLSchema, text: str) -> DocumentCost | None:
    document = _parse(text)
    return None if validate_document(schema, document, RULES) else DocumentCost(schema, document)


def _weigh_known(schema: GraphQLSchema, text: str) -> DocumentCost | None:
    return None if _validate_cached(schema, text, RULES) else DocumentCost(schema, _parse_cached(text))


def _insist_on_one(document: DocumentNode, wanted: str | None) -> None:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if not operations:
        message = "The document has no operation."
    elif not wanted and len(operations) > 1:
        message = "The document has several operations: say with `operationName` which one is meant."
    elif wanted and wanted not in {each.name.value for each in operations if each.name}:
        message = "The document has no operation with the name that `operationName` gives."
    else:
        return
    raise GraphQLError(message, extensions={"code": "INVALID_INPUT", "path": ["operationName"]})


def is_kept(text: str) -> bool:
    """Whether this document may be remembered: nothing in it looks like a card."""
    return not MAY_HOLD_A_CARD.search(text)


def parsed(text: str) -> DocumentNode:
    """A document, from the cache if it is kept. Raises GraphQLError."""
    return _parse_cached(text) if is_kept(text) else _parse(text)


def _parse(text: str) -> DocumentNode:
    return parse(text, max_tokens=MAX_TOKENS)


def _validate(schema: GraphQLSchema, text: str, rules: tuple[type[ASTValidationRule], ...]) -> list[GraphQLError]:
    return validate_document(schema, _parse_cached(text), rules)


_parse_cached = lru_cache(CACHED_DOCUMENTS)(_parse)
_validate_cached = lru_cache(CACHED_DOCUMENTS)(_validate)
_weigh_cached = lru_cache(CACHED_DOCUMENTS)(_weigh_known)


def build_schema() -> strawberry.Schema:
    """The schema that is served."""
    return ApiSchema(
        Query,
        Mutation,
        Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[Documents],
    )
