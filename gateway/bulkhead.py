"""Slots for calls to the bank: so many at once in this process, and no partner more than its share of them."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from bank.transport import MAX_CONNECTIONS
from gateway.world import Wait, wait_for

SHARE = MAX_CONNECTIONS // 2  # of one partner: the others always find a half, and alone it can't starve them


class Bulkhead:
    """Partners that wait take turns, each with its oldest call first. What waits is bounded by what is under way in this process."""

    def __init__(self, slots: int = MAX_CONNECTIONS, share: int = SHARE, wait: Wait = wait_for) -> None:
        self._free = slots
        self._share = share
        self._wait = wait
        self._taken: dict[UUID, int] = {}
        self._waiting: OrderedDict[UUID, deque[asyncio.Future[None]]] = OrderedDict()  # in the order of their turns

    @asynccontextmanager
    async def slot(self, tenant_id: UUID, wait_s: float) -> AsyncIterator[bool]:
        """A slot until the end of the block; False when none became free within `wait_s` seconds."""
        has_slot = await self._take(tenant_id, wait_s)
        try:
            yield has_slot
        finally:
            if has_slot:
                self._give_back(tenant_id)

    async def _take(self, tenant_id: UUID, wait_s: float) -> bool:
        if self._free and self._taken.get(tenant_id, 0) < self._share:
            self._free -= 1
            self._taken[tenant_id] = self._taken.get(tenant_id, 0) + 1
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append(turn)
        try:
            await self._wait(turn, wait_s)
        except asyncio.CancelledError:
            if turn.done():  # the slot came together with the cancellation
                self._give_back(tenant_id)
            raise
        finally:
            if not turn.done():
                self._forget(tenant_id, turn)
        return turn.done()

    def _give_back(self, tenant_id: UUID) -> None:
        self._free += 1
        self._taken[tenant_id] -= 1
        if not self._taken[tenant_id]:
            del self._taken[tenant_id]
        for waiting in self._waiting:
            if self._taken.get(waiting, 0) < self._share:
                self._hand_over(waiting)
                return

    def _hand_over(self, tenant_id: UUID) -> None:
        """The oldest call of the partner whose turn it is gets the slot, and the partner goes to the end of the row."""
        turn = self._waiting[tenant_id].popleft()
        if self._waiting[tenant_id]:
            self._waiting.move_to_end(tenant_id)
        else:
            del self._waiting[tenant_id]
        self._free -= 1
        self._taken[tenant_id] = self._taken.get(tenant_id, 0) + 1
        turn.set_result(None)

    def _forget(self, tenant_id: UUID, turn: asyncio.Future[None]) -> None:
        self._waiting[tenant_id].remove(turn)
        if not self._waiting[tenant_id]:
            del self._waiting[tenant_id]
