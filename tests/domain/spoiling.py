"""Every single thing that can be wrong in a world of lives and that the two books together give away.

What is left out looks like another valid life: a second hold that is gone again, say, where a flag only says that there may be one.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.event import EVENT_OF, EventType
from domain.ledger import Capture, Effect, Hold, Refund, Void
from domain.payment import BankReferences, PaymentState, ReviewReason, Verb
from domain.records import AttemptRecord, History, PaymentRecord, Snapshot, Terms
from tests.domain.examples import NOW, SECOND
from tests.domain.lives import LOST, World, nobodys_key

S = PaymentState
Spoilt = tuple[str, World]
_STATES = [*map(str, PaymentState), "PAID"]
_OWN_REFERENCE = {Capture: "capture", Void: "void", Refund: "refund"}


def spoilt_worlds(world: World) -> Iterator[Spoilt]:
    """The world with one thing wrong, in every way."""
    for number, history in enumerate(world.histories):
        for what, changes in _payments(history):
            yield f"payment: {what}", world.with_payment(number, **changes)
        for position, attempt in enumerate(history.attempts):
            for what, changed in _attempts(history, attempt, world):
                kept = [*history.attempts[:position], *changed, *history.attempts[position + 1 :]]
                yield f"attempt: {what}", world.with_history(number, replace(history, attempts=tuple(kept)))
        for position, event in enumerate(history.events):
            rest = (*history.events[:position], *history.events[position + 1 :])
            yield "event: removed", world.with_history(number, replace(history, events=rest))
            for what, changes in _events(history, position):
                yield f"event: {what}", world.with_event(number, position, **changes)
            twice = (*history.events, replace(event, sequence=world.counter + 1))
            again = world.with_history(number, replace(history, events=twice))
            yield "event: twice", replace(again, counter=world.counter + 1)
        for effect in _effects_of(history, world):
            for what, now in _effects(history, effect):
                yield f"bank: {what}", world.with_effect(effect, *now)
    yield "counter: ahead", replace(world, counter=world.counter + 1)
    yield "counter: behind", replace(world, counter=world.counter - 1)


def _is_disputed(payment: PaymentRecord) -> bool:
    return ReviewReason.BANK_DISAGREES in payment.review_reasons


def _is_refused(history: History, attempt: AttemptRecord) -> bool:
    starts = {Verb.CAPTURE: S.AUTHORIZED, Verb.VOID: S.AUTHORIZED, Verb.REFUND: S.CAPTURED}
    return attempt.resolution is not None and starts.get(Verb(attempt.verb)) == attempt.resolution.state


def _payments(history: History) -> Iterator[tuple[str, dict[str, Any]]]:
    payment = history.payment
    for terms in _terms(payment.terms):
        yield "other terms", {"terms": terms}
    for state in _STATES:
        if state != payment.state:
            yield f"state {state}", {"state": state}
        if state not in payment.reached:
            yield f"{state} as well", {"reached": {**payment.reached, state: NOW}}
    for state, at in payment.reached.items():
        yield f"{state} not", {"reached": {each: at for each, at in payment.reached.items() if each != state}}
        yield f"{state} later", {"reached": {**payment.reached, state: at + timedelta(microseconds=1)}}
    lost = {str(reason) for reason in LOST.values()} & payment.review_reasons
    for field in fields(BankReferences):
        if getattr(payment.bank, field.name) is not None:
            yield f"no {field.name}", {"bank": replace(payment.bank, **{field.name: None})}
        elif _is_disputed(payment) and lost:
            continue
        yield f"other {field.name}", {"bank": replace(payment.bank, **{field.name: "other"})}
    for reason in payment.review_reasons:
        if not (reason in lost and _is_disputed(payment) and payment.state == S.EXPIRED):
            yield f"no flag {reason}", {"review_reasons": payment.review_reasons - {reason}}


def _attempts(history: History, attempt: AttemptRecord, world: World) -> Iterator[tuple[str, list[AttemptRecord]]]:
    payment, resolution = history.payment, attempt.resolution
    has_effect = bool(world.ledger.effects_under(attempt.bank_key))
    if has_effect:
        yield "other id", [replace(attempt, id=UUID(int=2**90))]
    if has_effect or payment.state == S.PENDING:
        yield "removed", []
    if attempt.is_open:
        yield "closed", [replace(attempt, closed_at=NOW)]
        yield "old", [replace(attempt, opened_at=NOW - 121 * SECOND)]
        if attempt.verb == Verb.AUTHORIZE:
            yield "no card", [replace(attempt, keeps_card=False)]
        return
    yield "reopened", [replace(attempt, closed_at=None, resolution=None)]
    yield "with a card", [replace(attempt, keeps_card=True)]
    yield "no outcome", [replace(attempt, resolution=None)]
    assert resolution is not None
    for snapshot in _snapshots(resolution):
        yield "other outcome", [replace(attempt, resolution=snapshot)]
    if _is_refused(history, attempt):
        return
    for state in _STATES:
        if state != resolution.state and not (resolution.state == S.EXPIRED and _is_disputed(payment)):
            yield f"came to {state}", [replace(attempt, resolution=replace(resolution, state=state))]
    for verb in (*map(str, Verb), "PAY"):
        if verb != attempt.verb and not (resolution.state == S.EXPIRED and {verb, attempt.verb} == {Verb.CAPTURE, Verb.VOID}):
            yield f"is a {verb}", [replace(attempt, verb=verb)]


def _events(history: History, position: int) -> Iterator[tuple[str, dict[str, Any]]]:
    event = history.events[position]
    yield "other number", {"sequence": 10**9}
    yield "later", {"occurred_at": event.occurred_at + timedelta(microseconds=1)}
    for kind in EventType:
        if kind != event.type:
            yield f"type {kind}", {"type": kind}
    for state in (None, *_STATES):
        if state != event.previous_state:
            yield f"after {state}", {"previous_state": state}
        if state != event.payment.state:
            changed = replace(event.payment, state=state)
            yield f"of {state}", {"payment": changed}
            if state in map(str, PaymentState):
                yield f"of {state}, of its type", {"payment": changed, "type": EVENT_OF[PaymentState(state)]}
    for snapshot in _snapshots(event.payment):
        yield "other payment", {"payment": snapshot}


def _effects_of(history: History, world: World) -> list[Effect]:
    return [effect for attempt in history.attempts for effect in world.ledger.effects_under(attempt.bank_key)]


def _effects(history: History, effect: Effect) -> Iterator[tuple[str, list[Effect]]]:
    payment = history.payment
    yield "under a key of nobody", [replace(effect, key=nobodys_key())]
    if not isinstance(effect, Void):
        yield "more money", [replace(effect, amount_minor=effect.amount_minor + 1)]
        yield "other money", [replace(effect, currency="EUR")]
    if isinstance(effect, Hold):
        yield "other card", [replace(effect, last_four="0000")]
        if effect.id == payment.bank.authorization:
            yield "other hold", [replace(effect, id="auth_other")]
            yield "somebody's hold", [replace(effect, key="somebody's")]
            yield "no hold", []
        is_warned = ReviewReason.POSSIBLE_ORPHAN_HOLD in payment.review_reasons
        if not is_warned and effect.id.count("_") == 1:
            yield "second hold", [effect, replace(effect, id="auth_second", state="active")]
    if isinstance(effect, Capture | Void):
        yield "of another hold", [replace(effect, hold_id="auth_other")]
    if isinstance(effect, Capture | Refund):
        yield "once more", [effect, replace(effect, id="second")]
    if isinstance(effect, Refund):
        yield "of another capture", [replace(effect, capture_id="cap_other")]
    if not _is_disputed(payment):
        yield from _compared_effects(payment, effect)


def _compared_effects(payment: PaymentRecord, effect: Effect) -> Iterator[tuple[str, list[Effect]]]:
    """What only the comparison of states and references gives away."""
    if isinstance(effect, Hold):
        if effect.id == payment.bank.authorization:
            for state in {"active", "captured", "voided", "paid"} - {effect.state}:
                yield f"hold {state}", [replace(effect, state=state)]
        return
    yield "not done", []
    if isinstance(effect, Void):
        yield "once more", [effect, replace(effect, id="second")]
    if isinstance(effect, Capture):
        yield "other end", [replace(effect, is_refunded=not effect.is_refunded)]
    if getattr(payment.bank, _OWN_REFERENCE[type(effect)]) is not None:
        yield "other reference", [replace(effect, id="other")]
        yield "somebody's", [replace(effect, key="somebody's")]


def _snapshots(snapshot: Snapshot) -> Iterator[Snapshot]:
    """The document with other terms, or with another reference where it has one."""
    for terms in _terms(snapshot.terms):
        yield replace(snapshot, terms=terms)
    for field in fields(BankReferences):
        if getattr(snapshot.bank, field.name) is not None:
            yield replace(snapshot, bank=replace(snapshot.bank, **{field.name: "other"}))


def _terms(terms: Terms) -> Iterator[Terms]:
    for field in fields(Terms):
        old = getattr(terms, field.name)
        yield replace(terms, **{field.name: old + 1 if isinstance(old, int) else f"{old}x"})
        yield replace(terms, **{field.name: None})
