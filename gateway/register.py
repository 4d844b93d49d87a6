"""The register of end users: made, changed, deactivated, erased. The change, its record, its event and its entry are one transaction.

Of a user nothing is remembered under an idempotency key but who it is. So an erasure erases one row and what their cards had in
the vault, and a repetition shows the user as they are by then.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

from domain.answer import ExternalIdTaken, NotFound, Refusal, UserNotUsable
from domain.audit import UNKNOWN_ORIGIN, Origin
from domain.card_life import stepped
from domain.event import EventType, Subject
from domain.fingerprint import fingerprint_of_change
from domain.ids import IdKind
from domain.stored_card import CardReason, CardState
from domain.user import User, UserState, erased
from domain.user_request import ChangeUser, CreateUser, UpdateUser
from gateway.card_changes import CardChange, record_card_changes
from gateway.once import Asked, Document
from gateway.telling import Changed, Happened, Outcome, change_once
from gateway.world import World
from persistence import users
from persistence.cards import forget_fingerprints, lock_open_cards
from persistence.database import Database, Transaction

USER_PATH = ("input", "userId")

UserAnswer = Outcome[User] | Refusal
Act = Callable[[Transaction], Awaitable[Changed[User] | Refusal]]


class Register:
    """One of these in a process."""

    def __init__(self, database: Database, world: World, fingerprint_secret: bytes) -> None:
        self._database = database
        self._world = world
        self._fingerprint_secret = fingerprint_secret

    async def create(self, tenant_id: UUID, request: CreateUser, origin: Origin = UNKNOWN_ORIGIN) -> UserAnswer:
        """A new user. Raises DatabaseAway; then repeat with the same idempotency key."""

        async def act(tx: Transaction) -> Changed[User] | Refusal:
            now = self._world.now()
            user = User(
                id=self._world.new_uuid(),
                external_id=request.external_id,
                name=request.name,
                email=request.email,
                metadata=request.metadata,
                state=UserState.ACTIVE,
                created_at=now,
                updated_at=now,
            )
            if await users.insert_user(tx, tenant_id, user):
                return _changed(user, EventType.USER_CREATED, None)
            known = await users.find_user(tx, tenant_id, request.external_id)
            assert known is not None, "an external id is taken by a user, and no user is ever deleted"
            return ExternalIdTaken(known.id, known.state)

        return await self._once(tenant_id, "createUser", request, origin, act)

    async def update(self, tenant_id: UUID, request: UpdateUser, origin: Origin = UNKNOWN_ORIGIN) -> UserAnswer:
        """Other personal data. Raises DatabaseAway; then repeat with the same idempotency key."""

        def change(user: User) -> tuple[User, EventType] | Refusal:
            if user.state is UserState.ERASED:
                return _refused(user, "The user is ERASED: no personal data is kept of them any more.")
            return replace(user, **request.changes), EventType.USER_UPDATED

        return await self._change(tenant_id, "updateUser", request, origin, change)

    async def deactivate(self, tenant_id: UUID, request: ChangeUser, origin: Origin = UNKNOWN_ORIGIN) -> UserAnswer:
        """No payments with their cards; a second time changes nothing. Raises DatabaseAway; then repeat with the same key."""

        def change(user: User) -> tuple[User, EventType] | Refusal:
            if user.state is UserState.ERASED:
                return _refused(user, "The user is ERASED already, which is more than deactivated.")
            return replace(user, state=UserState.DEACTIVATED), EventType.USER_DEACTIVATED

        return await self._change(tenant_id, "deactivateUser", request, origin, change)

    async def reactivate(self, tenant_id: UUID, request: ChangeUser, origin: Origin = UNKNOWN_ORIGIN) -> UserAnswer:
        """They are back; a second time changes nothing. Raises DatabaseAway; then repeat with the same idempotency key."""

        def change(user: User) -> tuple[User, EventType] | Refusal:
            if user.state is UserState.ERASED:
                return _refused(user, "The user is ERASED, and that is for ever. Make a new user, with another external id.")
            return replace(user, state=UserState.ACTIVE), EventType.USER_REACTIVATED

        return await self._change(tenant_id, "reactivateUser", request, origin, change)

    async def erase(self, tenant_id: UUID, request: ChangeUser, origin: Origin = UNKNOWN_ORIGIN) -> UserAnswer:
        """Nothing personal is kept, and their cards are closed; a second time changes nothing.

        Raises DatabaseAway; then repeat with the same idempotency key.
        """

        def change(user: User) -> tuple[User, EventType] | Refusal:
            return (user if user.state is UserState.ERASED else erased(user, self._world.now())), EventType.USER_ERASED

        return await self._change(tenant_id, "eraseUser", request, origin, change)

    async def _change(
        self,
        tenant_id: UUID,
        kind: str,
        request: UpdateUser | ChangeUser,
        origin: Origin,
        change: Callable[[User], tuple[User, EventType] | Refusal],
    ) -> UserAnswer:
        """Change a user under their row's lock. What leaves them as they were is not told of."""

        async def act(tx: Transaction) -> Changed[User] | Refusal:
            user = await users.lock_user(tx, tenant_id, request.user_id) if request.user_id else None
            if user is None:
                return NotFound(USER_PATH, "user")
            changed = change(user)
            if not isinstance(changed, tuple):
                return changed
            after, event = changed
            if after == user:
                return Changed(user, _answer(user))
            after = replace(after, updated_at=self._world.now())
            await users.save_user(tx, tenant_id, after)
            closed = await self._close_cards(tx, tenant_id, user, origin) if after.state is UserState.ERASED else ()
            return _changed(after, event, user, closed)

        return await self._once(tenant_id, kind, request, origin, act)

    async def _close_cards(self, tx: Transaction, tenant_id: UUID, user: User, origin: Origin) -> tuple[Happened, ...]:
        """Their numbers are erased, and nothing is left that tells a number from another."""
        now = self._world.now()
        changes = [
            CardChange(card, stepped(card, CardState.CLOSED, CardReason.CUSTOMER_REQUEST, now))
            for card in await lock_open_cards(tx, tenant_id, user.id)
        ]
        happened = await record_card_changes(tx, tenant_id, changes, origin)
        await forget_fingerprints(tx, tenant_id, user.id)
        return happened

    async def _once(
        self, tenant_id: UUID, kind: str, request: CreateUser | UpdateUser | ChangeUser, origin: Origin, act: Act
    ) -> UserAnswer:
        fingerprint = fingerprint_of_change(kind, request.content, self._fingerprint_secret)
        asked = Asked(request.idempotency_key, kind, fingerprint)
        async with self._database.tenant(tenant_id) as tx:

            async def find(answer: Document) -> User:
                user_id = UUID(answer["user"])
                return (await users.get_users(tx, tenant_id, [user_id]))[user_id]

            return await change_once(tx, tenant_id, asked, origin, self._world, lambda: act(tx), find)


def _changed(user: User, event: EventType, before: User | None, first: tuple[Happened, ...] = ()) -> Changed[User]:
    fields = [name for name in ("name", "email", "metadata") if before and getattr(before, name) != getattr(user, name)]
    subject = Subject(IdKind.USER, user.id, {"state": user.state.value, "changed": fields})
    note = ", ".join(fields) if event is EventType.USER_UPDATED else ""
    return Changed(user, _answer(user), (*first, Happened(event, subject, before.state.value if before else None, note)))


def _answer(user: User) -> Document:
    return {"user": str(user.id)}


def _refused(user: User, message: str) -> UserNotUsable:
    return UserNotUsable(USER_PATH, user.id, user.state, message)
