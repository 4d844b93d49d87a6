"""What all refusals have in common."""

import strawberry

from schema.enums import ErrorCode


@strawberry.interface(description="A refusal: nothing was done. `code` is for programs, `message` for people.")
class UserError:
    code: ErrorCode = strawberry.field(description="What kind of refusal.")
    message: str = strawberry.field(description="What was wrong and what to do, in a sentence.")
    path: list[str] | None = strawberry.field(description='Where in the arguments: `["input", "amount", "minorUnits"]`.')
