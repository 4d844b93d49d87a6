"""Order ids, customer ids and idempotency keys: fresh in each play, so that it can be played again on the same data."""

from collections.abc import Callable
from itertools import count

RUN_BITS = 40  # two plays of a million share a run's name with a chance of one in a million


class Names:
    """`random_bits(n)` makes one play's names different from every other's; within it they are numbered."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self.run = f"{random_bits(RUN_BITS):010x}"
        self._orders, self._customers, self._keys = count(1), count(1), count(1)

    def order(self) -> str:
        """A new order id."""
        return f"{self.order_prefix}{next(self._orders):04d}"

    def customer(self) -> str:
        """A new customer id."""
        return f"customer-{self.run}-{next(self._customers):02d}"

    def key(self) -> str:
        """A new idempotency key."""
        return f"ficmart-{self.run}-{next(self._keys):05d}"

    @property
    def order_prefix(self) -> str:
        """How each order id of this play begins."""
        return f"order-{self.run}-"
