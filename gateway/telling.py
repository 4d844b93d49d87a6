"""What a change is told by: for each thing that happened an event, and an entry of the audit log when somebody asked for it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from domain.answer import Refusal
from domain.audit import Origin, entry_of_request
from domain.event import Event, EventType, Subject
from domain.ids import encode_id
from gateway.once import Asked, Document, Done, do_once
from gateway.world import World
from persistence.database import Transaction
from persistence.events import append_events

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened to a thing. `note` goes to the audit log, which is kept for ever: nothing personal is in it."""

    type: EventType
    subject: Subject
    previous_state: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Changed(Generic[T]):
    """What an act has come to: the thing as it is now, what to remember of it, and what to tell."""

    thing: T
    answer: Document
    happened: tuple[Happened, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The thing as it is now; of a repetition, as it is by now."""

    thing: T
    replayed: bool
    answer: Document


async def change_once(
    tx: Transaction,
    tenant_id: UUID,
    asked: Asked,
    origin: Origin,
    world: World,
    act: Callable[[], Awaitable[Changed[T] | Refusal]],
    find: Callable[[Document], Awaitable[T]],
) -> Outcome[T] | Refusal:
    """Do it within this transaction and tell of it, or `find` what it came to before. The last thing that the transaction does."""
    changed: Changed[T] | None = None

    async def remembering() -> Document | Refusal:
        nonlocal changed
        outcome = await act()
        if not isinstance(outcome, Changed):
            return outcome
        changed = outcome
        return outcome.answer

    done = await do_once(tx, tenant_id, asked, world.now(), remembering)
    if not isinstance(done, Done):
        return done
    if changed is None:
        return Outcome(await find(done.answer), replayed=True, answer=done.answer)
    await tell(tx, tenant_id, changed.happened, world, asked.idempotency_key, origin)
    return Outcome(changed.thing, replayed=False, answer=done.answer)


async def tell(
    tx: Transaction,
    tenant_id: UUID,
    happened: Sequence[Happened],
    world: World,
    idempotency_key: str | None = None,
    origin: Origin | None = None,
) -> None:
    """Log it. The last statement of its transaction. Without an origin nobody asked for it, and the audit log has no entry."""
    now = world.now()
    events = [Event(world.new_uuid(), each.type, now, each.subject, each.previous_state, idempotency_key) for each in happened]
    entries = [
        entry_of_request(
            world.new_uuid(),
            now,
            origin,
            each.type.value,
            subject=encode_id(each.subject.kind, each.subject.id),
            idempotency_key=idempotency_key,
            note=each.note,
        )
        for each in happened
        if origin is not None
    ]
    await append_events(tx, tenant_id, events, entries)
