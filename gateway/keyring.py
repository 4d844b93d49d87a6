"""API keys made, rotated and revoked by partners: each change and its idempotency record in one transaction.

A secret is in the answer that comes with the change, and nowhere after that: a repetition shows the key without it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from domain.answer import InsufficientScope, KeyNotUsable, LimitReached, NotFound, Refusal
from domain.api_key import SHOWN_LENGTH, ApiKey, account_of, hash_api_key, new_api_key
from domain.audit import UNKNOWN_ORIGIN, AuditEntry, Origin, entry_of_request
from domain.caller import Caller
from domain.event import EventType
from domain.fingerprint import fingerprint_of_change
from domain.ids import IdKind, encode_id
from domain.key_request import MAX_KEYS, CreateKey, RevokeKey, RotateKey
from domain.key_rotation import event_of_key, key_from_document, key_to_document, replaced, successor, why_not_rotated
from domain.partner import Mode
from gateway.once import Asked, Document, Done, do_once
from gateway.world import World
from persistence import api_keys
from persistence.database import Database, Transaction
from persistence.events import append_events

KEY_PATH = ("input", "apiKeyId")

CHANGED = {"createApiKey": "key.created", "rotateApiKey": "key.rotated", "revokeApiKey": "key.revoked"}  # in the audit log
HAPPENED = {
    "createApiKey": EventType.API_KEY_CREATED,
    "rotateApiKey": EventType.API_KEY_ROTATED,
    "revokeApiKey": EventType.API_KEY_REVOKED,
}

Act = Callable[[Transaction], Awaitable[Document | Refusal]]


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """The key after the change; `secret` only from the request that made it, `replaced` after a rotation."""

    key: ApiKey
    replayed: bool
    secret: str | None = field(default=None, repr=False)
    replaced: ApiKey | None = None


class Keyring:
    """One of these in a process. `pepper` keys the hashes of keys; `announce` tells every process which key has changed."""

    def __init__(
        self,
        database: Database,
        world: World,
        *,
        pepper: bytes,
        fingerprint_secret: bytes,
        announce: Callable[[UUID], None],
    ) -> None:
        self._database = database
        self._world = world
        self._pepper = pepper
        self._fingerprint_secret = fingerprint_secret
        self._announce = announce

    async def create(self, caller: Caller, request: CreateKey, origin: Origin = UNKNOWN_ORIGIN) -> KeyAnswer | Refusal:
        """A new key of the caller's mode. Raises DatabaseAway; then repeat with the same idempotency key."""
        secret = self._new_secret(caller.mode)

        async def act(tx: Transaction) -> Document | Refusal:
            if await api_keys.count_usable_keys(tx, caller.tenant_id, self._world.now()) >= MAX_KEYS:
                return LimitReached(MAX_KEYS, "usable API keys. Revoke those that nobody uses: `lastUsedAt` tells.")
            key = ApiKey(
                id=self._world.new_uuid(),
                tenant_id=caller.tenant_id,
                name=request.name,
                shown=secret[:SHOWN_LENGTH],
                scopes=request.scopes,
                created_at=self._world.now(),
                created_by=caller.key.id,
                expires_at=request.expires_at,
                networks=request.networks,
            )
            await api_keys.insert_api_key(tx, key, hash_api_key(secret, self._pepper))
            return {"key": key_to_document(key)}

        return self._answered(caller, await self._once(caller, "createApiKey", request, origin, act), secret)

    async def rotate(self, caller: Caller, request: RotateKey, origin: Origin = UNKNOWN_ORIGIN) -> KeyAnswer | Refusal:
        """A key's successor; both work for the overlap. Raises DatabaseAway; then repeat with the same idempotency key."""
        secret = self._new_secret(caller.mode)

        async def act(tx: Transaction) -> Document | Refusal:
            old = await api_keys.find_api_key(tx, caller.tenant_id, request.key_id) if request.key_id else None
            if old is None:
                return NotFound(KEY_PATH, "API key")
            if lacking := old.scopes - caller.key.scopes:
                return InsufficientScope(KEY_PATH, frozenset(lacking))
            now = self._world.now()
            if (refusal := why_not_rotated(old, now)) is not None:
                return refusal
            shown = secret[:SHOWN_LENGTH]
            new = successor(old, new_id=self._world.new_uuid(), shown=shown, created_by=caller.key.id, now=now)
            old = replaced(old, new.id, now, request.overlap)
            await api_keys.insert_api_key(tx, new, hash_api_key(secret, self._pepper))
            await api_keys.end_api_key(tx, old)
            return {"key": key_to_document(new), "replaced": key_to_document(old)}

        return self._answered(caller, await self._once(caller, "rotateApiKey", request, origin, act), secret)

    async def revoke(self, caller: Caller, request: RevokeKey, origin: Origin = UNKNOWN_ORIGIN) -> KeyAnswer | Refusal:
        """End a key at once; a revoked one stays as it is. Raises DatabaseAway; then repeat with the same idempotency key."""

        async def act(tx: Transaction) -> Document | Refusal:
            if request.key_id is None:
                return NotFound(KEY_PATH, "API key")
            revoked = await api_keys.revoke_api_key(tx, caller.tenant_id, request.key_id, self._world.now())
            return NotFound(KEY_PATH, "API key") if revoked is None else {"key": key_to_document(revoked)}

        return self._answered(caller, await self._once(caller, "revokeApiKey", request, origin, act), None)

    async def _once(
        self, caller: Caller, kind: str, request: CreateKey | RotateKey | RevokeKey, origin: Origin, act: Act
    ) -> Done | Refusal:
        fingerprint = fingerprint_of_change(kind, request.content, self._fingerprint_secret)
        asked = Asked(request.idempotency_key, kind, fingerprint)
        async with self._database.tenant(caller.tenant_id) as tx:

            async def locked() -> Document | Refusal:
                # One change of a tenant's keys at a time: they are counted, and a key that is being revoked makes no other.
                await api_keys.lock_api_keys(tx, caller.tenant_id)
                asking = await api_keys.find_api_key(tx, caller.tenant_id, caller.key.id)
                if asking is None or asking.revoked_at is not None:
                    return KeyNotUsable(caller.key.id, "The key of this request has just been revoked.")
                return await act(tx)

            now = self._world.now()
            done = await do_once(tx, caller.tenant_id, asked, now, locked)
            if isinstance(done, Done) and not done.replayed:
                key = key_from_document(caller.tenant_id, done.answer.get("replaced") or done.answer["key"])
                told_before = key.revoked_at is not None and key.revoked_at < now
                happened = event_of_key(self._world.new_uuid(), HAPPENED[kind], key, now, asked.idempotency_key)
                await append_events(
                    tx, caller.tenant_id, [] if told_before else [happened], [self._entry(caller, asked, origin, done)]
                )
            return done

    def _entry(self, caller: Caller, asked: Asked, origin: Origin, done: Done) -> AuditEntry:
        key = key_from_document(caller.tenant_id, done.answer["key"])
        old = key_from_document(caller.tenant_id, done.answer["replaced"]) if "replaced" in done.answer else None
        return entry_of_request(
            self._world.new_uuid(),
            self._world.now(),
            origin,
            CHANGED[asked.kind],
            subject=encode_id(IdKind.API_KEY, (old or key).id),
            idempotency_key=asked.idempotency_key,
            note=f"replaced by {encode_id(IdKind.API_KEY, key.id)}; {account_of(key)}" if old else account_of(key),
        )

    def _answered(self, caller: Caller, done: Done | Refusal, secret: str | None) -> KeyAnswer | Refusal:
        if not isinstance(done, Done):
            return done
        key = key_from_document(caller.tenant_id, done.answer["key"])
        old = key_from_document(caller.tenant_id, done.answer["replaced"]) if "replaced" in done.answer else None
        if not done.replayed:
            self._announce((old or key).id)
        return KeyAnswer(key, done.replayed, None if done.replayed else secret, old)

    def _new_secret(self, mode: Mode) -> str:
        return new_api_key(mode, self._world.random_bits(256))
