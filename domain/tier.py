"""Tiers: how much of the platform a partner may use. All of it is stated here, and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class TierName(StrEnum):
    """What a partner's contract says."""

    TRIAL = "TRIAL"
    STANDARD = "STANDARD"
    ENTERPRISE = "ENTERPRISE"


MICRO = 1_000_000
EXACT = 2**53  # Redis counts in doubles, which are exact up to here


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket in points of cost: `capacity` at once; `points` come back in `every_s` seconds, evenly."""

    capacity: int
    points: int
    every_s: int = 1

    def __post_init__(self) -> None:
        assert self.capacity > 0 and self.points > 0 and self.every_s > 0, "a rate lets something through"
        assert 2 * self.whole + self.points < EXACT, "a bucket is counted exactly in Redis, too"

    @property
    def unit(self) -> int:
        """A point, as buckets count: each microsecond brings back `points` of these."""
        return MICRO * self.every_s

    @property
    def whole(self) -> int:
        """A full bucket, as buckets count."""
        return self.capacity * self.unit

    @property
    def fills_in_s(self) -> int:
        """Seconds until an empty bucket is full, rounded up."""
        return -(-self.capacity * self.every_s // self.points)


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier allows. A key alone gets half of its partner's: one program that runs wild leaves room for the others.

    `at_once`: requests in flight in one process. `monthly_cost`: a quota that warns, and stops nobody.
    """

    partner: Rate
    key: Rate
    at_once: int
    monthly_cost: int


TIERS: Mapping[TierName, Tier] = {
    # A desk that tries things out: some ten mutations a second.
    TierName.TRIAL: Tier(Rate(4_000, 200), Rate(2_000, 100), at_once=50, monthly_cost=10_000_000),
    # A shop: a hundred mutations a second, and a rush of two thousand at once.
    TierName.STANDARD: Tier(Rate(40_000, 2_000), Rate(20_000, 1_000), at_once=500, monthly_cost=500_000_000),
    # Ten thousand payments a second, each authorized and captured (2 × 10 points), for five seconds above that.
    TierName.ENTERPRISE: Tier(Rate(2_000_000, 400_000), Rate(1_000_000, 200_000), at_once=5_000, monthly_cost=10**12),
}
