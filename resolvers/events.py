"""Events: what happened, in pages; and live."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from domain.event import EventType
from domain.ids import IdKind, decode_id_of, encode_id
from persistence.database import Transaction
from persistence.event_feed import EventsForgotten
from persistence.events import forgotten_events, get_event, newest_event, oldest_event_id, page_of_events
from resolvers.context import Context, Info
from resolvers.pages import page_size
from resolvers.refused_argument import CursorExpired, RefusedArgument
from schema.connection import PageInfo
from schema.event import EventConnection, EventEdge, TransactionEvent, event_of


async def events(info: Info, *, first: int | None, after: str | None, types: Sequence[EventType] | None) -> EventConnection:
    """A page of events, oldest first."""
    context = info.context
    limit = page_size("first", first)
    behind = 0 if after is None else await _sequence_of(context, after)
    async with context.database.tenant(context.tenant_id) as tx:
        # One more than wanted tells whether there is more.
        found = await page_of_events(tx, context.tenant_id, after=behind, limit=limit + 1, types=types)
        if after is not None and (await forgotten_events(tx, context.tenant_id)).sequence > behind:
            raise await _expired(tx, context.tenant_id, ["after"])  # between two statements
    edges = [EventEdge(cursor=node.id, node=node) for node in map(event_of, found[:limit])]
    page_info = PageInfo(
        has_next_page=len(found) > limit,
        has_previous_page=after is not None,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return EventConnection(edges=edges, page_info=page_info)


async def event(info: Info, event_id: UUID) -> TransactionEvent | None:
    """One event by its id."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        found = await get_event(tx, context.tenant_id, event_id)
    return None if found is None else event_of(found)


async def transaction_events(
    info: Info, *, after: str | None, types: Sequence[EventType] | None
) -> AsyncIterator[TransactionEvent]:
    """The caller's events from now on, or from behind one of them. What is wrong with the arguments is said before the first."""
    context = info.context
    where = ["after"]
    if context.last_event_id is not None:  # newer than the `after` that the stream once began with
        after, where = context.last_event_id, ["Last-Event-ID"]
    if after is None:
        async with context.database.tenant(context.tenant_id) as tx:
            behind, newest = await newest_event(tx, context.tenant_id)
        after = None if newest is None else encode_id(IdKind.EVENT, newest)
    else:
        behind = await _sequence_of(context, after, where)
    context.began_behind = after
    wanted = None if types is None else frozenset(types)

    async def follow() -> AsyncIterator[TransactionEvent]:
        try:
            async for logged in context.feed.follow(context.tenant_id, behind):
                if wanted is None or logged.event.type in wanted:
                    yield context.feed.once(context.tenant_id, logged, event_of)
        except EventsForgotten:
            async with context.database.tenant(context.tenant_id) as tx:
                expired = await _expired(tx, context.tenant_id, where)
            raise expired from None

    return follow()


async def _sequence_of(context: Context, after: str, where: Sequence[str] = ("after",)) -> int:
    event_id = decode_id_of(IdKind.EVENT, after)
    if event_id is not None:
        async with context.database.tenant(context.tenant_id) as tx:
            found = await get_event(tx, context.tenant_id, event_id)
            if found is not None:
                return found.sequence
            # By its id's time alone: it is answered alike whether there ever was such an event, and whose.
            if (await forgotten_events(tx, context.tenant_id)).may_have_had(event_id):
                raise await _expired(tx, context.tenant_id, where)
    raise RefusedArgument(where, "There is no event of yours with this id; give one from `events` or from a stream.")


async def _expired(tx: Transaction, tenant_id: UUID, where: Sequence[str]) -> CursorExpired:
    oldest = await oldest_event_id(tx, tenant_id)
    return CursorExpired(where, None if oldest is None else encode_id(IdKind.EVENT, oldest))
