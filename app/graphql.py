"""The GraphQL schema, put together: the roots, the scalars, and the limits of a document."""

from collections.abc import Iterator
from functools import lru_cache
from re import compile as pattern

import strawberry
from graphql import ASTValidationRule, DocumentNode, GraphQLError, OperationDefinitionNode, parse
from strawberry.extensions import AddValidationRules, SchemaExtension, ValidationCache
from strawberry.extensions.max_aliases import create_validator as alias_rule
from strawberry.extensions.query_depth_limiter import create_validator as depth_rule
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

from resolvers.root import Mutation, Query
from schema.scalars import SCALARS

MAX_DEPTH = 15  # introspection as tools ask for it has 13; our deepest useful query has 7
MAX_ALIASES = 50  # a dashboard's page has a handful; each one repeats the work of a field
MAX_TOKENS = 5_000  # introspection has some 400; bounds the time that parsing and validating can take
CACHED_DOCUMENTS = 500  # a partner's programs use some dozens of documents, again and again; each takes some 50 kB

_MAY_HOLD_A_CARD = pattern(r"\d(?:[ -]?\d){11,}")  # documents with such literals are not kept in memory

# Built once: a rule made anew for each request is another key in the validation cache, which then never hits.
_RULES: list[type[ASTValidationRule]] = [depth_rule(MAX_DEPTH, None, None), alias_rule(MAX_ALIASES)]


class ApiSchema(strawberry.Schema):
    """Strawberry's schema, which leaves errors to the endpoint: its own logging would repeat what clients sent."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: see `app.graphql_http`."""


class Documents(SchemaExtension):
    """Parses documents, remembers the usual ones, and insists that one operation is meant.

    With several operations and no operationName the specification demands an error (§6.1); the first one would run otherwise.
    """

    def on_parse(self) -> Iterator[None]:
        """Parse, or take the parsed document out of the cache."""
        execution = self.execution_context
        text = execution.query or ""
        parse_text = _parse if _MAY_HOLD_A_CARD.search(text) else _parse_cached
        document = parse_text(text)
        _insist_on_one(document, execution.operation_name)
        execution.graphql_document = document
        yield


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


def _parse(text: str) -> DocumentNode:
    return parse(text, max_tokens=MAX_TOKENS)


_parse_cached = lru_cache(CACHED_DOCUMENTS)(_parse)


def build_schema() -> strawberry.Schema:
    """The schema that is served."""
    return ApiSchema(
        Query,
        Mutation,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[
            Documents,
            lambda: AddValidationRules(_RULES),
            lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
        ],
    )
