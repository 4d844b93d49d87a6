"""Does what the schedule says to a running system, notes it, and undoes in the end whatever can be undone."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import redis.asyncio
from redis.exceptions import RedisError

from tests.chaos import processes
from tests.chaos.processes import Process
from tests.chaos.proxy import Fate, Line, Toxic
from tests.chaos.schedule import BANK_DIALS, FLAP_S, Event, Fault, Period, Schedule, Weather, flaky_fate
from tests.chaos.system import System

CONTROL_S = 3.0  # the bank's control address answers at once, or its process is stopped
CALM_WITHIN_S = 60.0  # for turning the bank's dials back in the end: it may just be starting
REST = {
    "unreachable": False,
    "database_down": False,
    "misleading_errors": False,
    "commit_to_key_delay_ms": 0,
    "clear_faults": True,
}
KILLED = {Fault.KILL_API: "api", Fault.KILL_WORKER: "worker", Fault.KILL_REDIS: "redis"}
STOPPED = {Fault.STOP_API: "api", Fault.STOP_WORKER: "worker", Fault.STOP_REDIS: "redis"}


@dataclass
class Havoc:
    """`counts` has what was done by kind; the file has a line for each, with its second."""

    system: System
    file: Path
    chance: Random
    counts: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    async def wreak(self, schedule: Schedule) -> None:
        """Everything in its time; then everything is as it was, but for those who still start again."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._weather(schedule.weather))
                for event in schedule.events:
                    group.create_task(self._befall(event, schedule.lasts_s))
        finally:
            await self._calm()

    # --- the line ------------------------------------------------------------------------------------------------------

    async def _weather(self, periods: list[Period]) -> None:
        proxy = self.system.proxy
        for period in periods:
            end_s = period.at_s + period.lasts_s
            self._note(f"weather: {period.weather}", f"for {period.lasts_s:.1f} s")
            proxy.fate_of = self._spoil if period.weather is Weather.FLAKY else lambda _: Fate()
            match period.weather:
                case Weather.SILENT:
                    proxy.set_line(Line.SILENT)
                case Weather.DOWN:
                    proxy.set_line(Line.DOWN)
                case Weather.FLAPPING:
                    while self._now_s() < end_s:
                        proxy.set_line(Line.UP if proxy.line is Line.DOWN else Line.DOWN)
                        await asyncio.sleep(self.chance.uniform(*FLAP_S))
            await self._until(end_s)
            proxy.set_line(Line.UP)

    def _spoil(self, _: str) -> Fate:
        fate = flaky_fate(self.chance)
        if fate.toxic is not Toxic.NONE:
            self.counts[f"line: {fate.toxic}"] += 1
        return fate

    # --- the processes -------------------------------------------------------------------------------------------------

    async def _befall(self, event: Event, until_s: float) -> None:
        await self._until(event.at_s)
        end_s = min(event.at_s + event.lasts_s, until_s)
        match event.fault:
            case Fault.KILL_API | Fault.KILL_WORKER | Fault.KILL_REDIS:
                self._kill(event, processes.of_kind(KILLED[event.fault], self.system.supervisor.pid))
            case Fault.KILL_BANK:
                self._kill(event, self._bank())
            case Fault.CRASH_POSTGRES:
                self._kill(event, processes.postgres_backends(self.system.supervisor.pid))
            case Fault.FLUSH_REDIS:
                await self._flush_redis(event)
            case Fault.STOP_API | Fault.STOP_WORKER | Fault.STOP_REDIS:
                await self._stop(event, processes.of_kind(STOPPED[event.fault], self.system.supervisor.pid), end_s)
            case Fault.STOP_BANK:
                await self._stop(event, self._bank(), end_s)
            case Fault.STOP_POSTGRES_BACKEND:
                await self._stop(event, processes.postgres_backends(self.system.supervisor.pid), end_s)
            case _:
                await self._turn_dials(event, end_s)

    def _bank(self) -> list[Process]:
        return [each for each in processes.children_of(os.getpid()) if each.pid == self.system.bank.pid]

    def _kill(self, event: Event, found: list[Process]) -> None:
        if one := _chosen(found, event.which):
            self._note(event.fault, f"process {one.pid}", done=processes.send(one, signal.SIGKILL))
        else:
            self._note(event.fault, "there is none", done=False)

    async def _stop(self, event: Event, found: list[Process], end_s: float) -> None:
        one = _chosen(found, event.which)
        if one is None or not processes.send(one, signal.SIGSTOP):
            self._note(event.fault, "there is none", done=False)
            return
        self._note(event.fault, f"process {one.pid} for {end_s - self._now_s():.1f} s")
        try:
            await self._until(end_s)
        finally:
            processes.send(one, signal.SIGCONT)

    async def _flush_redis(self, event: Event) -> None:
        client = redis.asyncio.Redis.from_url(self.system.ready["redis_url"], socket_timeout=CONTROL_S, retry=None)
        try:
            await client.flushall()
        except (RedisError, OSError) as error:
            self._note(event.fault, type(error).__name__, done=False)
        else:
            self._note(event.fault, "")
        finally:
            with suppress(RedisError, OSError):
                await client.aclose()

    async def _turn_dials(self, event: Event, end_s: float) -> None:
        turned, back = BANK_DIALS[event.fault]
        async with self._control() as control:
            try:
                await control(turned)
            except httpx.HTTPError as error:
                self._note(event.fault, type(error).__name__, done=False)
                return
            self._note(event.fault, f"for {end_s - self._now_s():.1f} s")
            await self._until(end_s)
            with suppress(httpx.HTTPError):  # a bank that has started anew meanwhile has forgotten it anyway
                await control(back)

    # --- in the end ----------------------------------------------------------------------------------------------------

    async def _calm(self) -> None:
        """What may have been left behind, by a bank that did not listen just then for instance. Raises TimeoutError."""
        self.system.proxy.fate_of = lambda _: Fate()
        self.system.proxy.set_line(Line.UP)
        async with asyncio.timeout(CALM_WITHIN_S), self._control() as control:
            while True:
                try:
                    await control(REST)
                    break
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)

    @asynccontextmanager
    async def _control(self) -> AsyncIterator[Callable[[dict[str, object]], Awaitable[None]]]:
        async with httpx.AsyncClient(base_url=self.system.bank_control_url, timeout=CONTROL_S, trust_env=False) as http:

            async def turn(dials: dict[str, object]) -> None:
                (await http.patch("/chaos", json=dials)).raise_for_status()

            yield turn

    def _now_s(self) -> float:
        return time.monotonic() - self.began

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(at_s - self._now_s(), 0))

    def _note(self, what: str, details: str, *, done: bool = True) -> None:
        """`done` is False for what found nobody to befall."""
        self.counts[what if done else f"{what} (nobody there)"] += 1
        with self.file.open("a") as file:
            file.write(f"{self._now_s():8.2f} s  {what}  {details}".rstrip() + "\n")


def _chosen(found: list[Process], which: float) -> Process | None:
    return found[int(which * len(found))] if found else None
