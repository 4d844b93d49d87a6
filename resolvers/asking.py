"""Who may ask what: each operation states its scope where it is declared, and a key without it gets an error and nothing else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from domain.scope import Scope
from resolvers.context import Context, Info
from resolvers.forbidden import insist_that

SCOPE = "scope"  # under which a field's metadata has what it asks for; None: any key will do

Resolver = Callable[..., Awaitable[Any]]
Follower = Callable[..., Awaitable[AsyncIterator[Any]]]


def insist_on(context: Context, scope: Scope) -> None:
    """Raises Forbidden unless the caller's key has the scope."""
    insist_that(context.caller, scope)


def asks(scope: Scope | None, description: str) -> Callable[[Resolver], StrawberryField]:
    """Declares an operation that only keys with this scope may ask for; None: any key may.

    The check runs before the resolver; the description and the field's metadata (under SCOPE) say the same.
    """

    def declare(resolver: Resolver) -> StrawberryField:
        if scope is None:
            return strawberry.field(resolver, description=description, metadata={SCOPE: None})

        @wraps(resolver)
        async def checked(self: object, info: Info, **arguments: object) -> object:
            insist_on(info.context, scope)
            return await resolver(self, info, **arguments)

        return strawberry.field(checked, description=f"{description} Needs the scope `{scope}`.", metadata={SCOPE: scope})

    return declare


def follows(scope: Scope, description: str) -> Callable[[Follower], StrawberryField]:
    """The same for a subscription: the check runs before the stream begins."""

    def declare(resolver: Follower) -> StrawberryField:
        @wraps(resolver)
        async def checked(self: object, info: Info, **arguments: object) -> AsyncIterator[Any]:
            insist_on(info.context, scope)
            return await resolver(self, info, **arguments)

        return strawberry.subscription(checked, description=f"{description} Needs the scope `{scope}`.", metadata={SCOPE: scope})

    return declare
