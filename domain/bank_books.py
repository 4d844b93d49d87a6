"""Our books against the bank's ledger: invariants I1 and I5. The bank's word is compared, never believed over ours or below it."""

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
    found = [
        *_known_hold(history, given.ledger),
        *_second_holds(history, given.ledger, given),
        *_taken_and_returned(history, given.ledger),
        *_misplaced(history, given.ledger),
    ]
    return Checked(1, tuple(found))


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
    hold = _established(history, given.ledger)
    verbs = {attempt.verb for attempt in history.open_attempts}
    allowed = PICTURES.get((payment.state, next(iter(verbs), None)))
    if hold is None or allowed is None or len(verbs) > 1 or given.is_excused(payment, ReviewReason.BANK_DISAGREES):
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
        return Checked(1, (_violation(Breach.STATES_DIFFER, history, ours, str(picture)),))
    return Checked(1, tuple(_references(history, [*captures, *voids, *refunds])))


def _established(history: History, ledger: LedgerIndex) -> Hold | None:
    """The hold that the payment knows, if an attempt of the payment made it."""
    hold = ledger.hold(history.payment.bank.authorization)
    return hold if hold is not None and hold.key in _keys(history, Verb.AUTHORIZE) else None


def _known_hold(history: History, ledger: LedgerIndex) -> Iterator[Violation]:
    """The hold that the payment knows is there and its own; every hold of its attempts is what was asked for."""
    reference, terms = history.payment.bank.authorization, history.payment.terms
    known = ledger.hold(reference)
    if reference is not None and known is None:
        yield _violation(Breach.MISSING_HOLD, history, reference, "no such hold")
    if known is not None and known.key not in _keys(history, Verb.AUTHORIZE):
        yield _violation(Breach.FOREIGN_HOLD, history, known.id, f"made under {known.key}")
    asked = (terms.amount_minor, terms.currency, terms.card_last_four)
    for hold in _own_holds(history, ledger):
        if (hold.amount_minor, hold.currency, hold.last_four) != asked:
            ours = f"{terms.amount_minor} {terms.currency} on …{terms.card_last_four}"
            told = f"{hold.id}: {hold.amount_minor} {hold.currency} on …{hold.last_four}"
            yield _violation(Breach.OTHER_HOLD, history, ours, told)


def _second_holds(history: History, ledger: LedgerIndex, given: Circumstances) -> Iterator[Violation]:
    """Holds beside the known one. As long as an authorization is open, each try without an answer may have left one."""
    payment = history.payment
    known = _established(history, ledger)
    others = [hold for hold in _own_holds(history, ledger) if hold is not known]
    effective = [hold for hold in others if hold.state != "voided"]
    allowed = 0
    if known is None and payment.state != PaymentState.DECLINED:
        allowed = 1 + sum(attempt.unanswered for attempt in history.open_attempts if attempt.verb == Verb.AUTHORIZE)
    if len(effective) > allowed and not given.is_excused(payment, ReviewReason.POSSIBLE_ORPHAN_HOLD):
        ours = f"{payment.state}, knows {payment.bank.authorization or 'no hold'}"
        yield _violation(Breach.SECOND_HOLD, history, ours, ", ".join(f"{hold.id} {hold.state}" for hold in effective))
    if known is None and payment.bank.authorization is not None:
        return  # one of them is the known one, under another name: told already
    for hold in others:
        if captures := ledger.captures_of(hold.id):
            yield _violation(
                Breach.SECOND_HOLD_USED,
                history,
                f"{payment.state}, knows {payment.bank.authorization or 'no hold'}",
                f"{hold.id}: {', '.join(capture.id for capture in captures)}",
            )


def _taken_and_returned(history: History, ledger: LedgerIndex) -> Iterator[Violation]:
    """Captures ≤ holds, refunds ≤ captures, in number and in money."""
    for hold in _own_holds(history, ledger):
        captures = ledger.captures_of(hold.id)
        if len(captures) > 1:
            ours = f"{history.payment.state}, knows {history.payment.bank.capture or 'no capture'}"
            yield _violation(Breach.CAPTURED_TWICE, history, ours, ", ".join(capture.id for capture in captures))
        for capture in captures:
            refunds = ledger.refunds_of(capture.id)
            if len(refunds) > 1:
                ours = f"{history.payment.state}, knows {history.payment.bank.refund or 'no refund'}"
                yield _violation(Breach.REFUNDED_TWICE, history, ours, ", ".join(refund.id for refund in refunds))
            held = (hold.amount_minor, hold.currency)
            taken: list[Capture | Refund] = [capture, *refunds]
            for effect in taken:
                if (effect.amount_minor, effect.currency) != held:
                    told = f"{effect.id}: {effect.amount_minor} {effect.currency}"
                    yield _violation(Breach.OTHER_AMOUNT, history, f"{hold.amount_minor} {hold.currency}", told)


def _misplaced(history: History, ledger: LedgerIndex) -> Iterator[Violation]:
    """Effects under our keys that are of another kind than the attempt, or have to do with another hold than ours."""
    ours = {hold.id for hold in _own_holds(history, ledger)} | {history.payment.bank.authorization}
    for attempt in history.attempts:
        for effect in ledger.effects_under(attempt.bank_key):
            if not isinstance(effect, EFFECT_OF.get(attempt.verb, ())) or _hold_of(effect, ledger) not in ours:
                told = f"{type(effect).__name__.lower()} {effect.id} of {_hold_of(effect, ledger) or 'an unknown hold'}"
                yield _violation(Breach.MISPLACED_EFFECT, history, f"{attempt.verb} under {attempt.bank_key}", told)


def _references(history: History, effects: list[Capture | Void | Refund]) -> Iterator[Violation]:
    """What was done has the reference that we know. Where we know none, a flag has to say so, which is I6's."""
    bank = history.payment.bank
    for effect in effects:
        match effect:
            case Capture():
                reference, verb = bank.capture, Verb.CAPTURE
            case Void():
                reference, verb = bank.void, Verb.VOID
            case Refund():
                reference, verb = bank.refund, Verb.REFUND
        if reference is not None and (effect.id != reference or effect.key not in _keys(history, verb)):
            yield _violation(Breach.OTHER_REFERENCE, history, reference, f"{effect.id} under {effect.key}")


def _own_holds(history: History, ledger: LedgerIndex) -> list[Hold]:
    return [hold for key in sorted(_keys(history, Verb.AUTHORIZE)) for hold in ledger.holds_under(key)]


def _keys(history: History, verb: Verb) -> set[str]:
    return {attempt.bank_key for attempt in history.attempts if attempt.verb == verb}


def _hold_of(effect: Effect, ledger: LedgerIndex) -> str | None:
    match effect:
        case Hold(id=hold_id) | Capture(hold_id=hold_id) | Void(hold_id=hold_id):
            return hold_id
        case Refund(capture_id=capture_id):
            capture = ledger.capture(capture_id)
            return None if capture is None else capture.hold_id


def _violation(breach: Breach, history: History, ours: str, bank: str) -> Violation:
    return Violation(breach, history.tenant_id, history.payment.id, ours, bank)
