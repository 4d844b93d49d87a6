"""Wrong keys are limited for each address: a guess costs us a look at the database, and should cost the guesser more."""

import asyncio
import math
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from weakref import WeakValueDictionary

from cachetools import LRUCache

from domain.caller import Address

BURST = 20  # wrong keys at once: a deployment with the wrong secret has a dozen processes that start together
EVERY_S = 1.0  # and one more for each second: nobody finds one of 2^190 keys at any pace, this is about our database
AT_ONCE = 4  # looks under way for one address; more of them would be let in before the first is known to be wrong
REMEMBERED = 10_000  # addresses, some 200 bytes each; whoever has more of them pushes his own first ones out
IPV6_PREFIX = 64  # bits that tell one IPv6 customer from another; the rest he chooses himself


class WrongKeys:
    """A token bucket for each address, held as the time until which it has spent. `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._spent_until: LRUCache[Address | IPv6Network, float] = LRUCache(REMEMBERED)
        self._lines: WeakValueDictionary[Address | IPv6Network, asyncio.Semaphore] = WeakValueDictionary()

    def turn(self, address: Address) -> asyncio.Semaphore:
        """The line in which who comes from there waits to be looked up: use it as `async with`. It goes with its last one."""
        who = _who(address)
        line = self._lines.get(who)
        if line is None:
            line = self._lines[who] = asyncio.Semaphore(AT_ONCE)
        return line

    def wait_s(self, address: Address) -> int | None:
        """For how many seconds this address has to wait, or None when another key may be looked up."""
        now = self._monotonic()
        over_s = self._spent_until.get(_who(address), now) - now - (BURST - 1) * EVERY_S
        return math.ceil(over_s) if over_s > 0 else None

    def count(self, address: Address) -> None:
        """One wrong key came from there."""
        now, who = self._monotonic(), _who(address)
        self._spent_until[who] = max(self._spent_until.get(who, now), now) + EVERY_S


def _who(address: Address) -> Address | IPv6Network:
    return IPv6Network((address, IPV6_PREFIX), strict=False) if isinstance(address, IPv6Address) else address
