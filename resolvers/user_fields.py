"""The operations on users, as parts of the roots."""

from typing import Annotated

import strawberry

from domain.scope import Scope
from resolvers import users
from resolvers.asking import asks
from resolvers.context import Info
from resolvers.given import given
from resolvers.pages import window
from schema import inputs, user_inputs
from schema.user import (
    CreateUserResult,
    DeactivateUserResult,
    EraseUserResult,
    ReactivateUserResult,
    UpdateUserResult,
    User,
    UserConnection,
)


@strawberry.type
class UserQueries:
    @asks(
        Scope.USERS_READ, "One user, by `id` or by `externalId`: give exactly one. Null for what does not exist or is not yours."
    )
    async def user(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="A user's id, `usr_…`.")] = strawberry.UNSET,  # noqa: A002
        external_id: Annotated[
            str | None, strawberry.argument(description="Your own number of them, in whatever Unicode spelling.")
        ] = strawberry.UNSET,
    ) -> User | None:
        return await users.user_by(info, user_id=given(id), external_id=given(external_id))

    @asks(Scope.USERS_READ, "Users, newest first, in pages that stay stable while new ones arrive.")
    async def users(
        self,
        info: Info,
        first: inputs.First = strawberry.UNSET,
        after: inputs.After = strawberry.UNSET,
        last: inputs.Last = strawberry.UNSET,
        before: inputs.Before = strawberry.UNSET,
        filter: Annotated[  # noqa: A002
            user_inputs.UserFilter | None, strawberry.argument(description="Which users; all without it.")
        ] = strawberry.UNSET,
    ) -> UserConnection:
        return await users.users(info, window(first=first, after=after, last=last, before=before), given(filter))


@strawberry.type
class UserMutations:
    @asks(Scope.USERS_WRITE, "Make a user. Payments with their external id as `customerId` are theirs, earlier ones too.")
    async def create_user(
        self,
        info: Info,
        input: Annotated[user_inputs.CreateUserInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> CreateUserResult | None:
        return await users.create_user(info, input)

    @asks(Scope.USERS_WRITE, "Change a user's name, e-mail or metadata. What is left out stays; null erases.")
    async def update_user(
        self,
        info: Info,
        input: Annotated[user_inputs.UpdateUserInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> UpdateUserResult | None:
        return await users.update_user(info, input)

    @asks(Scope.USERS_WRITE, "Add no more cards for a user, and let nothing be paid with theirs, until they are reactivated.")
    async def deactivate_user(
        self,
        info: Info,
        input: Annotated[user_inputs.DeactivateUserInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> DeactivateUserResult | None:
        return await users.deactivate_user(info, input)

    @asks(Scope.USERS_WRITE, "Have a deactivated user back, with the cards that they had.")
    async def reactivate_user(
        self,
        info: Info,
        input: Annotated[user_inputs.ReactivateUserInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> ReactivateUserResult | None:
        return await users.reactivate_user(info, input)

    @asks(
        Scope.USERS_WRITE,
        "Erase a user's name, e-mail and metadata for ever, and close their cards. Their payments and external id are kept, as "
        "receipts have to be.",
    )
    async def erase_user(
        self,
        info: Info,
        input: Annotated[user_inputs.EraseUserInput, strawberry.argument(description="The wish.")],  # noqa: A002
    ) -> EraseUserResult | None:
        return await users.erase_user(info, input)
