"""A partner: a business with access to this API, and the tenant of everything it owns. For its tests it has a second tenant, its
sandbox, so that row-level security itself keeps test payments and live ones apart.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.tier import TierName


class Mode(StrEnum):
    """Whether money moves."""

    LIVE = "LIVE"
    TEST = "TEST"


@dataclass(frozen=True, slots=True)
class Partner:
    """One tenant: a partner, or the sandbox of one. Whoever is suspended is served nothing; what is under way goes on."""

    id: UUID
    name: str
    created_at: datetime
    tier: TierName = TierName.STANDARD
    suspended_at: datetime | None = None
    allowed_origins: frozenset[str] | None = None  # of browsers that may use its keys; None: as the installation has it


# A live tenant's id is a UUIDv7, its sandbox's the same as a UUIDv8 (RFC 9562 §5.8, "vendor-specific"): whoever has a tenant's
# id knows its mode without asking anybody, and neither can be taken for the other.
_VERSION_BITS = 76
_BETWEEN = (7 ^ 8) << _VERSION_BITS


def mode_of(tenant_id: UUID) -> Mode:
    """Whether this tenant is a sandbox."""
    return Mode.TEST if tenant_id.int >> _VERSION_BITS & 0xF == 8 else Mode.LIVE


def tenant_of(partner_id: UUID, mode: Mode) -> UUID:
    """The tenant of a partner in a mode; `partner_id` may be any of its two."""
    return partner_id if mode_of(partner_id) is mode else UUID(int=partner_id.int ^ _BETWEEN)
