"""Webhook endpoints made and changed by partners: each change, its event and its idempotency record in one transaction.

A secret is in the answer that comes with the change, and nowhere after that: a repetition shows the endpoint without it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain.answer import EndpointDisabled, InsufficientScope, KeyNotUsable, LimitReached, NotFound, Refusal
from domain.audit import UNKNOWN_ORIGIN, AuditEntry, Origin, entry_of_request
from domain.caller import Caller
from domain.event import Event, EventType
from domain.fingerprint import fingerprint_of_change
from domain.ids import IdKind, encode_id, time_in, time_ordered_uuid
from domain.scope import Scope
from domain.webhook import (
    MAX_ENDPOINTS,
    MAX_REPLAYED,
    SECRET_OVERLAP,
    DisabledWhy,
    WebhookDelivery,
    WebhookEndpoint,
    endpoint_from_document,
    endpoint_to_document,
    subject_of,
)
from domain.webhook_health import Health
from domain.webhook_request import AskEndpoint, CreateEndpoint, Keep, Replay, UpdateEndpoint, WebhookRequest
from domain.webhook_signature import NEW_SECRET_BYTES, show_secret
from gateway.once import Asked, Document, Done, do_once
from gateway.webhook_secrets import WebhookSecrets
from gateway.world import World
from persistence.api_keys import find_api_key, lock_api_keys
from persistence.database import Database, Transaction
from persistence.events import append_events
from persistence.webhook_deliveries import get_deliveries, insert_test_delivery, replay_deliveries
from persistence.webhook_endpoints import (
    count_endpoints,
    delete_endpoint,
    insert_endpoint,
    lock_endpoints,
    note_overlap,
    save_endpoint,
)
from persistence.webhook_secrets import end_secret, erase_secrets, insert_secret

ENDPOINT_PATH = ("input", "webhookEndpointId")
ACTIONS = {  # in the audit log
    "createWebhookEndpoint": "webhook_endpoint.created",
    "updateWebhookEndpoint": "webhook_endpoint.updated",
    "deleteWebhookEndpoint": "webhook_endpoint.deleted",
    "rotateWebhookSecret": "webhook_endpoint.secret_rotated",
    "sendTestEvent": "webhook_endpoint.tested",
    "replayWebhookDeliveries": "webhook_endpoint.deliveries_replayed",
}
_NOT_FOUND = NotFound(ENDPOINT_PATH, "webhook endpoint")

Act = Callable[[Transaction], Awaitable["Change | Refusal"]]


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """The endpoint after the change; `secret` only from the request that made it."""

    endpoint: WebhookEndpoint
    replayed: bool
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TestAnswer:
    """The delivery of a test event, as it is now."""

    delivery: WebhookDelivery
    replayed: bool


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """How many deliveries begin anew; `through` is when the newest of them was made, where there are more than fit into one wish."""

    count: int
    through: datetime | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What a change has come to: the answer to remember, the endpoint, and the event that tells of it, if one does."""

    answer: Document
    endpoint: WebhookEndpoint
    event: EventType | None = None
    note: str = ""


class Webhooks:
    """One of these in a process. `development`: receivers may be on the desk itself. `problems_of` a shaping document: sentences."""

    def __init__(
        self,
        database: Database,
        world: World,
        secrets: WebhookSecrets,
        *,
        fingerprint_secret: bytes,
        development: bool,
        problems_of: Callable[[str], list[str]],
    ) -> None:
        self._database = database
        self._world = world
        self._secrets = secrets
        self._fingerprint_secret = fingerprint_secret
        self.development = development
        self.problems_of = problems_of

    async def create(self, caller: Caller, request: CreateEndpoint, origin: Origin = UNKNOWN_ORIGIN) -> EndpointAnswer | Refusal:
        """A new endpoint. Raises DatabaseAway; then repeat with the same idempotency key."""
        secret = self._new_secret()
        seal = await self._secrets.sealing(caller.tenant_id, secret)

        async def act(tx: Transaction) -> Change | Refusal:
            if await count_endpoints(tx, caller.tenant_id) >= MAX_ENDPOINTS:
                return LimitReached(MAX_ENDPOINTS, "webhook endpoints. Delete those that nobody needs.")
            now = self._world.now()
            endpoint = WebhookEndpoint(
                id=self._world.new_uuid(),
                url=request.url,
                description=request.description,
                types=request.types,
                shape=request.shape,
                scopes=caller.key.scopes,
                saved_by=caller.key.id,
                created_at=now,
                updated_at=now,
            )
            await insert_endpoint(tx, caller.tenant_id, endpoint)
            await insert_secret(tx, caller.tenant_id, endpoint.id, seal(self._world.new_uuid()), now)
            return _changed(endpoint, EventType.WEBHOOK_ENDPOINT_CREATED)

        done = await self._once(caller, "createWebhookEndpoint", request, origin, act)
        return _endpoint_answer(done, show_secret(secret))

    async def update(self, caller: Caller, request: UpdateEndpoint, origin: Origin = UNKNOWN_ORIGIN) -> EndpointAnswer | Refusal:
        """Change what is given. Another URL, or to say that it is enabled, closes its breaker. Raises DatabaseAway."""

        async def act(tx: Transaction) -> Change | Refusal:
            before = await self._lock(tx, caller.tenant_id, request.endpoint_id)
            if before is None:
                return _NOT_FOUND
            endpoint = self._updated(before, caller, request)
            await save_endpoint(tx, caller.tenant_id, endpoint)
            is_disabled_now = endpoint.disabled_at is not None and before.disabled_at is None
            kind = EventType.WEBHOOK_ENDPOINT_DISABLED if is_disabled_now else EventType.WEBHOOK_ENDPOINT_UPDATED
            return _changed(endpoint, kind, note=", ".join(sorted(request.content["changes"])))

        return _endpoint_answer(await self._once(caller, "updateWebhookEndpoint", request, origin, act))

    async def delete(self, caller: Caller, request: AskEndpoint, origin: Origin = UNKNOWN_ORIGIN) -> EndpointAnswer | Refusal:
        """Nothing is sent there any more, but for what is on its way just now. Raises DatabaseAway."""

        async def act(tx: Transaction) -> Change | Refusal:
            before = await self._lock(tx, caller.tenant_id, request.endpoint_id)
            if before is None:
                return _NOT_FOUND
            await erase_secrets(tx, caller.tenant_id, before.id)
            await delete_endpoint(tx, caller.tenant_id, before.id, self._world.now())
            return _changed(replace(before, url="", shape=None), EventType.WEBHOOK_ENDPOINT_DELETED)

        return _endpoint_answer(await self._once(caller, "deleteWebhookEndpoint", request, origin, act))

    async def rotate(self, caller: Caller, request: AskEndpoint, origin: Origin = UNKNOWN_ORIGIN) -> EndpointAnswer | Refusal:
        """Another secret; for SECRET_OVERLAP each message is signed with both. Raises DatabaseAway."""
        secret = self._new_secret()
        seal = await self._secrets.sealing(caller.tenant_id, secret)

        async def act(tx: Transaction) -> Change | Refusal:
            before = await self._lock(tx, caller.tenant_id, request.endpoint_id)
            if before is None:
                return _NOT_FOUND
            now = self._world.now()
            until = now + SECRET_OVERLAP
            endpoint = replace(before, overlap_until=until, updated_at=now)
            await end_secret(tx, caller.tenant_id, endpoint.id, until)
            await insert_secret(tx, caller.tenant_id, endpoint.id, seal(self._world.new_uuid()), now)
            await note_overlap(tx, caller.tenant_id, endpoint.id, until=until, now=now)
            return _changed(endpoint, EventType.WEBHOOK_ENDPOINT_UPDATED)

        done = await self._once(caller, "rotateWebhookSecret", request, origin, act)
        return _endpoint_answer(done, show_secret(secret))

    async def send_test(self, caller: Caller, request: AskEndpoint, origin: Origin = UNKNOWN_ORIGIN) -> TestAnswer | Refusal:
        """A delivery that tells of nothing, due now. Raises DatabaseAway."""

        async def act(tx: Transaction) -> Change | Refusal:
            before = await self._lock(tx, caller.tenant_id, request.endpoint_id)
            if before is None:
                return _NOT_FOUND
            if before.disabled_at is not None:
                return EndpointDisabled(before.id)
            delivery_id = self._world.new_uuid()
            await insert_test_delivery(tx, caller.tenant_id, delivery_id, before.id, self._world.now())
            return Change({"delivery": str(delivery_id)}, before)

        done = await self._once(caller, "sendTestEvent", request, origin, act)
        if not isinstance(done, Done):
            return done
        delivery_id = UUID(done.answer["delivery"])
        async with self._database.tenant(caller.tenant_id, promised=True) as tx:
            found = (await get_deliveries(tx, caller.tenant_id, [delivery_id])).get(delivery_id)
        return _NOT_FOUND if found is None else TestAnswer(found, done.replayed)  # deleted meanwhile, or forgotten

    async def replay(self, caller: Caller, request: Replay, origin: Origin = UNKNOWN_ORIGIN) -> ReplayAnswer | Refusal:
        """Deliver again what has ended, with all attempts before it. Raises DatabaseAway."""

        async def act(tx: Transaction) -> Change | Refusal:
            before = await self._lock(tx, caller.tenant_id, request.endpoint_id)
            if before is None:
                return _NOT_FOUND
            if before.disabled_at is not None:
                return EndpointDisabled(before.id)
            again = await replay_deliveries(
                tx,
                caller.tenant_id,
                before.id,
                ids=request.delivery_ids,
                since=time_ordered_uuid(request.since, 0) if request.since else None,
                until=time_ordered_uuid(request.until, 0) if request.until else None,
                failed_only=request.failed_only,
                limit=MAX_REPLAYED,
                now=self._world.now(),
            )
            through = str(again[-1]) if len(again) == MAX_REPLAYED else None
            return Change({"count": len(again), "through": through}, before, note=f"{len(again)} deliveries")

        done = await self._once(caller, "replayWebhookDeliveries", request, origin, act)
        if not isinstance(done, Done):
            return done
        through = done.answer["through"]
        return ReplayAnswer(done.answer["count"], time_in(UUID(through)) if through else None, done.replayed)

    async def _once(self, caller: Caller, kind: str, request: WebhookRequest, origin: Origin, act: Act) -> Done | Refusal:
        fingerprint = fingerprint_of_change(kind, request.content, self._fingerprint_secret)
        asked = Asked(request.idempotency_key, kind, fingerprint)
        # Whoever may make endpoints gets events by them. Else webhooks:write were a way around events:read.
        if Scope.EVENTS_READ not in caller.key.scopes:
            return InsufficientScope(("input",), frozenset({Scope.EVENTS_READ}))
        made: list[Change] = []
        async with self._database.tenant(caller.tenant_id) as tx:

            async def locked() -> Document | Refusal:
                # One change of a tenant's keys and endpoints at a time: they are counted, and a revoked key changes nothing.
                await lock_api_keys(tx, caller.tenant_id)
                asking = await find_api_key(tx, caller.tenant_id, caller.key.id)
                if asking is None or asking.revoked_at is not None:
                    return KeyNotUsable(caller.key.id, "The key of this request has just been revoked.")
                change = await act(tx)
                if not isinstance(change, Change):
                    return change
                made.append(change)
                return change.answer

            done = await do_once(tx, caller.tenant_id, asked, self._world.now(), locked)
            for change in made:
                entry = self._entry(asked, origin, change)
                await append_events(tx, caller.tenant_id, self._events(asked, change), [entry])
            return done

    async def _lock(self, tx: Transaction, tenant_id: UUID, endpoint_id: UUID | None) -> WebhookEndpoint | None:
        if endpoint_id is None:
            return None
        return (await lock_endpoints(tx, tenant_id, [endpoint_id])).get(endpoint_id)

    def _updated(self, before: WebhookEndpoint, caller: Caller, request: UpdateEndpoint) -> WebhookEndpoint:
        now = self._world.now()
        is_new_start = request.enabled is True or not isinstance(request.url, Keep)
        disabled_at, disabled_why = before.disabled_at, before.disabled_why
        if request.enabled is True:
            disabled_at, disabled_why = None, None
        elif request.enabled is False and disabled_at is None:
            disabled_at, disabled_why = now, DisabledWhy.BY_PARTNER
        return replace(
            before,
            url=before.url if isinstance(request.url, Keep) else request.url,
            description=before.description if isinstance(request.description, Keep) else request.description,
            types=before.types if isinstance(request.types, Keep) else request.types,
            shape=before.shape if isinstance(request.shape, Keep) else request.shape,
            scopes=caller.key.scopes,
            saved_by=caller.key.id,
            updated_at=now,
            disabled_at=disabled_at,
            disabled_why=disabled_why,
            health=Health() if is_new_start else before.health,
        )

    def _entry(self, asked: Asked, origin: Origin, change: Change) -> AuditEntry:
        return entry_of_request(
            self._world.new_uuid(),
            self._world.now(),
            origin,
            ACTIONS[asked.kind],
            subject=encode_id(IdKind.WEBHOOK_ENDPOINT, change.endpoint.id),
            idempotency_key=asked.idempotency_key,
            note=change.note,
        )

    def _events(self, asked: Asked, change: Change) -> list[Event]:
        if change.event is None:
            return []
        about = subject_of(change.endpoint)
        return [Event(self._world.new_uuid(), change.event, self._world.now(), about, None, asked.idempotency_key)]

    def _new_secret(self) -> bytes:
        return self._world.random_bits(8 * NEW_SECRET_BYTES).to_bytes(NEW_SECRET_BYTES, "big")


def _changed(endpoint: WebhookEndpoint, event: EventType, note: str = "") -> Change:
    return Change({"endpoint": endpoint_to_document(endpoint)}, endpoint, event, note)


def _endpoint_answer(done: Done | Refusal, secret: str | None = None) -> EndpointAnswer | Refusal:
    if not isinstance(done, Done):
        return done
    endpoint = endpoint_from_document(done.answer["endpoint"])
    return EndpointAnswer(endpoint, done.replayed, None if done.replayed else secret)
