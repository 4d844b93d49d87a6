"""A query's argument that can't be served. Queries answer no unions: it becomes a GraphQL error with a code and a path."""

from collections.abc import Sequence

from graphql import GraphQLError


class RefusedArgument(GraphQLError):
    """What was wrong with an argument, where, and what to do."""

    def __init__(self, path: Sequence[str], message: str) -> None:
        super().__init__(message, extensions={"code": "INVALID_INPUT", "path": list(path)})


class CursorExpired(GraphQLError):
    """What follows on the event that was given is not kept any more. `oldest`: the event that the log begins with now."""

    def __init__(self, path: Sequence[str], oldest: str | None) -> None:
        message = (
            "Events are not kept for ever, and what followed on this one has gone in part. Read what there is with `events` without "
            "`after`, and go on from there; look up with `payments` what you missed."
        )
        super().__init__(message, extensions={"code": "CURSOR_EXPIRED", "path": list(path), "oldest": oldest})
