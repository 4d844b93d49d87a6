"""One drill: start, load and havoc side by side, wait until nothing is open, compare."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from tests.chaos import aftermath
from tests.chaos.havoc import Havoc
from tests.chaos.notebook import Notebook
from tests.chaos.report import Display, Result
from tests.chaos.schedule import Schedule
from tests.chaos.shop import TIMEOUT_S, Shop
from tests.chaos.system import System, running

MAX_UNDER_WAY = 5000  # orders at a time; beyond it new ones are turned away and counted, so that an outage is no pile without end


class Drill:
    """A system, its load and its havoc, with everything that is written down about them in one folder."""

    def __init__(self, schedule: Schedule, folder: Path, display: Display) -> None:
        self._schedule, self._folder, self._display = schedule, folder, display
        self._notebook = Notebook(folder / "acknowledged.txt")
        self._orders: set[asyncio.Task[None]] = set()
        self._began = 0.0

    async def run(self) -> Result:
        """All of it. Raises DidNotStart."""
        async with running(self._folder, self._log) as system, self._shops(system) as shops:
            havoc = Havoc(system, self._folder / "faults.log", self._schedule.chance)
            self._began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(system, havoc))
                loading = group.create_task(self._load(shops, group))
                await havoc.wreak(self._schedule)
                await loading
                settled_s = await aftermath.settle(system, lambda: not self._orders)
                watching.cancel()
                await self._end_orders(shops)
            self._display.status("comparing everything with everything")
            receipts = {shop.number: await aftermath.receipts_of(shop) for shop in shops}
            return Result.of(
                self._notebook,
                havoc.counts,
                [receipt for own in receipts.values() for receipt in own],
                settled_s=settled_s,
                violations={
                    "seen by clients": self._notebook.surprises,
                    "told to clients": aftermath.broken_promises(self._notebook, receipts),
                },
                verification=await aftermath.verify(system, self._notebook.file),
            )

    def _log(self, message: str) -> None:
        with (self._folder / "logs" / "drill.log").open("a") as file:
            file.write(message + "\n")

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._began

    @asynccontextmanager
    async def _shops(self, system: System) -> AsyncIterator[list[Shop]]:
        give_up = asyncio.Event()
        async with AsyncExitStack() as stack:
            shops = []
            for number, partner in enumerate(system.partners):
                http = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=0),  # every client has a connection of its own
                    headers={"Authorization": f"Bearer {partner.key}"},
                    timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                )
                await stack.enter_async_context(http)
                shops.append(
                    Shop(
                        number=number,
                        url=system.ready["graphql"],
                        http=http,
                        notebook=self._notebook,
                        chance=self._schedule.chance,
                        give_up=give_up,
                    )
                )
            yield shops

    async def _load(self, shops: list[Shop], group: asyncio.TaskGroup) -> None:
        """Orders come when they come, whether or not the earlier ones were served."""
        notebook = self._notebook
        for order in self._schedule.orders:
            await asyncio.sleep(max(order.at_s - self._now_s, 0))
            notebook.latest_s = max(notebook.latest_s, self._now_s - order.at_s)
            if len(self._orders) >= MAX_UNDER_WAY:
                notebook.counts["orders turned away by the drill"] += 1
            else:
                notebook.counts["orders"] += 1
                task = group.create_task(shops[order.partner].play(order))
                self._orders.add(task)
                task.add_done_callback(self._orders.discard)

    async def _end_orders(self, shops: list[Shop]) -> None:
        """Who has no answer by now gives up, which is a violation."""
        for shop in shops:
            shop.give_up.set()
        if self._orders:
            await asyncio.wait(list(self._orders))
        for shop in shops:
            shop.give_up.clear()

    async def _watch(self, system: System, havoc: Havoc) -> None:
        """How it goes, again and again."""
        counts = self._notebook.counts
        while True:
            opened = await aftermath.open_attempts(system)
            surprises = f" · {counts['surprises']} surprises" if counts["surprises"] else ""
            self._display.status(
                f"minute {self._now_s / 60:.1f} of {self._schedule.lasts_s / 60:g} · {counts['requests']:,} requests, "
                f"{counts['repeats']:,} of them repeats · {len(self._notebook.payments):,} payments acknowledged · "
                f"{havoc.counts.total():,} faults · {'?' if opened is None else opened} attempts open{surprises}"
            )
            await asyncio.sleep(self._display.every_s)
