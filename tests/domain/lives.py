"""Lives of payments as both books tell them: ours and the bank's. Valid unless somebody spoils them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.event import EVENT_OF
from domain.ids import IdKind, encode_id, time_ordered_uuid
from domain.invariants import judge, unknown_keys
from domain.ledger import Capture, Effect, Hold, Ledger, LedgerIndex, Refund, Void
from domain.own_books import numbers_are_gapless
from domain.payment import BankReferences, PaymentState, ReviewReason, Verb
from domain.records import AttemptRecord, EventNumbers, EventRecord, History, PaymentRecord, Snapshot, Terms
from domain.violation import Breach, Circumstances
from tests.domain.examples import NOW, ROAD, SECOND

S = PaymentState
TENANT = UUID(int=1)
LOST = {
    Verb.CAPTURE: ReviewReason.CAPTURE_REFERENCE_UNKNOWN,
    Verb.VOID: ReviewReason.VOID_REFERENCE_UNKNOWN,
    Verb.REFUND: ReviewReason.REFUND_REFERENCE_UNKNOWN,
}
_VERB_TO = {S.AUTHORIZED: Verb.AUTHORIZE, S.DECLINED: Verb.AUTHORIZE, S.CAPTURED: Verb.CAPTURE, S.VOIDED: Verb.VOID}
_VERB_TO |= {S.EXPIRED: Verb.CAPTURE, S.REFUNDED: Verb.REFUND}


@dataclass(frozen=True)
class World:
    """All payments of one partner, the bank's books, and where the counter of events stands."""

    histories: tuple[History, ...]
    effects: tuple[Effect, ...] = ()
    counter: int = 0

    @property
    def ledger(self) -> LedgerIndex:
        def all_of(kind: type[Any]) -> Any:
            return tuple(each for each in self.effects if isinstance(each, kind))

        return LedgerIndex(Ledger(all_of(Hold), all_of(Capture), all_of(Void), all_of(Refund)))

    def breaches(self, **given: Any) -> set[Breach]:
        """What all rules together find."""
        circumstances = Circumstances(**{"now": NOW, "ledger": self.ledger, **given})
        checked = [each for history in self.histories for each in judge(history, circumstances).values()]
        numbers = sorted(event.sequence for history in self.histories for event in history.events)
        checked.append(numbers_are_gapless(TENANT, EventNumbers().then(numbers), self.counter))
        keys = {attempt.bank_key for history in self.histories for attempt in history.attempts}
        checked.append(unknown_keys(self.ledger, keys))
        return {violation.breach for each in checked for violation in each.violations}

    def with_history(self, number: int, history: History) -> "World":
        return replace(self, histories=(*self.histories[:number], history, *self.histories[number + 1 :]))

    def with_payment(self, number: int = 0, **changes: Any) -> "World":
        history = self.histories[number]
        return self.with_history(number, replace(history, payment=replace(history.payment, **changes)))

    def with_attempt(self, number: int = 0, attempt: int = 0, **changes: Any) -> "World":
        history = self.histories[number]
        changed = replace(history.attempts[attempt], **changes)
        attempts = (*history.attempts[:attempt], changed, *history.attempts[attempt + 1 :])
        return self.with_history(number, replace(history, attempts=attempts))

    def with_event(self, number: int = 0, event: int = 0, **changes: Any) -> "World":
        history = self.histories[number]
        changed = replace(history.events[event], **changes)
        return self.with_history(
            number, replace(history, events=(*history.events[:event], changed, *history.events[event + 1 :]))
        )

    def settled(self, reason: ReviewReason) -> "World":
        """With a flag of the first payment taken off by somebody who answers for it."""
        (history, *_) = self.histories
        reasons = history.payment.review_reasons - {reason}
        payment = replace(history.payment, review_reasons=reasons)
        return self.with_history(0, replace(history, payment=payment, settled=frozenset({str(reason)})))

    def with_effect(self, old: Effect, *new: Effect) -> "World":
        """With these in the place of that one: none to remove it, two to have it twice."""
        place = self.effects.index(old)
        return replace(self, effects=(*self.effects[:place], *new, *self.effects[place + 1 :]))

    def the(self, kind: type[Any]) -> Any:
        """The only effect of a kind."""
        (found,) = [each for each in self.effects if isinstance(each, kind)]
        return found


@dataclass(frozen=True, kw_only=True)
class Life:
    """What happened to one payment."""

    state: PaymentState
    under_way: Verb | None = None
    is_done: bool = False  # whether the bank has done already what is under way
    lost: frozenset[Verb] = frozenset()  # answers that never came, so that the reference is missing
    orphans: int = 0  # further holds of the authorization
    refused: Verb | None = None  # an operation that the bank refused although our books allow it
    number: int = 1
    amount_minor: int = 1999

    def told(self, first_event: int = 1) -> World:
        """This life in both books."""
        return _Teller(self, first_event).world()


def told_together(lives: Iterable[Life]) -> World:
    """Many lives of one partner."""
    histories: list[History] = []
    effects: list[Effect] = []
    counter = 0
    for number, life in enumerate(lives, start=1):
        world = replace(life, number=number).told(counter + 1)
        histories += world.histories
        effects += world.effects
        counter = world.counter
    return World(tuple(histories), tuple(effects), counter)


class _Teller:
    """Writes both books, step by step, as a gateway and a bank without faults would."""

    def __init__(self, life: Life, first_event: int) -> None:
        self.life = life
        self.first_event = first_event
        self.terms = Terms(f"order-{life.number}", "customer-1", life.amount_minor, "USD", "VISA", "1111")
        self.bank = BankReferences()
        self.at = NOW - timedelta(minutes=10)
        self.reached = {str(S.PENDING): self.at}
        self.attempts: list[AttemptRecord] = []
        self.effects: list[Effect] = []
        self.events = [self._event(None, S.PENDING)]
        self.state = S.PENDING
        self.reasons: set[ReviewReason] = set()

    def world(self) -> World:
        life = self.life
        for state in ROAD[life.state][1:]:
            self._reach(state)
            if life.refused and state is {Verb.REFUND: S.CAPTURED}.get(life.refused, S.AUTHORIZED):
                self._close(self._opened(life.refused), state)
                self.reasons.add(ReviewReason.BANK_DISAGREES)
        if life.state is S.EXPIRED and life.under_way is None:
            attempt = self._opened(Verb.VOID)
            self._do(Verb.VOID, attempt.bank_key)
            self._close(attempt, S.EXPIRED)
        if life.under_way:
            unanswered = life.orphans if life.under_way is Verb.AUTHORIZE else 0
            attempt = self._opened(life.under_way, opened_at=NOW - SECOND, unanswered=unanswered, tries=1 + unanswered)
            self.attempts.append(attempt)
            if life.is_done:
                before, self.bank = self.bank, BankReferences(self.bank.authorization, self.bank.capture)
                self._do(life.under_way, attempt.bank_key)
                self.bank = before
        if life.orphans:
            key = self.attempts[0].bank_key
            self.effects += [self._hold(f"auth_{life.number}_orphan_{each}", key) for each in range(life.orphans)]
            if life.under_way is not Verb.AUTHORIZE:  # which is flagged when it ends
                self.reasons.add(ReviewReason.POSSIBLE_ORPHAN_HOLD)
        payment = PaymentRecord(
            id=self._id(0),
            terms=self.terms,
            state=self.state,
            reached=self.reached,
            bank=self.bank,
            review_reasons=frozenset(map(str, self.reasons)),
        )
        history = History(tenant_id=TENANT, payment=payment, attempts=tuple(self.attempts), events=tuple(self.events))
        return World((history,), tuple(self.effects), self.first_event + len(self.events) - 1)

    def _reach(self, state: PaymentState) -> None:
        verb = _VERB_TO[state]
        attempt = self._opened(verb)
        if state not in (S.DECLINED, S.EXPIRED):
            self._do(verb, attempt.bank_key)
        self.at += SECOND
        self.reached[str(state)] = self.at
        self.events.append(self._event(self.state, state))
        self.state = state
        self._close(attempt, state)

    def _do(self, verb: Verb, key: str) -> None:
        """The bank does it, and its answer comes unless it is lost."""
        life, bank = self.life, self.bank
        name = {Verb.AUTHORIZE: "auth", Verb.CAPTURE: "cap", Verb.VOID: "void", Verb.REFUND: "ref"}[verb]
        reference = f"{name}_{life.number}"
        hold = next((each for each in self.effects if isinstance(each, Hold)), None)
        capture = next((each for each in self.effects if isinstance(each, Capture)), None)
        match verb:
            case Verb.AUTHORIZE:
                self.effects.append(self._hold(reference, key))
            case Verb.CAPTURE:
                assert hold is not None
                self.effects[self.effects.index(hold)] = replace(hold, state="captured")
                self.effects.append(Capture(reference, hold.id, life.amount_minor, "USD", False, key))
            case Verb.VOID:
                assert hold is not None
                self.effects[self.effects.index(hold)] = replace(hold, state="voided")
                self.effects.append(Void(reference, hold.id, key))
            case Verb.REFUND:
                assert capture is not None
                self.effects[self.effects.index(capture)] = replace(capture, is_refunded=True)
                self.effects.append(Refund(reference, capture.id, life.amount_minor, "USD", key))
        if verb in life.lost:
            self.reasons.add(LOST[verb])
        else:
            names = {Verb.AUTHORIZE: "authorization", Verb.CAPTURE: "capture", Verb.VOID: "void", Verb.REFUND: "refund"}
            self.bank = replace(bank, **{names[verb]: reference})

    def _hold(self, hold_id: str, key: str) -> Hold:
        return Hold(hold_id, self.life.amount_minor, "USD", "1111", "active", key)

    def _opened(self, verb: Verb, **changes: Any) -> AttemptRecord:
        given = {"opened_at": self.at, "tries": 1, "unanswered": 0, "keeps_card": verb is Verb.AUTHORIZE}
        return AttemptRecord(id=self._id(1 + len(self.attempts)), verb=verb, **{**given, **changes})

    def _close(self, attempt: AttemptRecord, state: PaymentState) -> None:
        snapshot = Snapshot(state, self.terms, self.bank)
        self.attempts.append(replace(attempt, closed_at=self.at, resolution=snapshot, keeps_card=False))

    def _event(self, previous: PaymentState | None, state: PaymentState) -> EventRecord:
        return EventRecord(
            sequence=self.first_event + len(getattr(self, "events", ())),
            type=EVENT_OF[state],
            occurred_at=self.at,
            previous_state=previous,
            payment=Snapshot(state, self.terms, self.bank),
        )

    def _id(self, part: int) -> UUID:
        return time_ordered_uuid(NOW, self.life.number << 16 | part)


def nobodys_key() -> str:
    """A key as this gateway makes them, of no attempt."""
    return encode_id(IdKind.ATTEMPT, time_ordered_uuid(NOW, 2**70))
