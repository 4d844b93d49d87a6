"""Left out and null are the same question: neither asks for anything."""

from typing import TypeVar

import strawberry

T = TypeVar("T")


def given(value: T | None) -> T | None:
    """The value, or None when it is null or was left out (which Strawberry says with UNSET)."""
    return None if value is strawberry.UNSET else value
