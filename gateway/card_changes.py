"""How stored cards change, whoever changes them: the row, one step in its history for each new state, and what is to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.audit import Origin
from domain.card_document import card_to_document
from domain.card_life import EXPIRY, event_type_of
from domain.event import Subject
from domain.ids import IdKind
from domain.stored_card import Card, CardState, CardTransition
from gateway.telling import Happened
from persistence.card_numbers import erase_card_numbers
from persistence.card_transitions import Step, append_transitions
from persistence.cards import insert_card, save_cards
from persistence.database import Transaction


@dataclass(frozen=True, slots=True)
class CardChange:
    """A locked card before and after."""

    before: Card
    after: Card


async def record_new_card(
    tx: Transaction, tenant_id: UUID, card: Card, fingerprint: bytes, origin: Origin
) -> tuple[Happened, ...]:
    """Write a new card. Its number is left to who has it."""
    await insert_card(tx, tenant_id, card, fingerprint)
    await append_transitions(tx, tenant_id, [_step(None, card, origin)])
    return (_told(None, card),)


async def record_card_changes(
    tx: Transaction, tenant_id: UUID, changes: Sequence[CardChange], origin: Origin | None
) -> tuple[Happened, ...]:
    """Write changes of locked cards. Closed ones lose their numbers: unfinished attempts have a copy of their own.

    Without an origin nobody asked for it but the calendar. What is answered is left to `gateway.telling.tell`.
    """
    if not changes:
        return ()
    await save_cards(tx, tenant_id, [change.after for change in changes])
    steps = [_step(each.before, each.after, origin) for each in changes if each.before.state is not each.after.state]
    if steps:
        await append_transitions(tx, tenant_id, steps)
    if closed := [each.after.id for each in changes if each.after.state is CardState.CLOSED]:
        await erase_card_numbers(tx, tenant_id, closed)
    return tuple(_told(each.before, each.after) for each in changes)


def _step(before: Card | None, after: Card, origin: Origin | None) -> Step:
    actor, key_id = (origin.name, origin.api_key_id) if origin else (EXPIRY, None)
    transition = CardTransition(before.state if before else None, after.state, after.reason, actor, after.state_since)
    return Step(after.id, transition, key_id)


def _told(before: Card | None, after: Card) -> Happened:
    subject = Subject(IdKind.CARD, after.id, card_to_document(after))
    note = after.reason.value if after.reason and before and before.state is not after.state else ""
    return Happened(event_type_of(before, after), subject, before.state.value if before else None, note)
