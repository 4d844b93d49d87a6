"""The steps of cards' lives: append-only, numbered for each card."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from domain.stored_card import CardReason, CardState, CardTransition
from persistence.database import Transaction

MAX_HISTORY = 100  # steps of a card that are shown; one that was frozen fifty times wants a word with its holder, not a list

# A card's row is locked by whoever makes it take a step, so nobody else counts its steps just now.
_APPEND = text("""
    insert into card_transitions (tenant_id, card_id, number, before, after, reason, actor, api_key_id, at)
    select :tenant_id, given.card_id, 1 + coalesce((
            select max(number) from card_transitions as known where tenant_id = :tenant_id and known.card_id = given.card_id
        ), 0), given.before, given.after, given.reason, given.actor, given.api_key_id, given.at
    from unnest(
        cast(:card_id as uuid[]), cast(:before as text[]), cast(:after as text[]), cast(:reason as text[]),
        cast(:actor as text[]), cast(:api_key_id as uuid[]), cast(:at as timestamptz[])
    ) as given (card_id, before, after, reason, actor, api_key_id, at)
""")
_HISTORIES = text("""
    select step.* from unnest(cast(:card_ids as uuid[])) as wanted (card_id)
    cross join lateral (
        select card_id, number, before, after, reason, actor, at from card_transitions
        where tenant_id = :tenant_id and card_id = wanted.card_id order by number desc limit :limit
    ) as step
    order by step.card_id, step.number
""")


@dataclass(frozen=True, slots=True)
class Step:
    """A transition of one card, and the key that asked for it; None: nobody's."""

    card_id: UUID
    transition: CardTransition
    api_key_id: UUID | None


async def append_transitions(tx: Transaction, tenant_id: UUID, steps: Sequence[Step]) -> None:
    """Write down steps of locked or new cards, at most one of each."""
    parameters = {
        "tenant_id": tenant_id,
        "card_id": [step.card_id for step in steps],
        "before": [step.transition.before.value if step.transition.before else None for step in steps],
        "after": [step.transition.after.value for step in steps],
        "reason": [step.transition.reason.value if step.transition.reason else None for step in steps],
        "actor": [step.transition.actor for step in steps],
        "api_key_id": [step.api_key_id for step in steps],
        "at": [step.transition.at for step in steps],
    }
    await tx.execute(_APPEND, parameters)


async def get_histories(tx: Transaction, tenant_id: UUID, card_ids: Sequence[UUID]) -> list[list[CardTransition]]:
    """The last MAX_HISTORY steps of each card, oldest first, in the order of the ids."""
    found: dict[UUID, list[CardTransition]] = {each: [] for each in card_ids}
    parameters = {"tenant_id": tenant_id, "card_ids": list(found), "limit": MAX_HISTORY}
    for row in await tx.execute(_HISTORIES, parameters):
        before = CardState(row.before) if row.before else None
        reason = CardReason(row.reason) if row.reason else None
        found[row.card_id].append(CardTransition(before, CardState(row.after), reason, row.actor, row.at))
    return [found[each] for each in card_ids]
