"""Our books against the bank's ledger: invariants I1 and I5. The bank's word is compared, never believed over ours or below it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.ledger import Capture, Effect, Hold, LedgerIndex, Refund, Void
from domain.payment import PaymentState, ReviewReason, Verb
from domain.records import History
from domain.violation import Breach, Checked, Circumstances, Violation

EFFECT_OF: Mapping[str, type[Effect]] = {Verb.AUTHORIZE: Hold, Verb.CAPTURE: Capture, Verb.VOID: Void, Verb.REFUND: Refund}


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bank's books show of one hold: its state, and how often it was captured, voided and refunded."""

    hold: str
    captures: int = 0
    voids: int = 0
    refunds: int = 0
    is_refunded: bool = False  # what the capture itself says

    def __str__(self) -> str:
        counts = {"capture": self.captures, "void": self.voids, "refund": self.refunds}
        done = [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count]
        told = ["the capture says refunded"] if self.is_refunded and not self.refunds else []
        denied = ["the capture says not refunded"] if self.refunds and not self.is_refunded else []
        return ", ".join([f"hold {self.hold}", *(done or ["nothing done with it"]), *told, *denied])


HELD = Picture("active")
TAKEN = Picture("captured", captures=1)
FREED = Picture("voided", voids=1)
RETURNED = Picture("captured", captures=1, refunds=1, is_refunded=True)

# A payment's state and the verb under way, and what the bank's books may then show. While something is under way the bank may
# have done it or not. An expired hold is voided, because the bank keeps its money blocked otherwise (contract §6).
_S = PaymentState
PICTURES: Mapping[tuple[str, str | None], frozenset[Picture]] = {
    (_S.AUTHORIZED, None): frozenset({HELD}),
    (_S.AUTHORIZED, Verb.CAPTURE): frozenset({HELD, TAKEN}),
    (_S.AUTHORIZED, Verb.VOID): frozenset({HELD, FREED}),
    (_S.CAPTURED, None): frozenset({TAKEN}),
    (_S.CAPTURED, Verb.REFUND): frozenset({TAKEN, RETURNED}),
    (_S.VOIDED, None): frozenset({FREED}),
    (_S.REFUNDED, None): frozenset({RETURNED}),
    (_S.EXPIRED, None): frozenset({FREED}),
    (_S.EXPIRED, Verb.VOID): frozenset({HELD, FREED}),
}


def one_effect_each(history: History, given: Circumstances) -> Checked:
    """I1: at most one effective hold, one capture of it, one refund of that, each of our amount; doubts are flagged."""
    if given.ledger is None:
        return Checked(0)
    both = _BothBooks(history, given.ledger)
    return Checked(1, (*_holds(both), *_second_holds(both), *_taken_and_returned(both), *_misplaced(both)))


def bank_agrees(history: History, given: Circumstances) -> Checked:
    """I5: the hold that we know is in the state that ours says, and what was done with it has our references.

    Not judged: a payment whose hold I1 misses already, one whose open attempt can't be (I4), and one that is flagged
    BANK_DISAGREES, for which an operator knows.
    """
    payment = history.payment
    if given.ledger is None or payment.state == PaymentState.PENDING:
        return Checked(0)
    if payment.state == PaymentState.DECLINED:
        return Checked(1)  # that nothing is held for it is I1's
    both = _BothBooks(history, given.ledger)
    hold = both.own_known_hold
    verbs = {attempt.verb for attempt in history.open_attempts}
    allowed = PICTURES.get((payment.state, next(iter(verbs), None)))
    if hold is None or allowed is None or len(verbs) > 1 or history.is_excused(ReviewReason.BANK_DISAGREES):
        return Checked(0)
    captures = given.ledger.captures_of(hold.id)
    refunds = [refund for capture in captures for refund in given.ledger.refunds_of(capture.id)]
    if len(captures) > 1 or len(refunds) > 1:
        return Checked(1)  # which I1 tells
    voids = given.ledger.voids_of(hold.id)
    picture = Picture(hold.state, len(captures), len(voids), len(refunds), any(each.is_refunded for each in captures))
    if picture not in allowed:
        under_way = "".join(f", a {verb} is under way" for verb in verbs)
        ours = f"{payment.state}{under_way}: {' or '.join(sorted(map(str, allowed)))}"
        return Checked(1, (both.violation(Breach.STATES_DIFFER, ours, str(picture)),))
    return Checked(1, tuple(_references(both, [*captures, *voids, *refunds])))


class _BothBooks:
    """One payment in both books, and which of the bank's holds are its own."""

    def __init__(self, history: History, ledger: LedgerIndex) -> None:
        self.history = history
        self.payment = history.payment
        self.ledger = ledger
        self.keys: dict[str, set[str]] = defaultdict(set)  # of each verb
        for attempt in history.attempts:
            self.keys[attempt.verb].add(attempt.bank_key)
        self.own_holds = [hold for key in sorted(self.keys[Verb.AUTHORIZE]) for hold in ledger.holds_under(key)]
        self.known_hold = ledger.hold(history.payment.bank.authorization)
        self.own_known_hold = self.known_hold if any(each is self.known_hold for each in self.own_holds) else None

    def violation(self, breach: Breach, ours: str, bank: str) -> Violation:
        """Something wrong with this payment."""
        return Violation(breach, self.history.tenant_id, self.payment.id, ours, bank)


def _holds(both: _BothBooks) -> Iterator[Violation]:
    """The hold that the payment knows is there and its own; every hold of its attempts is what was asked for."""
    reference, terms, known = both.payment.bank.authorization, both.payment.terms, both.known_hold
    if reference is not None and known is None:
        yield both.violation(Breach.MISSING_HOLD, reference, "no such hold")
    if known is not None and both.own_known_hold is None:
        yield both.violation(Breach.FOREIGN_HOLD, known.id, f"made under {known.key}")
    asked = (terms.amount_minor, terms.currency, terms.card_last_four)
    for hold in both.own_holds:
        if (hold.amount_minor, hold.currency, hold.last_four) != asked:
            ours = f"{terms.amount_minor} {terms.currency} on …{terms.card_last_four}"
            told = f"{hold.id}: {hold.amount_minor} {hold.currency} on …{hold.last_four}"
            yield both.violation(Breach.OTHER_HOLD, ours, told)


def _second_holds(both: _BothBooks) -> Iterator[Violation]:
    """Holds beside the known one. As long as an authorization is open, each try without an answer may have left one."""
    payment, known = both.payment, both.own_known_hold
    others = [hold for hold in both.own_holds if hold is not known]
    effective = [hold for hold in others if hold.state != "voided"]
    allowed = 0
    if known is None and payment.state != PaymentState.DECLINED:
        opened = [attempt for attempt in both.history.open_attempts if attempt.verb == Verb.AUTHORIZE]
        allowed = 1 + sum(attempt.unanswered for attempt in opened)
    ours = f"{payment.state}, knows {payment.bank.authorization or 'no hold'}"
    if len(effective) > allowed and not both.history.is_excused(ReviewReason.POSSIBLE_ORPHAN_HOLD):
        yield both.violation(Breach.SECOND_HOLD, ours, ", ".join(f"{hold.id} {hold.state}" for hold in effective))
    if known is None and payment.bank.authorization is not None:
        return  # one of them is the known one, under another name: told already
    for hold in others:
        if captures := both.ledger.captures_of(hold.id):
            told = f"{hold.id}: {', '.join(capture.id for capture in captures)}"
            yield both.violation(Breach.SECOND_HOLD_USED, ours, told)


def _taken_and_returned(both: _BothBooks) -> Iterator[Violation]:
    """Captures ≤ holds, refunds ≤ captures, in number and in money."""
    payment = both.payment
    for hold in both.own_holds:
        captures = both.ledger.captures_of(hold.id)
        if len(captures) > 1:
            ours = f"{payment.state}, knows {payment.bank.capture or 'no capture'}"
            yield both.violation(Breach.CAPTURED_TWICE, ours, ", ".join(capture.id for capture in captures))
        for capture in captures:
            refunds = both.ledger.refunds_of(capture.id)
            if len(refunds) > 1:
                ours = f"{payment.state}, knows {payment.bank.refund or 'no refund'}"
                yield both.violation(Breach.REFUNDED_TWICE, ours, ", ".join(refund.id for refund in refunds))
            moved: list[Capture | Refund] = [capture, *refunds]
            for effect in moved:
                if (effect.amount_minor, effect.currency) != (hold.amount_minor, hold.currency):
                    told = f"{effect.id}: {effect.amount_minor} {effect.currency}"
                    yield both.violation(Breach.OTHER_AMOUNT, f"{hold.amount_minor} {hold.currency}", told)


def _misplaced(both: _BothBooks) -> Iterator[Violation]:
    """Effects under our keys that are of another kind than the attempt, or have to do with another hold than ours."""
    ours = {hold.id for hold in both.own_holds} | {both.payment.bank.authorization}
    for attempt in both.history.attempts:
        for effect in both.ledger.effects_under(attempt.bank_key):
            hold_id = _hold_of(effect, both.ledger)
            if not isinstance(effect, EFFECT_OF.get(attempt.verb, ())) or hold_id not in ours:
                told = f"{type(effect).__name__.lower()} {effect.id} of {hold_id or 'an unknown hold'}"
                yield both.violation(Breach.MISPLACED_EFFECT, f"{attempt.verb} under {attempt.bank_key}", told)


def _references(both: _BothBooks, effects: list[Capture | Void | Refund]) -> Iterator[Violation]:
    """What was done has the reference that we know. Where we know none, a flag has to say so, which is I6's."""
    bank = both.payment.bank
    for effect in effects:
        match effect:
            case Capture():
                reference, verb = bank.capture, Verb.CAPTURE
            case Void():
                reference, verb = bank.void, Verb.VOID
            case Refund():
                reference, verb = bank.refund, Verb.REFUND
        if reference is not None and (effect.id != reference or effect.key not in both.keys[verb]):
            yield both.violation(Breach.OTHER_REFERENCE, reference, f"{effect.id} under {effect.key}")


def _hold_of(effect: Effect, ledger: LedgerIndex) -> str | None:
    match effect:
        case Hold(id=hold_id) | Capture(hold_id=hold_id) | Void(hold_id=hold_id):
            return hold_id
        case Refund(capture_id=capture_id):
            capture = ledger.capture(capture_id)
            return None if capture is None else capture.hold_id
