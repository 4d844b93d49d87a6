"""Our books for themselves: the invariants that need no bank."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from uuid import UUID

from domain.event import EVENT_OF
from domain.payment import STATE_FOR, TRANSITIONS, BankReferences, PaymentState, ReviewReason, Verb
from domain.records import AttemptRecord, EventNumbers, History, Snapshot
from domain.settlement import STUCK
from domain.violation import Breach, Checked, Circumstances, Violation

_S = PaymentState
_LEADS_TO: Mapping[str | None, Collection[str | None]] = {
    None: {_S.PENDING},
    **{str(state): to for state, to in TRANSITIONS.items()},
}
_TYPE_OF: Mapping[str | None, str] = {str(state): kind for state, kind in EVENT_OF.items()}
_STARTS_FROM: Mapping[str, str] = {str(verb): state for verb, state in STATE_FOR.items()}
# The states that an attempt explains, and its verb. PENDING is where all begin, and time brings EXPIRED.
_EXPLAINED_BY: Mapping[str, Verb] = {
    _S.AUTHORIZED: Verb.AUTHORIZE,
    _S.DECLINED: Verb.AUTHORIZE,
    _S.CAPTURED: Verb.CAPTURE,
    _S.VOIDED: Verb.VOID,
    _S.REFUNDED: Verb.REFUND,
}
# What an attempt can come to: its success, or that nothing changed because the bank disagreed. A capture may find the hold expired,
# and a void may be the release of an expired hold.
_COMES_TO: Mapping[str, Collection[str | None]] = {
    Verb.AUTHORIZE: {_S.AUTHORIZED, _S.DECLINED},
    Verb.CAPTURE: {_S.CAPTURED, _S.EXPIRED, _S.AUTHORIZED},
    Verb.VOID: {_S.VOIDED, _S.EXPIRED, _S.AUTHORIZED},
    Verb.REFUND: {_S.REFUNDED, _S.CAPTURED},
}


def acknowledged_stays(history: History, given: Circumstances) -> Checked:
    """I2: a payment that was acknowledged has still reached the states that were acknowledged."""
    states = given.acknowledged.get(history.payment.id)
    if states is None:
        return Checked(0)
    lost = sorted(states - set(history.payment.reached))
    found = [_violation(Breach.GONE_BACK, history, f"{history.payment.state}, acknowledged as {state}") for state in lost]
    return Checked(1, tuple(found))


def missing_acknowledged(acknowledged: Collection[UUID], seen: Collection[UUID]) -> Checked:
    """I2: every acknowledged id is there. To be asked when all payments were `seen`."""
    missing = sorted(set(acknowledged).difference(seen))
    return Checked(len(missing), tuple(Violation(Breach.LOST_PAYMENT, None, each, "no such payment") for each in missing))


def events_follow_the_table(history: History, given: Circumstances) -> Checked:  # noqa: ARG001 - all rules look alike
    """I3: each event is a step of the state machine, the steps join, and the last one ends where the payment stands."""
    events, reached = history.events, history.payment.reached
    found: list[Violation] = []
    for event in events:
        state = event.payment.state
        if state not in _LEADS_TO.get(event.previous_state, ()):
            found.append(_violation(Breach.FORBIDDEN_STEP, history, f"#{event.sequence}: {event.previous_state} to {state}"))
        elif event.type != _TYPE_OF.get(state):
            found.append(_violation(Breach.MISLABELLED_EVENT, history, f"#{event.sequence}: {event.type} of {state}"))
        at = reached.get(state or "")
        if at is not None and event.occurred_at != at:
            ours = f"#{event.sequence}: {state} at {event.occurred_at}, the payment says {at}"
            found.append(_violation(Breach.OTHER_TIME, history, ours))
    if not any(each.breach is Breach.OTHER_TIME for each in found):
        found += [
            _violation(Breach.TIME_RUNS_BACKWARDS, history, f"#{later.sequence} {later.occurred_at} after {earlier.occurred_at}")
            for earlier, later in pairwise(events)
            if later.occurred_at < earlier.occurred_at
        ]
    if not any(each.breach is Breach.FORBIDDEN_STEP for each in found):
        found += _chain(history)
    return Checked(len(events), tuple(found))


def _chain(history: History) -> Iterator[Violation]:
    """Whether the steps join. Asked only when each state has its one event; a missing or surplus one is I6's. Of a payment whose first
    events have gone with their age, those that are left are asked.
    """
    told = [event.payment.state for event in history.events]
    if sorted(map(str, told)) != sorted(set(history.payment.reached) - history.forgotten) or (history.forgotten and not told):
        return
    came_from = [event.previous_state for event in history.events]
    begins = came_from[0] if history.forgotten else None
    if came_from != [begins, *told][: len(told)] or told[-1:] != [history.payment.state]:
        steps = ", ".join(f"{before} to {after}" for before, after in zip(came_from, told, strict=True))
        yield _violation(Breach.BROKEN_CHAIN, history, f"{history.payment.state}, the events: {steps or 'none'}")


def nothing_stays_open(history: History, given: Circumstances) -> Checked:
    """I4: what is open is younger than the bound or rests for an operator, and can end; what is PENDING is worked on."""
    payment, opened = history.payment, history.open_attempts
    found: list[Violation] = []
    for attempt in opened:
        age_s = (given.now - attempt.opened_at).total_seconds()
        what = f"{attempt.verb} {attempt.bank_key}"
        releases = attempt.verb == Verb.VOID and payment.state == PaymentState.EXPIRED
        rests = bool(STUCK & payment.review_reasons)
        if _STARTS_FROM.get(attempt.verb) != payment.state and not releases:
            found.append(_violation(Breach.UNFINISHABLE, history, f"{payment.state}, {what} is open"))
        elif attempt.verb == Verb.AUTHORIZE and not attempt.keeps_card and not rests:
            found.append(_violation(Breach.UNFINISHABLE, history, f"{what} is open and has no card to ask with"))
        elif age_s > given.open_bound_s and not rests:
            found.append(_violation(Breach.OPEN_TOO_LONG, history, f"{what}: {age_s:.0f} s, {attempt.tries} tries"))
    if len(opened) > 1:
        found.append(_violation(Breach.SEVERAL_OPEN, history, ", ".join(f"{each.verb} {each.bank_key}" for each in opened)))
    if payment.state == PaymentState.PENDING and not opened:
        found.append(_violation(Breach.NOBODY_WORKS_ON_IT, history, "PENDING, nothing is open"))
    return Checked(max(len(opened), int(payment.state == PaymentState.PENDING)), tuple(found))


def changes_are_told_once(history: History, given: Circumstances) -> Checked:  # noqa: ARG001 - all rules look alike
    """I6: each state reached has one event and one attempt, and all documents tell what the row tells."""
    found = [
        *_events_of_states(history),
        *_attempts_of_states(history),
        *_outcomes(history),
        *_references(history),
    ]
    for attempt in history.attempts:
        if attempt.resolution is not None:
            found += _tells_the_same(history, attempt.resolution, f"{attempt.verb} {attempt.bank_key}")
    for event in history.events:
        found += _tells_the_same(history, event.payment, f"event #{event.sequence}")
    return Checked(len(history.payment.reached), tuple(found))


def _events_of_states(history: History) -> Iterator[Violation]:
    reached = history.payment.reached
    counts = Counter(event.payment.state for event in history.events)
    for state in reached:
        if counts[state] != 1 and state not in history.forgotten:
            breach = Breach.EVENT_TWICE if counts[state] else Breach.EVENT_MISSING
            yield _violation(breach, history, f"{state}: {counts[state]} events")
    for told in counts:
        if told not in reached:
            yield _violation(Breach.EVENT_OF_NOTHING, history, f"{told}, reached: {', '.join(reached)}")


def _attempts_of_states(history: History) -> Iterator[Violation]:
    for state, verb in _EXPLAINED_BY.items():
        if state in history.payment.reached:
            explaining = [each.bank_key for each, outcome in _closed(history) if (each.verb, outcome) == (verb, state)]
            if len(explaining) != 1:
                breach = Breach.EXPLAINED_TWICE if explaining else Breach.UNEXPLAINED_STATE
                yield _violation(breach, history, f"{state}: {', '.join(explaining) or f'no {verb} that came to it'}")


def _outcomes(history: History) -> Iterator[Violation]:
    """What an attempt came to is possible, is not lost, and is flagged where the bank refused what our books allow."""
    reached = history.payment.reached
    for attempt, outcome in _closed(history):
        if outcome not in reached:
            breach = Breach.LOST_OUTCOME
        elif outcome not in _COMES_TO.get(attempt.verb, ()):
            breach = Breach.IMPOSSIBLE_OUTCOME
        elif outcome == _STARTS_FROM[attempt.verb] and not history.is_excused(ReviewReason.BANK_DISAGREES):
            breach = Breach.UNFLAGGED_REFUSAL
        else:
            continue
        ours = f"{attempt.verb} {attempt.bank_key} came to {outcome}, reached: {', '.join(reached)}"
        yield _violation(breach, history, ours)


def _closed(history: History) -> list[tuple[AttemptRecord, str | None]]:
    return [(each, each.resolution.state if each.resolution else None) for each in history.attempts if not each.is_open]


def _references(history: History) -> Iterator[Violation]:
    """Whoever was authorized, captured, voided or refunded has the bank's reference of it, or a flag that says it is lost."""
    payment = history.payment
    bank, reached = payment.bank, payment.reached
    released = _S.EXPIRED in reached and not history.open_attempts
    disputed = history.is_excused(ReviewReason.BANK_DISAGREES)  # then an expired hold may never have been released
    for name, reference, wanted, possible, excuse in (
        ("authorization", bank.authorization, _S.AUTHORIZED in reached, False, None),
        ("capture", bank.capture, _S.CAPTURED in reached, False, ReviewReason.CAPTURE_REFERENCE_UNKNOWN),
        ("void", bank.void, _S.VOIDED in reached or (released and not disputed), released, ReviewReason.VOID_REFERENCE_UNKNOWN),
        ("refund", bank.refund, _S.REFUNDED in reached, False, ReviewReason.REFUND_REFERENCE_UNKNOWN),
    ):
        if wanted and reference is None and not (excuse and history.is_excused(excuse)):
            yield _violation(Breach.MISSING_REFERENCE, history, f"{payment.state}, no reference of the {name}")
        if reference is not None and not (wanted or possible):
            yield _violation(Breach.SURPLUS_REFERENCE, history, f"{payment.state}, {name} {reference}")


def _tells_the_same(history: History, snapshot: Snapshot, name: str) -> Iterator[Violation]:
    """A stored document's terms are the payment's, and so are the references that it had by then."""
    payment = history.payment
    if snapshot.terms != payment.terms:
        yield _violation(Breach.OTHER_TERMS, history, f"{payment.terms}; {name}: {snapshot.terms}")
    for reference, told in zip(_all(payment.bank), _all(snapshot.bank), strict=True):
        if told is not None and told != reference:
            yield _violation(Breach.OTHER_OUTCOME, history, f"{reference}; {name}: {told}")


def _all(bank: BankReferences) -> tuple[str | None, ...]:
    return bank.authorization, bank.capture, bank.void, bank.refund


def numbers_are_gapless(tenant_id: UUID, numbers: EventNumbers, counter: int | None) -> Checked:
    """I7: a partner's events are numbered 1, 2, 3 … up to where the counter stands (None: there is no counter yet).

    Those that have gone with their age are the first ones, without a gap among them: see `EventNumbers.behind`.
    """
    found = [
        Violation(Breach.GAP, tenant_id, None, f"#{first}" if first == last else f"#{first} to #{last}")
        for first, last in numbers.gaps
    ]
    if (counter or 0) != numbers.highest:
        told = "there is no counter" if counter is None else f"the counter is at {counter}"
        found.append(Violation(Breach.WRONG_COUNTER, tenant_id, None, f"{told}, the last event is #{numbers.highest}"))
    return Checked(numbers.count, tuple(found))


def cards_are_forgotten(history: History, given: Circumstances) -> Checked:  # noqa: ARG001 - all rules look alike
    """I9: the card of an attempt is erased when it closes."""
    closed = [attempt for attempt in history.attempts if not attempt.is_open]
    kept = [f"{attempt.verb} {attempt.bank_key}" for attempt in closed if attempt.keeps_card]
    return Checked(len(closed), tuple(_violation(Breach.KEPT_CARD, history, each) for each in kept))


def _violation(breach: Breach, history: History, ours: str) -> Violation:
    return Violation(breach, history.tenant_id, history.payment.id, ours)
