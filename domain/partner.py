"""A partner: a business with access to this API, and the tenant of everything it owns."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Partner:
    """One tenant."""

    id: UUID
    name: str
    created_at: datetime
