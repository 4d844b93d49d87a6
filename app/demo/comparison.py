"""Our receipts against the bank's books, order by order and in both directions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.demo.shop import Receipt
from domain.ledger import Hold, Ledger, LedgerIndex, Void
from domain.payment import PaymentState, ReviewReason

# What the books must say of a hold, for each state that rests on one.
_HOLD_STATE = {
    PaymentState.AUTHORIZED: "active",
    PaymentState.CAPTURED: "captured",
    PaymentState.REFUNDED: "captured",
    PaymentState.VOIDED: "voided",
}
_TAKEN = frozenset({PaymentState.CAPTURED, PaymentState.REFUNDED})


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing that a receipt and the books say differently. `order_id` is empty for what no receipt knows."""

    order_id: str
    what: str
    receipt: str
    bank: str


@dataclass(slots=True)
class Comparison:
    """What was found. `second_holds` are those that receipts warn of: the bank made them, not we."""

    disagreements: list[Disagreement] = field(default_factory=list)
    unaccounted: list[Disagreement] = field(default_factory=list)
    second_holds: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # of which order

    @property
    def disagreeing_orders(self) -> set[str]:
        """The orders of which receipt and books say different things."""
        return {each.order_id for each in self.disagreements}


class Books:
    """A ledger, and which of its effects some receipt accounts for."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.index = LedgerIndex(ledger)
        self.known_holds: dict[str, str] = {}  # hold, and the order that accounts for it


def compare(receipts: Sequence[Receipt], others: Iterable[Receipt], ledger: Ledger) -> Comparison:
    """Judge each of `receipts`, each settled by now; `others` only account for effects, for they may be under way."""
    books, found = Books(ledger), Comparison()
    for receipt in receipts:
        _judge(receipt, books, found)
    judged = {receipt.id for receipt in receipts}
    rest = [other for other in others if other.id not in judged]
    for receipt in rest:
        if receipt.bank.authorization is not None:
            _know(receipt, receipt.bank.authorization, books)
    for receipt in (*receipts, *rest):
        _orphans(receipt, books, found)
    _unaccounted(books, found)
    return found


def _judge(receipt: Receipt, books: Books, found: Comparison) -> None:
    def differ(what: str, ours: object, banks: object) -> None:
        found.disagreements.append(Disagreement(receipt.order_id, what, _show(ours), _show(banks)))

    reference = receipt.bank.authorization
    if not receipt.is_settled:
        differ("is it settled", f"{receipt.state}, {receipt.pending} is pending", "-")
    if receipt.state in (PaymentState.DECLINED, PaymentState.PENDING):
        if reference is not None:
            differ("the hold of a payment without one", reference, reference if books.index.hold(reference) else "no such hold")
        return
    hold = books.index.hold(reference)
    if hold is None:
        differ("the hold", reference, "no such hold")
        return
    if hold.id in books.known_holds:
        differ("whose hold is it", receipt.order_id, f"also that of {books.known_holds[hold.id]}")
    _know(receipt, hold.id, books)
    if (hold.amount_minor, hold.currency) != (receipt.amount_minor, receipt.currency):
        differ("the hold's amount", _money(receipt), f"{hold.amount_minor} {hold.currency}")
    if hold.last_four != receipt.last_four:
        differ("the card", receipt.last_four, hold.last_four)
    if hold.state != (expected := _hold_state(receipt)):
        differ("the hold", f"{receipt.state}, so {expected}", hold.state)
    _judge_taken(receipt, hold, books, found)


def _judge_taken(receipt: Receipt, hold: Hold, books: Books, found: Comparison) -> None:
    """Capture, void and refund: as many as the state says, with the reference that the receipt shows, of the whole amount."""
    captures = books.index.captures_of(hold.id)
    refunds = [refund for capture in captures for refund in books.index.refunds_of(capture.id)]
    voids = books.index.voids_of(hold.id)
    taken, voided = receipt.state in _TAKEN, _hold_state(receipt) == "voided"
    bank, refunded = receipt.bank, receipt.state is PaymentState.REFUNDED
    for what, wanted, reference, lost, seen in (
        ("the capture", taken, bank.capture, ReviewReason.CAPTURE_REFERENCE_UNKNOWN, captures),
        ("the void", voided, bank.void, ReviewReason.VOID_REFERENCE_UNKNOWN, voids),
        ("the refund", refunded, bank.refund, ReviewReason.REFUND_REFERENCE_UNKNOWN, refunds),
    ):
        ids = [effect.id for effect in seen]
        is_lost = lost in receipt.review_reasons
        if not _agree(ids, wanted=wanted, reference=reference, is_lost=is_lost):
            ours = reference or (f"one{', its reference lost' if is_lost else ''}" if wanted else "none")
            found.disagreements.append(Disagreement(receipt.order_id, what, ours, ", ".join(ids) or "none"))
        found.disagreements += [
            Disagreement(receipt.order_id, f"{what}'s amount", _money(receipt), str(effect.amount_minor))
            for effect in seen
            if not isinstance(effect, Void) and effect.amount_minor != receipt.amount_minor
        ]


def _agree(ids: list[str], *, wanted: bool, reference: str | None, is_lost: bool) -> bool:
    """Whether the effects at the bank are those that the receipt tells of."""
    if not wanted:
        return not ids and reference is None
    if reference is None:
        return is_lost and len(ids) == 1
    return ids == [reference]


def _know(receipt: Receipt, hold_id: str, books: Books) -> None:
    books.known_holds.setdefault(hold_id, receipt.order_id)


def _orphans(receipt: Receipt, books: Books, found: Comparison) -> None:
    """Second holds that the receipt warns of: the bank did the work twice because our connection ended too early."""
    if ReviewReason.POSSIBLE_ORPHAN_HOLD not in receipt.review_reasons:
        return
    known = books.index.hold(receipt.bank.authorization)
    if known is not None:
        seconds = books.index.holds_under(known.key)
    else:  # declined in the end: an earlier try may have left a hold, and only its looks tell whose it is
        looks = (receipt.amount_minor, receipt.last_four)
        seconds = [hold for hold in books.ledger.holds if (hold.amount_minor, hold.last_four) == looks]
    for hold in seconds:
        if hold.id not in books.known_holds and hold.state == "active":
            _know(receipt, hold.id, books)
            found.second_holds[receipt.order_id].append(hold.id)


def _unaccounted(books: Books, found: Comparison) -> None:
    """Holds that no receipt knows. What was done to holds of before this stretch of the books is not ours to judge."""
    for hold in books.ledger.holds:
        if hold.id in books.known_holds:
            continue
        told = f"{hold.id}, {hold.amount_minor} {hold.currency}, {hold.state}"
        twins = [books.known_holds[twin.id] for twin in books.index.holds_under(hold.key) if twin.id in books.known_holds]
        if twins:
            found.disagreements.append(Disagreement(twins[0], "a second hold, and no flag warns of it", "none", told))
        else:
            found.unaccounted.append(Disagreement("", "a hold that no receipt knows", "none", told))


def _hold_state(receipt: Receipt) -> str:
    if receipt.state is PaymentState.EXPIRED:
        return "voided" if receipt.is_released else "active"
    return _HOLD_STATE[receipt.state]


def _money(receipt: Receipt) -> str:
    return f"{receipt.amount_minor} {receipt.currency}"


def _show(value: object) -> str:
    return "none" if value is None else str(value)
