"""Refusals that are about an end user."""

from typing import assert_never
from uuid import UUID

import strawberry

from domain import answer
from domain.ids import IdKind, encode_id
from domain.user import UserState
from schema import user_enums  # noqa: F401  # gives the enums their descriptions
from schema.enums import ErrorCode
from schema.user_error import UserError


@strawberry.type(description="Another request has made a user with this external id.")
class ExternalIdTakenError(UserError):
    user_id: strawberry.ID = strawberry.field(description="That user.")
    user_state: UserState = strawberry.field(description="Their state. An external id is never free again, not even when ERASED.")


@strawberry.type(description="The user's state stands against it.")
class UserNotUsableError(UserError):
    user_id: strawberry.ID = strawberry.field(description="The user.")
    user_state: UserState = strawberry.field(description="Their state.")


def end_user_error_of(refusal: answer.ExternalIdTaken | answer.UserNotUsable) -> ExternalIdTakenError | UserNotUsableError:
    """A refusal as the schema shows it."""
    match refusal:
        case answer.ExternalIdTaken(user_id, state):
            return ExternalIdTakenError(
                code=ErrorCode.EXTERNAL_ID_TAKEN,
                message="There is a user with this external id; see `userId`. If it is the one that you mean, go on with that.",
                path=["input", "externalId"],
                user_id=_id(user_id),
                user_state=state,
            )
        case answer.UserNotUsable(path, user_id, state, message):
            return UserNotUsableError(
                code=ErrorCode.USER_NOT_USABLE, message=message, path=list(path), user_id=_id(user_id), user_state=state
            )
        case _:
            assert_never(refusal)


def _id(user_id: UUID) -> strawberry.ID:
    return strawberry.ID(encode_id(IdKind.USER, user_id))
