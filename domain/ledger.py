"""What the bank did, as its own books tell it: each effect with the idempotency key that caused it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """Money held on a card. `state` is active, captured or voided: the truth that the bank's API hides (contract §2)."""

    id: str
    amount_minor: int
    currency: str
    last_four: str
    state: str
    key: str


@dataclass(frozen=True, slots=True)
class Capture:
    """Held money taken. `is_refunded` once it was paid back."""

    id: str
    hold_id: str
    amount_minor: int
    currency: str
    is_refunded: bool
    key: str


@dataclass(frozen=True, slots=True)
class Void:
    """A hold given up."""

    id: str
    hold_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Refund:
    """Captured money paid back."""

    id: str
    capture_id: str
    amount_minor: int
    currency: str
    key: str


Effect = Hold | Capture | Void | Refund


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every effect of a stretch of time. `lost_keys` counts effects whose key the bank did not keep (contract §7.1).

    `unreadable` says of each entry that could not be understood where it is and what is wrong with it.
    """

    holds: tuple[Hold, ...] = ()
    captures: tuple[Capture, ...] = ()
    voids: tuple[Void, ...] = ()
    refunds: tuple[Refund, ...] = ()
    lost_keys: int = 0
    unreadable: tuple[str, ...] = ()

    @property
    def effects(self) -> Iterator[Effect]:
        """All of them, holds first."""
        yield from self.holds
        yield from self.captures
        yield from self.voids
        yield from self.refunds


class LedgerIndex:
    """A ledger that answers questions. Built once: a look-up costs the same however long the ledger is."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.keys: frozenset[str] = frozenset(effect.key for effect in ledger.effects)
        self._holds = {hold.id: hold for hold in reversed(ledger.holds)}  # of two with one id the first
        self._captures = {capture.id: capture for capture in reversed(ledger.captures)}
        self._under: dict[str, list[Effect]] = defaultdict(list)
        self._captures_of: dict[str, list[Capture]] = defaultdict(list)
        self._voids_of: dict[str, list[Void]] = defaultdict(list)
        self._refunds_of: dict[str, list[Refund]] = defaultdict(list)
        for effect in ledger.effects:
            self._under[effect.key].append(effect)
        for capture in ledger.captures:
            self._captures_of[capture.hold_id].append(capture)
        for void in ledger.voids:
            self._voids_of[void.hold_id].append(void)
        for refund in ledger.refunds:
            self._refunds_of[refund.capture_id].append(refund)

    def hold(self, hold_id: str | None) -> Hold | None:
        """The hold with this id."""
        return None if hold_id is None else self._holds.get(hold_id)

    def capture(self, capture_id: str) -> Capture | None:
        """The capture with this id."""
        return self._captures.get(capture_id)

    def effects_under(self, key: str) -> Sequence[Effect]:
        """Whatever was done under an idempotency key."""
        return self._under.get(key, ())

    def holds_under(self, key: str) -> list[Hold]:
        """The holds that were made under an idempotency key."""
        return [effect for effect in self.effects_under(key) if isinstance(effect, Hold)]

    def captures_of(self, hold_id: str) -> Sequence[Capture]:
        """What was taken from a hold."""
        return self._captures_of.get(hold_id, ())

    def voids_of(self, hold_id: str) -> Sequence[Void]:
        """How often a hold was given up."""
        return self._voids_of.get(hold_id, ())

    def refunds_of(self, capture_id: str) -> Sequence[Refund]:
        """What was paid back of a capture."""
        return self._refunds_of.get(capture_id, ())
