"""What a key's scopes don't allow."""

from graphql import GraphQLError

from domain.caller import Caller
from domain.scope import Scope


class Forbidden(GraphQLError):
    """The key lacks a scope. Nothing was done or looked up for that field; others of the document are served."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(
            f"This API key lacks the scope `{scope}`. Use a key that has it, or make one with it.",
            extensions={"code": "FORBIDDEN", "scope": scope.value},
        )


def insist_that(caller: Caller, scope: Scope) -> None:
    """Raises Forbidden unless the caller's key has the scope."""
    if scope not in caller.key.scopes:
        raise Forbidden(scope)
