"""A caller: the key that was presented, whose it is, and from where it came."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from domain.api_key import ApiKey
from domain.partner import Mode, Partner, mode_of
from domain.tier import TIERS, Tier

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `partner` is the key's tenant: for a test key, the partner's sandbox."""

    key: ApiKey
    partner: Partner
    address: Address

    @property
    def tenant_id(self) -> UUID:
        """Whose data the caller may see."""
        return self.key.tenant_id

    @property
    def mode(self) -> Mode:
        """Whether money moves."""
        return mode_of(self.tenant_id)

    @property
    def tier(self) -> Tier:
        """How much the caller may use."""
        return TIERS[self.partner.tier]
