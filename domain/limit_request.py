"""What partners may ask about a card's limits, checked: raw values come in, a request or all its problems come out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.answer import InputProblem, InvalidInput, LimitName
from domain.ids import IdKind, decode_id_of
from domain.money import CURRENCY, MAX_MINOR_UNITS, Money
from domain.request import Problems
from domain.spending import Spent
from domain.stored_card import CardLimits

FIELDS: Mapping[LimitName, str] = {  # of the input
    LimitName.PER_TRANSACTION: "perTransaction",
    LimitName.PER_DAY: "perDay",
    LimitName.PER_MONTH: "perMonth",
}


@dataclass(frozen=True, slots=True)
class RawLimit:
    """An amount as the client sent it."""

    minor_units: object
    currency: str


@dataclass(frozen=True, slots=True)
class SetCardLimits:
    """A checked wish: limits that are not in `changes` stay as they are, None takes one off.

    `card_id` is None when no card can have that id.
    """

    idempotency_key: str
    card_id: UUID | None
    changes: Mapping[LimitName, int | None]

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"card": str(self.card_id), "limits": {name.value: limit for name, limit in self.changes.items()}}


def parse_set_limits(
    idempotency_key: str, card_id: str, raw: Mapping[LimitName, RawLimit | None]
) -> SetCardLimits | InvalidInput:
    """The request, or each problem with its path."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    if not raw:
        problems.add(("input",), "It names no limit; give at least one, or null to take it off.")
    changes: dict[LimitName, int | None] = {}
    for name, limit in raw.items():
        path = ("input", FIELDS[name])
        if limit is None:
            changes[name] = None
            continue
        changes[name] = problems.minor_units((*path, "minorUnits"), limit.minor_units)
        if limit.currency != CURRENCY:
            problems.add((*path, "currency"), f"Only {CURRENCY} can be charged.")
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return SetCardLimits(key, decode_id_of(IdKind.CARD, card_id), changes)


def changed_limits(limits: CardLimits, changes: Mapping[LimitName, int | None]) -> CardLimits:
    """The limits after the change."""
    return CardLimits(
        changes.get(LimitName.PER_TRANSACTION, limits.per_transaction),
        changes.get(LimitName.PER_DAY, limits.per_day),
        changes.get(LimitName.PER_MONTH, limits.per_month),
    )


def below_what_is_spent(changes: Mapping[LimitName, int | None], spent: Spent) -> InvalidInput | None:
    """The new limits that are passed already, with what is spent; None when there is none. To stop a card at once, freeze it."""
    problems = []
    for name, used, when in (
        (LimitName.PER_DAY, spent.today, "today"),
        (LimitName.PER_MONTH, spent.this_month, "in this month"),
    ):
        limit = changes.get(name)
        if limit is not None and limit < used:
            message = (
                f"{Money(min(used, MAX_MINOR_UNITS)).formatted} is spent {when} already; give at least that, or freeze the card."
            )
            problems.append(InputProblem(("input", FIELDS[name], "minorUnits"), message))
    return InvalidInput(tuple(problems)) if problems else None
