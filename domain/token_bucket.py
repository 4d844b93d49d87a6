"""Token buckets in whole numbers, so that no rate is rounded: one point an hour is as exact as a million a second.

A bucket keeps what is *missing*: nothing missing is full, and equals a bucket that nobody remembers. It is counted in micropoints,
times the rate's `every_s`: then each microsecond brings back exactly `points` of them. `persistence/buckets.py` has the same rules
in Lua, for all processes together; a test compares the two.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.tier import Rate


class Bucket(NamedTuple):
    """What is missing, and since when nothing has come back, in microseconds."""

    missing: int
    at_us: int


FULL = Bucket(0, 0)


class Wanted(NamedTuple):
    """A bucket to take from, and the rate at which it fills."""

    bucket: Bucket
    rate: Rate


class Charged(NamedTuple):
    """Whether the cost was taken, and the buckets as they are now, in the order in which they were given."""

    admitted: bool
    buckets: tuple[Bucket, ...]


def charge(cost: int, wanted: Sequence[Wanted], now_us: int) -> Charged:
    """Take `cost` points from every bucket, or from none when one has too few."""
    filled = [refill(each.bucket, each.rate, now_us) for each in wanted]
    admitted = all(bucket.missing + cost * each.rate.unit <= each.rate.whole for bucket, each in zip(filled, wanted, strict=True))
    if not admitted:
        return Charged(False, tuple(filled))
    return Charged(
        True,
        tuple(
            bucket._replace(missing=bucket.missing + cost * each.rate.unit) for bucket, each in zip(filled, wanted, strict=True)
        ),
    )


def refill(bucket: Bucket, rate: Rate, now_us: int) -> Bucket:
    """What has come back until now. A clock that was put back brings nothing, and takes nothing."""
    now_us = max(now_us, bucket.at_us)
    missing = min(bucket.missing, rate.whole)  # more than all is missing after a change to a smaller tier
    return Bucket(max(0, missing - (now_us - bucket.at_us) * rate.points), now_us)


def remaining(missing: int, rate: Rate) -> int:
    """Whole points that are left."""
    return max(0, rate.whole - missing) // rate.unit


def until_fits_us(missing: int, rate: Rate, cost: int) -> int:
    """Microseconds until `cost` points are there; for more than the capacity, until the bucket is full."""
    lacking = missing + min(cost, rate.capacity) * rate.unit - rate.whole
    return max(0, -(-lacking // rate.points))
