"""What is spent with a card, and what may be.

A payment counts from the moment it is accepted, PENDING, until it is DECLINED, VOIDED, EXPIRED or REFUNDED: those give back what they had
taken, on the day and in the month in which they were accepted. Nothing is counted up or down: what is spent is the sum of the live
payments, so that it can't drift from them. Days and months are UTC's.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.answer import CardLimitExceeded, LimitName
from domain.stored_card import CardLimits


class Period(StrEnum):
    """Over what spending is added up."""

    DAY = "DAY"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True)
class Spent:
    """With one card, in minor units, today and in this month."""

    today: int = 0
    this_month: int = 0

    def and_also(self, amount_minor: int) -> "Spent":
        """After another payment of this moment."""
        return Spent(self.today + amount_minor, self.this_month + amount_minor)


NOTHING_SPENT = Spent()


def begin_of(period: Period, now: datetime) -> datetime:
    """When the period that `now` is in began."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if period is Period.DAY else midnight.replace(day=1)


def end_of(period: Period, now: datetime) -> datetime:
    """When the next one begins."""
    begin = begin_of(period, now)
    if period is Period.DAY:
        return begin + timedelta(days=1)
    return (begin + timedelta(days=31)).replace(day=1)


def exceeded_limit(card_id: UUID, limits: CardLimits, spent: Spent, amount_minor: int, now: datetime) -> CardLimitExceeded | None:
    """The limit that a payment of this amount would pass, the one for the shortest time first; None when it keeps all of them."""
    if limits.per_transaction is not None and amount_minor > limits.per_transaction:
        return CardLimitExceeded(card_id, LimitName.PER_TRANSACTION, limits.per_transaction, limits.per_transaction, None)
    for name, limit, used, period in (
        (LimitName.PER_DAY, limits.per_day, spent.today, Period.DAY),
        (LimitName.PER_MONTH, limits.per_month, spent.this_month, Period.MONTH),
    ):
        if limit is not None and used + amount_minor > limit:
            return CardLimitExceeded(card_id, name, limit, max(limit - used, 0), end_of(period, now))
    return None
