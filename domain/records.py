"""What our books say, as they say it: for the checker, which must be able to look at rows that ought not to exist.

States, verbs and reasons are text here, not the enumerations of the other modules: whatever stands in a column can be held, and
is judged instead of raising an error. The enumerations are texts too, so both compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from domain.ids import IdKind, encode_id
from domain.payment import BankReferences

MAX_GAPS = 50  # gaps that are named; a sequence with more of them is not mended by hand


@lru_cache(maxsize=64)  # a payment's few attempts are asked for their keys by one rule after the other
def _bank_key(attempt_id: UUID) -> str:
    return encode_id(IdKind.ATTEMPT, attempt_id)


@dataclass(frozen=True, slots=True)
class Terms:
    """What never changes in a payment's life. None where a stored document does not tell."""

    order_id: str | None
    customer_id: str | None
    amount_minor: int | None
    currency: str | None
    card_brand: str | None
    card_last_four: str | None

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} on {self.card_brand} …{self.card_last_four} for {self.order_id} of {self.customer_id}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A payment as a stored document tells of it: an attempt's resolution, an event."""

    state: str | None
    terms: Terms
    bank: BankReferences


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """A payment's row. `reached` has the time of each state that it has been in."""

    id: UUID
    terms: Terms
    state: str
    reached: Mapping[str, datetime]
    bank: BankReferences
    review_reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """An attempt's row. Whether it keeps a card is all that a checker needs to know of the card."""

    id: UUID
    verb: str
    opened_at: datetime
    tries: int
    unanswered: int
    closed_at: datetime | None = None
    resolution: Snapshot | None = None
    keeps_card: bool = False

    @property
    def bank_key(self) -> str:
        """The Idempotency-Key at the bank."""
        return _bank_key(self.id)

    @property
    def is_open(self) -> bool:
        """Whether its outcome is awaited."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """An event's row."""

    sequence: int
    type: str
    occurred_at: datetime
    previous_state: str | None
    payment: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that our books say about one payment at one moment; events in the order of their numbers.

    `settled`: reasons for review that the audit log says were taken off. They excuse what they excused before.
    """

    tenant_id: UUID
    payment: PaymentRecord
    attempts: tuple[AttemptRecord, ...] = ()
    events: tuple[EventRecord, ...] = ()
    settled: frozenset[str] = frozenset()
    forgotten_until: datetime | None = None  # of the partner's events that have gone with their age, the latest was of this time

    @property
    def forgotten(self) -> frozenset[str]:
        """States reached whose events have gone: old ones, of which there is none any more."""
        if self.forgotten_until is None:
            return frozenset()
        told = {event.payment.state for event in self.events}
        return frozenset(state for state, at in self.payment.reached.items() if at <= self.forgotten_until and state not in told)

    @property
    def open_attempts(self) -> tuple[AttemptRecord, ...]:
        """What is under way; there ought to be one at most."""
        return tuple(each for each in self.attempts if each.is_open)

    def is_excused(self, reason: str) -> bool:
        """Whether the payment is flagged with this reason for review, or was until somebody answered for it."""
        return reason in self.payment.review_reasons or reason in self.settled


@dataclass(frozen=True, slots=True)
class EventNumbers:
    """The numbers of a partner's events, folded page by page. `gaps`: the first of them, each from its first to its last number."""

    count: int = 0
    highest: int = 0
    gaps: tuple[tuple[int, int], ...] = ()

    def behind(self, forgotten: int) -> "EventNumbers":
        """The same where events up to this number have gone with their age: that is no gap."""
        return replace(self, highest=max(self.highest, forgotten))

    def then(self, numbers: Sequence[int]) -> "EventNumbers":
        """With a further page, in ascending order."""
        gaps, highest = list(self.gaps), self.highest
        for number in numbers:
            if number != highest + 1 and len(gaps) < MAX_GAPS:
                gaps.append((highest + 1, number - 1) if number > highest else (number, number))
            highest = number
        return replace(self, count=self.count + len(numbers), highest=highest, gaps=tuple(gaps))
