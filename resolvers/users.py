"""End users: five operations, and three ways to look at them."""

from collections.abc import Awaitable, Callable
from typing import cast
from uuid import UUID

import strawberry

from domain.answer import InvalidInput
from domain.audit import Origin
from domain.ids import IdKind, decode_id_of
from domain.request import MAX_NAME_LENGTH
from domain.user_request import ChangeUser, parse_change_user, parse_create_user, parse_update_user
from gateway.register import UserAnswer
from gateway.telling import Outcome
from persistence.pages import Window
from persistence.payment_pages import Cursor
from persistence.user_pages import UserFilter, count_users, page_of_users
from persistence.users import find_user
from resolvers.context import Info
from resolvers.given import given
from resolvers.pages import page_info_of, printable
from resolvers.refused_argument import RefusedArgument
from schema import user_inputs as inputs
from schema.errors import ErrorType, error_of
from schema.user import (
    CreateUserResult,
    DeactivateUserResult,
    EraseUserResult,
    ReactivateUserResult,
    UpdateUserResult,
    User,
    UserConnection,
    UserEdge,
    UserPayload,
    user_of,
)


async def user_by(info: Info, *, user_id: str | None, external_id: str | None) -> User | None:
    """One user, by its id or by the partner's."""
    context = info.context
    if (user_id is None) == (external_id is None):
        raise RefusedArgument(["id" if external_id is None else "externalId"], "Give `id` or `externalId`: exactly one of them.")
    if user_id is not None:
        value = decode_id_of(IdKind.USER, user_id)
        return None if value is None else await user(info, value)
    assert external_id is not None, "one of the two was given"
    name = printable("externalId", external_id)
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise RefusedArgument(["externalId"], f"An external id has 1 to {MAX_NAME_LENGTH} printable characters.")
    async with context.database.tenant(context.tenant_id) as tx:
        found = await find_user(tx, context.tenant_id, name)
    return user_of(found) if found else None


async def user(info: Info, user_id: UUID) -> User | None:
    """One user by their id."""
    found = await info.context.users.load(user_id)
    return user_of(found) if found else None


async def users(info: Info, window: Window, where: inputs.UserFilter | None) -> UserConnection:
    """A page of users, newest first."""
    context, matching = info.context, _where(where)
    async with context.database.tenant(context.tenant_id) as tx:
        page = await page_of_users(tx, context.tenant_id, matching, window)

    async def count() -> int:
        async with context.database.tenant(context.tenant_id) as tx:
            return await count_users(tx, context.tenant_id, matching)

    edges = [UserEdge(cursor=Cursor(each.created_at, each.id).encode(), node=user_of(each)) for each in page.rows]
    return UserConnection(count=count, edges=edges, page_info=page_info_of(page, [edge.cursor for edge in edges]))


async def create_user(info: Info, input: inputs.CreateUserInput) -> CreateUserResult:  # noqa: A002
    """Make a user."""
    context = info.context
    request = parse_create_user(
        input.idempotency_key, input.external_id, given(input.name), given(input.email), given(input.metadata)
    )
    if isinstance(request, InvalidInput):
        return cast(CreateUserResult, error_of(request))
    return cast(CreateUserResult, _answered(await context.register.create(context.tenant_id, request, context.origin)))


async def update_user(info: Info, input: inputs.UpdateUserInput) -> UpdateUserResult:  # noqa: A002
    """Change what is known of a user."""
    context = info.context
    wished = {"name": input.name, "email": input.email, "metadata": input.metadata}
    changes = {name: value for name, value in wished.items() if value is not strawberry.UNSET}
    request = parse_update_user(input.idempotency_key, input.user_id, changes)
    if isinstance(request, InvalidInput):
        return cast(UpdateUserResult, error_of(request))
    return cast(UpdateUserResult, _answered(await context.register.update(context.tenant_id, request, context.origin)))


async def deactivate_user(info: Info, input: inputs.DeactivateUserInput) -> DeactivateUserResult:  # noqa: A002
    """Let nothing be paid with their cards."""
    return cast(DeactivateUserResult, await _change(info, input, info.context.register.deactivate))


async def reactivate_user(info: Info, input: inputs.ReactivateUserInput) -> ReactivateUserResult:  # noqa: A002
    """Have them back."""
    return cast(ReactivateUserResult, await _change(info, input, info.context.register.reactivate))


async def erase_user(info: Info, input: inputs.EraseUserInput) -> EraseUserResult:  # noqa: A002
    """Erase what is personal of them."""
    return cast(EraseUserResult, await _change(info, input, info.context.register.erase))


async def _change(
    info: Info,
    wish: inputs.DeactivateUserInput | inputs.ReactivateUserInput | inputs.EraseUserInput,
    change: Callable[[UUID, ChangeUser, Origin], Awaitable[UserAnswer]],
) -> UserPayload | ErrorType:
    request = parse_change_user(wish.idempotency_key, wish.user_id)
    if isinstance(request, InvalidInput):
        return error_of(request)
    return _answered(await change(info.context.tenant_id, request, info.context.origin))


def _answered(answer: UserAnswer) -> UserPayload | ErrorType:
    if isinstance(answer, Outcome):
        return UserPayload(user=user_of(answer.thing), replayed=answer.replayed)
    return error_of(answer)


def _where(where: inputs.UserFilter | None) -> UserFilter:
    if where is None:
        return UserFilter()
    external_id = given(where.external_id)
    return UserFilter(
        external_id=None if external_id is None else printable("externalId", external_id, within=("filter",)),
        states=given(where.states),
        created_after=given(where.created_after),
        created_before=given(where.created_before),
    )
