"""Wrong keys are limited for each address: a guess costs us a look at the database, and should cost the guesser more."""

import math
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from cachetools import LRUCache

from domain.caller import Address

BURST = 20  # wrong keys at once: a deployment with the wrong secret has a dozen processes that start together
EVERY_S = 1.0  # and one more for each second: nobody finds one of 2^190 keys at any pace, this is about our database
REMEMBERED = 10_000  # addresses, some 200 bytes each; whoever has more of them pushes his own first ones out
IPV6_PREFIX = 64  # bits that tell one IPv6 customer from another; the rest he chooses himself


class WrongKeys:
    """A token bucket for each address, held as the time until which it has spent. `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._spent_until: LRUCache[object, float] = LRUCache(REMEMBERED)

    def wait_s(self, address: Address) -> int | None:
        """Take a token before a key is looked up. None: go on. Else the seconds to wait; nothing was taken."""
        now, who = self._monotonic(), _who(address)
        spent_until = max(self._spent_until.get(who, now), now) + EVERY_S
        over_s = spent_until - now - BURST * EVERY_S
        if over_s > 0:
            return math.ceil(over_s)
        self._spent_until[who] = spent_until
        return None

    def give_back(self, address: Address) -> None:
        """The key was good: its look is not counted."""
        who = _who(address)
        if who in self._spent_until:
            self._spent_until[who] -= EVERY_S


def _who(address: Address) -> object:
    return ip_network((address, IPV6_PREFIX), strict=False) if isinstance(address, IPv6Address) else address
