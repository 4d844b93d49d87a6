"""A query's argument that can't be served. Queries answer no unions: it becomes a GraphQL error with a code and a path."""

from collections.abc import Sequence

from graphql import GraphQLError


class RefusedArgument(GraphQLError):
    """What was wrong with an argument, where, and what to do."""

    def __init__(self, path: Sequence[str], message: str) -> None:
        super().__init__(message, extensions={"code": "INVALID_INPUT", "path": list(path)})
