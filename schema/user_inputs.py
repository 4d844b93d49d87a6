"""Inputs of what is asked about users. Values are checked by `domain.user_request`, not here."""

from datetime import datetime

import strawberry

from domain.user import UserState
from schema.idempotency_key import IDEMPOTENCY_KEY
from schema.scalars import Metadata

_NAME = "Their name, 1 to 255 characters of any script."
_EMAIL = "Their e-mail address. Only its shape is checked."
_METADATA = (
    "What else you want to keep with them: at most 50 texts of at most 500 characters, each with a name of at most 40. "
    "Nothing that can be a card number."
)


@strawberry.input(description="A wish for a user.")
class CreateUserInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    external_id: str = strawberry.field(
        description="Your own number of them, the `customerId` of their payments: 1 to 255 printable characters. It never changes, "
        "and it is kept when the user is erased: take a number and not, say, an e-mail address."
    )
    name: str | None = strawberry.field(description=_NAME, default=strawberry.UNSET)
    email: str | None = strawberry.field(description=_EMAIL, default=strawberry.UNSET)
    metadata: Metadata | None = strawberry.field(description=_METADATA, default=strawberry.UNSET)


@strawberry.input(description="A wish to change what is known of a user. What is left out stays as it is; null erases it.")
class UpdateUserInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    user_id: strawberry.ID = strawberry.field(description="The user; one that is not ERASED.")
    name: str | None = strawberry.field(description=_NAME, default=strawberry.UNSET)
    email: str | None = strawberry.field(description=_EMAIL, default=strawberry.UNSET)
    metadata: Metadata | None = strawberry.field(
        description=f"{_METADATA} It takes the place of all that there was.", default=strawberry.UNSET
    )


@strawberry.input(description="A wish to let nothing be paid with a user's cards.")
class DeactivateUserInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    user_id: strawberry.ID = strawberry.field(description="The user; one that is not ERASED.")


@strawberry.input(description="A wish to have a deactivated user back.")
class ReactivateUserInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    user_id: strawberry.ID = strawberry.field(description="The user; one that is not ERASED.")


@strawberry.input(description="A wish to erase what is personal of a user, for ever.")
class EraseUserInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    user_id: strawberry.ID = strawberry.field(description="The user.")


@strawberry.input(description="Which users. What is left out or null is not asked for; everything given has to hold.")
class UserFilter:
    external_id: str | None = strawberry.field(description="With this number of yours.", default=strawberry.UNSET)
    states: list[UserState] | None = strawberry.field(description="In one of these states.", default=strawberry.UNSET)
    created_after: datetime | None = strawberry.field(description="Made at this moment or later.", default=strawberry.UNSET)
    created_before: datetime | None = strawberry.field(description="Made before this moment.", default=strawberry.UNSET)
