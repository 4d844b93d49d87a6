"""Bugs to plant: what this project must never do, each as a change of the real code while it lasts."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import pytest
from sqlalchemy import text

from bank.answer import Done, Refused
from domain.attempt import Attempt, Resolution
from domain.audit import AuditEntry
from domain.event import Event
from domain.ids import IdKind, encode_id
from domain.payment import Disagreed, Outcome, Payment, Verb
from gateway import attempts, changes, driving
from gateway.parts import Parts
from persistence import attempts as attempt_rows
from persistence.database import Transaction
from persistence.events import append_events
from tests.simulation.bank_line import FORGOTTEN
from tests.simulation.stage import STILL

Plant = Callable[[pytest.MonkeyPatch], None]


def a_key_for_each_try(patch: pytest.MonkeyPatch) -> None:
    """The bank's key is new on every try, so nothing is ever replayed."""

    def bank_key(attempt: Attempt) -> str:
        return encode_id(IdKind.ATTEMPT, UUID(int=attempt.id.int ^ (attempt.tries - 1)))

    patch.setattr(Attempt, "bank_key", property(bank_key))


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Whoever comes closes an attempt, whether the lease is still theirs or not."""
    condition = "and attempts.lease_token = given.lease_token"
    assert condition in attempt_rows._CLOSE.text
    patch.setattr(attempt_rows, "_CLOSE", text(attempt_rows._CLOSE.text.replace(condition, "")))


def uncounted_deaths(patch: pytest.MonkeyPatch) -> None:
    """Who takes over from the dead does not count their last try as one without an answer."""
    condition = "then 0 else 1 end"
    assert condition in attempt_rows._LEASE_DUE.text
    patch.setattr(attempt_rows, "_LEASE_DUE", text(attempt_rows._LEASE_DUE.text.replace(condition, "then 0 else 0 end")))


def already_is_no(patch: pytest.MonkeyPatch) -> None:
    """An "already used" after a lost answer is taken for a refusal."""
    interpret = driving.interpret

    def wrongly(verb: Verb, payment: Payment, answer: Done | Refused, unanswered: int) -> Outcome:
        match answer:
            case Refused("authorization_already_used" as code):
                return Disagreed(code)
            case _:
                return interpret(verb, payment, answer, unanswered)

    patch.setattr(driving, "interpret", wrongly)


def events_in_a_transaction_of_their_own(patch: pytest.MonkeyPatch) -> None:
    """The event of an outcome is written after the commit, not in it."""
    finish = driving.finish
    unwritten: dict[UUID, list[Event]] = {}

    async def later(tx: Transaction, tenant_id: UUID, events: Sequence[Event], entries: Sequence[AuditEntry] = ()) -> None:
        if events:
            unwritten[events[0].payment.id] = list(events)
        await append_events(tx, tenant_id, [], entries)

    async def and_then(parts: Parts, tenant_id: UUID, findings: Sequence[attempts.Finding]) -> dict[UUID, Resolution]:
        closed = await finish(parts, tenant_id, findings)
        for finding in findings:
            if events := unwritten.pop(finding.attempt.payment_id, []):
                async with parts.database.tenant(tenant_id) as tx:
                    await append_events(tx, tenant_id, events)
        return closed

    patch.setattr(changes, "append_events", later)
    patch.setattr(driving, "finish", and_then)


BUGS: Mapping[str, Plant] = {
    plant.__name__: plant
    for plant in (a_key_for_each_try, no_fence, uncounted_deaths, already_is_no, events_in_a_transaction_of_their_own)
}
# Luck that brings a bug out soon, where any luck takes long: without a fence it needs a runner that stands still until its lease
# has run out, and a bank that has lost the key when the next one asks.
LUCK_FOR: Mapping[str, frozenset[str]] = {no_fence.__name__: frozenset({STILL, FORGOTTEN})}
