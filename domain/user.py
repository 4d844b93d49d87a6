"""An end user of a partner: whom cards belong to. To the partner it is `external_id`, which payments carry as their customer.

ACTIVE ◄──► DEACTIVATED
   │             │
   └──► ERASED ◄─┘
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class UserState(StrEnum):
    """Where a user stands."""

    ACTIVE = "ACTIVE"
    DEACTIVATED = "DEACTIVATED"
    """Nothing is paid with their cards, and none is added. They can come back."""
    ERASED = "ERASED"
    """Their personal data is gone, and their cards are closed; their receipts are kept. For ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One user. What is personal is in no repr."""

    id: UUID
    external_id: str
    state: UserState
    created_at: datetime
    updated_at: datetime
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


def erased(user: User, at: datetime) -> User:
    """The user without personal data. `external_id` stays: it is the partner's own number, and it is what the receipts say."""
    return replace(user, state=UserState.ERASED, name=None, email=None, metadata={}, updated_at=at)
