"""End users of a partner, and what changing them answers."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain.ids import IdKind, encode_id
from domain.user import User as DomainUser
from domain.user import UserState
from schema import inputs
from schema.below import Info
from schema.connection import PageInfo, PaymentConnection
from schema.end_user_errors import ExternalIdTakenError, UserNotUsableError
from schema.errors import IdempotencyMismatchError, InvalidInputError, NotFoundError
from schema.node import Node
from schema.scalars import Metadata

if TYPE_CHECKING:
    from schema.card import CardConnection


@strawberry.type(description="An end user of yours: whom cards belong to, and who pays.")
class User(Node):
    user: strawberry.Private[DomainUser]

    external_id: str = strawberry.field(description="Your own number of them, which payments carry as `customerId`.")
    name: str | None = strawberry.field(description="Their name. Null when it was not given, and when they are ERASED.")
    email: str | None = strawberry.field(
        description="Their e-mail address. Null when it was not given, and when they are ERASED."
    )
    metadata: Metadata = strawberry.field(description="What else you keep with them; empty when they are ERASED.")
    state: UserState = strawberry.field(description="Where they stand.")
    created_at: datetime = strawberry.field(description="When they were made.")
    updated_at: datetime = strawberry.field(description="When they were changed last.")

    @strawberry.field(
        description="Their cards, newest first; closed ones too. Needs the scope `cards:read`; null, with an error, for a key without it."
    )
    async def cards(
        self, info: Info, first: inputs.First = strawberry.UNSET, after: inputs.After = strawberry.UNSET
    ) -> Annotated["CardConnection", strawberry.lazy("schema.card")] | None:
        return await info.context.below.cards_of_user(self.user, first, after)

    @strawberry.field(
        description="The payments whose `customerId` is their `externalId`, newest first, also those of before the user was made. Needs "
        "the scope `payments:read`; null, with an error, for a key without it."
    )
    async def payments(
        self, info: Info, first: inputs.First = strawberry.UNSET, after: inputs.After = strawberry.UNSET
    ) -> PaymentConnection | None:
        return await info.context.below.payments_of_user(self.user, first, after)


@strawberry.type(description="A user and their place in the list.")
class UserEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after` or `before`.")
    node: User = strawberry.field(description="The user.")


@strawberry.type(description="A page of users, newest first.")
class UserConnection:
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    edges: list[UserEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[User]:
        return [edge.node for edge in self.edges]

    @strawberry.field(description="How many users match in all. Counted only when asked for, and slow on millions.")
    async def total_count(self) -> int:
        return await self.count()


@strawberry.type(description="The user after the change.")
class UserPayload:
    user: User = strawberry.field(
        description="On a replay as they are by now, not as they were then: what is personal of them is kept in one place only, and "
        "nowhere after an erasure."
    )
    replayed: bool = strawberry.field(description="Whether this answers a request that was made before with the same key.")


CreateUserResult = Annotated[
    UserPayload | InvalidInputError | ExternalIdTakenError | IdempotencyMismatchError,
    strawberry.union("CreateUserResult", description="The new user, or why none was made."),
]
_Changed = UserPayload | InvalidInputError | NotFoundError | UserNotUsableError | IdempotencyMismatchError
UpdateUserResult = Annotated[
    _Changed, strawberry.union("UpdateUserResult", description="The changed user, or why nothing was changed.")
]
DeactivateUserResult = Annotated[
    _Changed, strawberry.union("DeactivateUserResult", description="The user, or why they were not deactivated.")
]
ReactivateUserResult = Annotated[
    _Changed, strawberry.union("ReactivateUserResult", description="The user, or why they were not reactivated.")
]
EraseUserResult = Annotated[
    UserPayload | InvalidInputError | NotFoundError | IdempotencyMismatchError,
    strawberry.union("EraseUserResult", description="What is left of the user, or why nothing was erased."),
]


def user_of(user: DomainUser) -> User:
    """A domain user as the schema shows it."""
    return User(
        user=user,
        id=strawberry.ID(encode_id(IdKind.USER, user.id)),
        external_id=user.external_id,
        name=user.name,
        email=user.email,
        metadata=Metadata(user.metadata),
        state=user.state,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )
