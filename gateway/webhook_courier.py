"""The courier: leases deliveries that are due, signs and sends them, and writes down what came of each.

 due ──► leased ──► sent ──► recorded: delivered, due again, or dead
          │           │
          └───────────┴── a process that dies here leaves a lease, which runs out: the delivery is sent again, under the same id

Each endpoint has a bound of its own on what is under way, which begins small, grows while all goes well, and shrinks when it does not. A
receiver that hangs holds a handful of sockets until its breaker opens, and nobody else's.
"""

import asyncio
import contextlib
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import orjson
from cachetools import LRUCache

from domain.event import LoggedEvent
from domain.failpoint import Failpoint
from domain.ids import IdKind, encode_id
from domain.webhook import MAX_BODY_BYTES, Attempt, DeadWhy, Failure, Reply, WebhookEndpoint, verdict_of
from domain.webhook_health import PROBE_S
from domain.webhook_payload import default_data, envelope, test_message
from domain.webhook_signature import signed_headers
from gateway.webhook_records import record
from gateway.webhook_secrets import WebhookSecrets
from gateway.world import World
from persistence.database import Database, DatabaseAway
from persistence.webhook_endpoints import get_endpoints
from persistence.webhook_queue import (
    DueEndpoint,
    Leased,
    Recorded,
    bury_deliveries,
    claim_probes,
    due_endpoints,
    give_back,
    lease_deliveries,
)
from persistence.webhook_secrets import get_secrets

MAX_AT_ONCE = 1_000  # messages under way in this process, some 50 kB each
FIRST_AT_ONCE = 8  # of an endpoint that nothing is known of; with MAX_AT_ONCE, 125 of them may hang at once and nobody waits
MAX_OF_ENDPOINT = 128  # of one that takes everything: 640 a second at 200 ms each
LEASE_S = 60.0  # four times what a call takes at most: what is leased is sent at once
MAX_LOOKED_AT = 1_000  # endpoints of one look; the next look goes on behind them
TENANTS_AT_ONCE = 4  # whose deliveries are leased at a time: connections to the database, of which recovery needs some
MAX_BURIED = 500  # deliveries of one transaction
MAX_RECORDED = 500  # attempts of one transaction
LOOK_S = 1.0  # between two looks when nobody wakes us: a lost wake-up costs that much
LEAST_PAUSE_S = 0.02  # between two looks when everybody does: what comes meanwhile is one batch
RETRY_S = 0.5  # until attempts are written down again that the database did not take
KNOWN_ENDPOINTS = 10_000  # bounds that are remembered
KNOWN_BODIES = 1_000  # messages of the newest events, some 2 kB each

log = logging.getLogger(__name__)

Key = tuple[UUID, UUID]  # tenant and endpoint
Shape = Callable[[UUID, WebhookEndpoint, LoggedEvent], Awaitable[Mapping[str, Any]]]


class Post(Protocol):
    """Sends one message. Never raises: whatever happens is a Reply."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply: ...


class Courier:
    """One of these in a worker, for the tenants of both modes. `watch` is a database with the worker's login.

    `shape` executes an endpoint's document for an event: what it answers is sent as `data`, and perhaps `errors`.
    """

    def __init__(
        self, database: Database, watch: Database, world: World, secrets: WebhookSecrets, *, post: Post, shape: Shape
    ) -> None:
        self._database = database
        self._watch = watch
        self._world = world
        self._secrets = secrets
        self._post = post
        self._shape = shape
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: Counter[Key] = Counter()
        self._bounds: LRUCache[Key, int] = LRUCache(KNOWN_ENDPOINTS)
        self._bodies: LRUCache[UUID, bytes] = LRUCache(KNOWN_BODIES)
        self._full: set[Key] = set()  # leased all that they had room for: there may be more
        self._done: defaultdict[UUID, list[Recorded]] = defaultdict(list)
        self._recording: dict[UUID, asyncio.Task[None]] = {}
        self._behind: Key | None = None
        self._due = asyncio.Event()

    @property
    def under_way(self) -> int:
        """Messages that are being sent or written down just now."""
        return self._under_way.total()

    def wake(self, _: UUID | None) -> None:
        """Something of some tenant was committed: have a look soon."""
        self._due.set()

    async def run(self, stopped: asyncio.Event) -> None:
        """Deliver until `stopped` is set, then finish what is under way."""
        ending = asyncio.ensure_future(stopped.wait())
        while not stopped.is_set():
            self._due.clear()
            try:
                await self.start_due()
            except DatabaseAway as error:
                log.warning("webhooks wait, the database is away: %s", error)
            except Exception:
                log.exception("webhooks went wrong, again in %.1f s", LOOK_S)
            woken = asyncio.ensure_future(self._due.wait())
            await asyncio.wait([woken, ending], timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAST_PAUSE_S):
                    await asyncio.shield(ending)
        ending.cancel()
        await self.settle()

    async def run_once(self) -> int:
        """Deliver all that is due now, once. Returns how many messages that were."""
        sent = 0
        while (started := await self.start_due()) or self._behind is not None:
            sent += started
            await self.settle()
        return sent

    async def settle(self) -> None:
        """Wait until nothing of ours is under way."""
        while self._tasks or self._recording:
            await asyncio.wait([*self._tasks, *self._recording.values()])

    async def start_due(self) -> int:
        """Lease what is due and start sending it, as far as there is room. Returns how many messages that are."""
        async with self._watch.without_tenant() as tx:
            look = await due_endpoints(tx, self._world.now(), limit=MAX_LOOKED_AT, behind=self._behind)
        is_round = self._behind is None
        self._behind = look.behind
        if look.behind is not None or not is_round:
            self._due.set()  # there are more to look at, or those before our beginning
        of_tenant: defaultdict[UUID, list[DueEndpoint]] = defaultdict(list)
        for each in look.due:
            of_tenant[each.tenant_id].append(each)
        room = self._room(look.due)
        gate = asyncio.Semaphore(TENANTS_AT_ONCE)

        async def start(tenant_id: UUID, due: list[DueEndpoint]) -> int:
            async with gate:
                return await self._start_tenant(tenant_id, due, room)

        started = await asyncio.gather(*(start(*each) for each in of_tenant.items()), return_exceptions=True)
        for failed in started:
            if isinstance(failed, BaseException):
                raise failed  # one tenant's trouble, when all others' deliveries are on their way
        return sum(count for count in started if isinstance(count, int))

    def _room(self, due: Sequence[DueEndpoint]) -> dict[Key, int]:
        """How many more may be under way for each endpoint. Those that have the least go first, and none takes more than half of
        what is free: there is always something left for the next."""
        free = MAX_AT_ONCE - self._under_way.total()
        room: dict[Key, int] = {}
        for each in sorted(due, key=lambda each: self._under_way[each.tenant_id, each.endpoint_id]):
            key = each.tenant_id, each.endpoint_id
            bound = 1 if each.is_open else self._bounds.get(key, FIRST_AT_ONCE)
            # In batches: leasing one by one as they come back would cost a transaction each.
            wanted = bound - self._under_way[key] if self._under_way[key] <= bound // 2 else 0
            if each.is_over or wanted <= 0 or free <= 0:
                continue
            room[key] = min(wanted, max(free // 2, 1))
            free -= room[key]
        return room

    async def _start_tenant(self, tenant_id: UUID, due: Sequence[DueEndpoint], room: Mapping[Key, int]) -> int:
        now = self._world.now()
        for each in due:
            if each.is_over:
                await self._bury(tenant_id, each.endpoint_id)
        wanted = {each.endpoint_id: room[tenant_id, each.endpoint_id] for each in due if (tenant_id, each.endpoint_id) in room}
        if not wanted:
            return 0
        async with self._database.tenant(tenant_id, promised=True) as tx:
            if probes := [each.endpoint_id for each in due if each.is_open and each.endpoint_id in wanted]:
                claimed = await claim_probes(tx, tenant_id, probes, now=now, until=now + timedelta(seconds=PROBE_S))
                wanted = {key: count for key, count in wanted.items() if key not in probes or key in claimed}
            until, token = now + timedelta(seconds=LEASE_S), self._world.new_uuid()
            leased = await lease_deliveries(tx, tenant_id, wanted, now=now, until=until, token=token)
            ids = list({each.delivery.endpoint_id for each in leased})
            endpoints = await get_endpoints(tx, tenant_id, ids)
            sealed = await get_secrets(tx, tenant_id, ids, now)
            good = {key for key, endpoint in endpoints.items() if endpoint.disabled_at is None}  # deleted ones are not there
            going = [each for each in leased if each.delivery.endpoint_id in good]
            await give_back(tx, tenant_id, [each for each in leased if each.delivery.endpoint_id not in good])
        if going:
            await self._world.reach(Failpoint.WEBHOOKS_LEASED)
        counts = Counter(each.delivery.endpoint_id for each in going)
        for endpoint_id, count in wanted.items():
            (self._full.add if counts[endpoint_id] >= count else self._full.discard)((tenant_id, endpoint_id))
        keys = {endpoint_id: await self._keys(tenant_id, endpoint_id, sealed.get(endpoint_id, [])) for endpoint_id in counts}
        sent = [each for each in going if keys[each.delivery.endpoint_id]]
        for delivery in sent:
            endpoint = endpoints[delivery.delivery.endpoint_id]
            self._under_way[tenant_id, endpoint.id] += 1
            task = asyncio.create_task(self._deliver(tenant_id, endpoint, keys[endpoint.id], delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(sent)

    async def _keys(self, tenant_id: UUID, endpoint_id: UUID, sealed: Sequence[tuple[UUID, bytes]]) -> list[bytes]:
        """What to sign with. None when that can't be had: what is leased for this endpoint waits, and for no other."""
        try:
            return await self._secrets.open(tenant_id, sealed)
        except Exception:
            log.exception("%s waits: its secret can't be opened", encode_id(IdKind.WEBHOOK_ENDPOINT, endpoint_id))
            return []

    async def _bury(self, tenant_id: UUID, endpoint_id: UUID) -> None:
        """What is pending for an endpoint that is disabled or deleted is dead."""
        async with self._database.tenant(tenant_id, promised=True) as tx:
            why, now = DeadWhy.ENDPOINT_DISABLED, self._world.now()
            if await bury_deliveries(tx, tenant_id, endpoint_id, why=why, now=now, limit=MAX_BURIED) == MAX_BURIED:
                self._due.set()

    async def _deliver(self, tenant_id: UUID, endpoint: WebhookEndpoint, keys: Sequence[bytes], leased: Leased) -> None:
        """One attempt. Whatever goes wrong with us leaves the lease, and so the delivery for later."""
        key, delivery = (tenant_id, endpoint.id), leased.delivery
        try:
            body = await self._body(tenant_id, endpoint, leased)
            at = self._world.now()
            if body is None or len(body) > MAX_BODY_BYTES:
                reply = Reply(None, Failure.NOT_SENT, 0)
            else:
                reply = await self._post(endpoint.url, signed_headers(keys, delivery.message_id, at, body), body)
            await self._world.reach(Failpoint.WEBHOOK_SENT)
        except BaseException as error:
            self._release(key)
            if not isinstance(error, Exception):
                raise
            log.exception("%s waits", encode_id(IdKind.WEBHOOK_DELIVERY, delivery.id))
            return
        verdict = verdict_of(reply, delivery.tries + 1, self._world.now(), self._world.random())
        self._done[tenant_id].append(Recorded(leased, Attempt(delivery.attempts + 1, at, reply), verdict))
        if tenant_id not in self._recording:
            self._recording[tenant_id] = asyncio.create_task(self._record(tenant_id))

    async def _body(self, tenant_id: UUID, endpoint: WebhookEndpoint, leased: Leased) -> bytes | None:
        """What to send; None where the event has left the log."""
        delivery, logged = leased.delivery, leased.event
        if delivery.type is None:
            return orjson.dumps(test_message(encode_id(IdKind.WEBHOOK_ENDPOINT, endpoint.id), delivery.created_at))
        if logged is None:
            return None
        if endpoint.shape is None:
            body = self._bodies.get(logged.event.id)
            if body is None:  # else another endpoint of the partner gets the same
                body = orjson.dumps(envelope(delivery.type, logged.event.occurred_at, default_data(logged)))
                self._bodies[logged.event.id] = body
            return body
        shaped = await self._shape(tenant_id, endpoint, logged)
        return orjson.dumps({**envelope(delivery.type, logged.event.occurred_at, None), **shaped})

    async def _record(self, tenant_id: UUID) -> None:
        """Write down what has come back, all of it at a time, until there is nothing more."""
        try:
            while done := self._done[tenant_id]:
                batch, self._done[tenant_id] = done[:MAX_RECORDED], done[MAX_RECORDED:]
                await self._record_batch(tenant_id, batch)
                for endpoint_id in {each.leased.delivery.endpoint_id for each in batch}:
                    of_it = [each.attempt.reply for each in batch if each.leased.delivery.endpoint_id == endpoint_id]
                    self._learn((tenant_id, endpoint_id), of_it)
                for each in batch:
                    self._release((tenant_id, each.leased.delivery.endpoint_id))
        finally:
            del self._done[tenant_id], self._recording[tenant_id]

    async def _record_batch(self, tenant_id: UUID, batch: Sequence[Recorded]) -> None:
        give_up_at = min(each.attempt.at for each in batch) + timedelta(
            seconds=LEASE_S
        )  # from then on they may be somebody else's
        while True:
            try:
                await record(self._database, self._world, tenant_id, batch)
            except DatabaseAway as error:
                if self._world.now() >= give_up_at:
                    log.warning("%d attempts are not written down, the database is away: %s", len(batch), error)
                    return
                await self._world.sleep(RETRY_S)
            except Exception:
                log.exception("%d attempts are not written down", len(batch))
                return
            else:
                return

    def _learn(self, key: Key, replies: Sequence[Reply]) -> None:
        bound = self._bounds.get(key, FIRST_AT_ONCE)
        is_well = all(reply.failure is None for reply in replies)
        self._bounds[key] = min(bound * 2, MAX_OF_ENDPOINT) if is_well else max(bound // 2, 1)

    def _release(self, key: Key) -> None:
        self._under_way[key] -= 1
        if self._under_way[key] <= self._bounds.get(key, FIRST_AT_ONCE) // 2 and key in self._full:
            self._due.set()
        if not self._under_way[key]:
            del self._under_way[key]
