"""What stands between a request that was read and its execution: what it costs, and whether it may run now. docs/limits.md."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from graphql import GraphQLSchema, OperationType

from app.cost import EVENT, LEAST, MAX_COST, Variables
from app.graphql import cost_of
from app.limiter import Limiter, Verdict
from app.quota import Quotas
from domain import usage
from domain.caller import Caller
from domain.tier import Rate
from domain.token_bucket import remaining, until_fits_us

AT_ONCE_RETRY_S = 1  # a place is free as soon as any of the partner's requests has ended
MAX_STREAMS_OF_A_KEY = 1_000  # connections that stay, in one process: some 50 kB each
MAX_STREAMS_OF_A_PARTNER = 2_000  # so that one partner with many keys leaves room for the others
MAX_PACED = 100  # events that are charged together: less than any tier has at once, without Redis too
STREAMS_RETRY_S = 10  # a dashboard that was closed is noticed within two pings
BUSY_RETRY_S = 2  # the database's line is served within three seconds


@dataclass(frozen=True, slots=True)
class Charged:
    """A request that may run, or that only asked for its cost (`is_dry`), and what its answer says about that."""

    extensions: dict[str, Any]
    headers: dict[str, str]
    is_dry: bool


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A request that may not run. Nothing of it was done, and its idempotency key is as it was."""

    status: int
    code: str
    message: str
    retry_after_ms: int | None = None
    extensions: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Limits:
    """Admits requests. While `is_busy` says so, only mutations are: payments go before dashboards."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limiter: Limiter,
        quotas: Quotas,
        is_busy: Callable[[], bool],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._schema = schema
        self._limiter = limiter
        self._quotas = quotas
        self._is_busy = is_busy
        self._sleep = sleep
        self._paced: dict[UUID, deque[asyncio.Future[None]]] = {}  # events that wait to be charged, by key
        self._pacing: set[asyncio.Task[None]] = set()
        self._under_way: Counter[UUID] = Counter()
        self._streams_of_key: Counter[UUID] = Counter()
        self._streams_of_partner: Counter[UUID] = Counter()
        self.turned_away: Counter[str] = Counter()
        self.charged = 0

    @property
    def under_way(self) -> int:
        """Requests that have a place just now."""
        return self._under_way.total()

    @property
    def streams(self) -> int:
        """Connections of streams that are open just now, over either wire."""
        return self._streams_of_partner.total()

    def kind(self, text: str, name: str | None) -> OperationType | None:
        """Query, mutation or subscription; None: it can't be executed."""
        operation = cost_of(self._schema, text, name)
        return None if operation is None else operation.kind

    def is_stream(self, text: str, name: str | None) -> bool:
        """Whether this operation is a subscription."""
        return self.kind(text, name) is OperationType.SUBSCRIPTION

    @contextmanager
    def stream(self, caller: Caller) -> Iterator[TurnedAway | None]:
        """A connection that stays: a WebSocket, or an event stream. Or why there are enough."""
        key_id, tenant_id = caller.key.id, caller.tenant_id
        for of_whom, count, most in (
            ("key", self._streams_of_key[key_id], MAX_STREAMS_OF_A_KEY),
            ("partner", self._streams_of_partner[tenant_id], MAX_STREAMS_OF_A_PARTNER),
        ):
            if count >= most:
                self.turned_away["TOO_MANY_STREAMS"] += 1
                message = f"{most} connections of this {of_whom} are open here already. Close those that nobody reads."
                yield TurnedAway(429, code="TOO_MANY_STREAMS", message=message, retry_after_ms=STREAMS_RETRY_S * 1000)
                return
        self._streams_of_key[key_id] += 1
        self._streams_of_partner[tenant_id] += 1
        try:
            yield None
        finally:
            for counter, of in ((self._streams_of_key, key_id), (self._streams_of_partner, tenant_id)):
                counter[of] -= 1
                if not counter[of]:
                    del counter[of]

    @contextmanager
    def place(self, caller: Caller) -> Iterator[TurnedAway | None]:
        """One of the partner's places for the time of a request, or why there is none."""
        tenant_id, at_once = caller.tenant_id, caller.tier.at_once
        if self._under_way[tenant_id] >= at_once:
            self.turned_away["TOO_MANY_AT_ONCE"] += 1
            yield TurnedAway(
                status=429,
                code="TOO_MANY_AT_ONCE",
                message=f"{at_once} of your requests are under way here already. Wait for the answer of one of them.",
                retry_after_ms=AT_ONCE_RETRY_S * 1000,
            )
            return
        self._under_way[tenant_id] += 1
        try:
            yield None
        finally:
            self._under_way[tenant_id] -= 1
            if not self._under_way[tenant_id]:
                del self._under_way[tenant_id]

    async def admit(
        self, caller: Caller, text: str, name: str | None, variables: Variables | None, *, is_dry: bool
    ) -> Charged | TurnedAway:
        """Charge an operation before anything of it is done. One that can't be executed costs least; execution says what is wrong."""
        admitted = await self._admit(caller, text, name, variables, is_dry)
        if isinstance(admitted, TurnedAway):
            self.turned_away[admitted.code] += 1
        elif not admitted.is_dry:
            self.charged += admitted.extensions["cost"]["requested"]
        return admitted

    async def pace(self, caller: Caller) -> None:
        """Charge an event of a stream. Nothing is dropped: whoever has used up the rate gets it when it fits again.

        An event comes to all streams of a key in the same moment: those that wait are charged together.
        """
        line = self._paced.get(caller.key.id)
        if line is None:
            line = self._paced[caller.key.id] = deque()
            task = asyncio.create_task(self._pace(caller, line))
            self._pacing.add(task)
            task.add_done_callback(self._pacing.discard)
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        await turn

    async def _pace(self, caller: Caller, line: deque[asyncio.Future[None]]) -> None:
        """Charge for all in this line until it is empty; one at a time while the rate is used up."""
        most = MAX_PACED
        try:
            while line:
                turns = [turn for turn in (line.popleft() for _ in range(min(len(line), most))) if not turn.done()]
                if not turns:  # they have left
                    continue
                verdict = await self._limiter.charge(caller, len(turns) * EVENT, usage.Counter.EVENTS)
                if not verdict.admitted:
                    self.turned_away["EVENT_WAITED"] += 1
                    line.extendleft(reversed(turns))
                    if len(turns) == 1:
                        await self._sleep(verdict.retry_after_ms / 1000)
                    most = 1
                    continue
                most = MAX_PACED
                self.charged += len(turns) * EVENT
                self._limiter.note(caller, {usage.Counter.EVENTS: len(turns) - 1})  # the charge itself is counted as one
                for turn in turns:
                    if not turn.done():
                        turn.set_result(None)
        finally:
            del self._paced[caller.key.id]
            for turn in line:
                turn.cancel()

    def note(self, caller: Caller, *, failed: bool, payments: int) -> None:
        """What became of a request that was admitted, for the usage of its key."""
        self._limiter.note(caller, {usage.Counter.ERRORS: int(failed), usage.Counter.PAYMENTS: payments})

    async def _admit(
        self, caller: Caller, text: str, name: str | None, variables: Variables | None, is_dry: bool
    ) -> Charged | TurnedAway:
        operation = cost_of(self._schema, text, name)
        if self._is_busy() and (operation is None or operation.kind is not OperationType.MUTATION):
            message = "Too much is under way, and payments go first. Repeat this in a moment."
            return TurnedAway(503, code="SERVICE_UNAVAILABLE", message=message, retry_after_ms=BUSY_RETRY_S * 1000)
        cost = LEAST if operation is None else operation.of(variables)
        most = min(MAX_COST, caller.tier.key.capacity)
        is_dry = is_dry and operation is not None
        verdict = await self._limiter.charge(caller, 0 if is_dry or cost > most else cost)
        extensions: dict[str, Any] = {"cost": _numbers(verdict, cost)}
        headers = _headers(verdict)
        if warnings := self._quotas.warnings(caller):
            extensions["warnings"] = warnings
        if is_dry:
            return Charged(extensions, headers, is_dry=True)
        if cost > most:
            message = f"The operation costs more than {most} points. Ask for smaller pages, or for less on each row."
            return TurnedAway(400, code="COST_EXCEEDED", message=message, extensions=extensions, headers=headers)
        if not verdict.admitted:
            retry_ms = verdict.retry_after_ms
            extensions["cost"]["retryAfterMs"] = retry_ms
            message = f"You have used up your rate. This operation costs {cost} points; repeat it in {retry_ms} ms."
            return TurnedAway(
                429, code="RATE_LIMITED", message=message, retry_after_ms=retry_ms, extensions=extensions, headers=headers
            )
        return Charged(extensions, headers, is_dry=False)


def _numbers(verdict: Verdict, cost: int) -> dict[str, Any]:
    missing, rate = verdict.tightest
    whole, rest = divmod(rate.points, rate.every_s)
    return {
        "requested": cost,
        "remaining": remaining(missing, rate),
        "limit": rate.capacity,
        "restoreRate": rate.points / rate.every_s if rest else whole,
        "retryAfterMs": None,
    }


def _headers(verdict: Verdict) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers-11: each bucket as a quota per the time in which it fills."""
    buckets = {"key": verdict.key, "partner": verdict.partner}
    return {
        "RateLimit-Policy": ", ".join(
            f'"{name}";q={rate.capacity};w={rate.fills_in_s};qu="points"' for name, (_, rate) in buckets.items()
        ),
        "RateLimit": ", ".join(
            f'"{name}";r={remaining(missing, rate)};t={_full_in_s(missing, rate)}' for name, (missing, rate) in buckets.items()
        ),
    }


def _full_in_s(missing: int, rate: Rate) -> int:
    return math.ceil(until_fits_us(missing, rate, rate.capacity) / 1_000_000)
