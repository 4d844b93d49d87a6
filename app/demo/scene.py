"""A scene: a sentence, what is expected of it, and what was seen."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app.demo.bank_addresses import BankControl, BankLookups
from app.demo.shop import Answer, Done, Receipt, Refused, Shop
from domain.payment import DeclineCode, PaymentState

T = TypeVar("T")
INSUFFICIENT_FUNDS = DeclineCode.INSUFFICIENT_FUNDS.value


class CantGoOn(Exception):
    """An expectation failed that the rest of the scene rests on. It is noted already."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold."""

    what: str
    expected: str
    got: str

    @property
    def is_short_of_money(self) -> bool:
        """Whether the bank said no for lack of money where it was to say yes."""
        return INSUFFICIENT_FUNDS in self.got and INSUFFICIENT_FUNDS not in self.expected


@dataclass(frozen=True, slots=True)
class Grid:
    """A table for people."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Stage:
    """What the scenes are played with. Without a control address some things can't be shown."""

    shop: Shop
    control: BankControl | None
    lookups: BankLookups | None
    orders: int  # how many at once in the rush
    books_since: str  # effects at the bank from then on are ours to explain
    receipts_since: str  # with payments accepted from then on
    advance: Callable[[], None] = lambda: None  # one order of the rush has ended
    rush_s: float = 0.0  # how long all of them took
    operations: int = 0  # what the bank did for them
    lost_keys_before: int = 0  # when the play began
    lost_keys: int | None = None  # effects whose key the bank forgot


@dataclass(slots=True)
class Scene:
    """Collects what the play of one scene brought."""

    number: int
    title: str
    expected: str
    seen: list[str] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    held: int = 0  # expectations that did
    skipped: str | None = None
    elapsed_s: float = 0.0

    def saw(self, sentence: str) -> None:
        """Tell what happened."""
        self.seen.append(sentence)

    def show(self, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """Tell it as a table."""
        self.grids.append(Grid(columns, tuple(rows)))

    def expect(self, what: str, expected: object, got: object) -> bool:
        """Note whether it is as expected."""
        if expected == got:
            self.held += 1
        else:
            self.failures.append(Failure(what, str(expected), str(got)))
        return expected == got

    def need(self, what: str, expected: object, got: object) -> None:
        """The same, when nothing further makes sense without it."""
        if not self.expect(what, expected, got):
            raise CantGoOn

    def paid(self, what: str, answer: Answer, state: PaymentState) -> Receipt:
        """The receipt of an operation that was to lead to `state`."""
        if isinstance(answer, Done) and answer.receipt.state is state:
            self.held += 1
            return answer.receipt
        self.failures.append(Failure(what, state.value, told(answer)))
        raise CantGoOn

    def refused(self, what: str, answer: Answer, kind: str) -> Refused:
        """The refusal, of the kind that it was to be."""
        if isinstance(answer, Refused) and answer.kind == kind:
            self.held += 1
            return answer
        self.failures.append(Failure(what, kind, told(answer)))
        raise CantGoOn


@dataclass(frozen=True, slots=True)
class Script:
    """A scene before it is played."""

    number: int
    title: str
    expected: str
    play: Callable[[Scene, Stage], Awaitable[None]]


async def together(*parts: Awaitable[T]) -> list[T]:
    """All results, side by side. Nobody is left running when one of them fails; its error is raised at the end."""
    results = await asyncio.gather(*parts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def told(answer: Answer) -> str:
    """An answer in few words."""
    match answer:
        case Done(receipt) if receipt.decline is not None:
            return f"{receipt.state.value} ({receipt.decline[0]}: {receipt.decline[1]})"
        case Done(receipt):
            return receipt.state.value
        case Refused(kind=kind, message=message, current_state=None):
            return f"{kind}: {message}"
        case Refused(kind=kind, message=message, current_state=state):
            return f"{kind} in state {state}: {message}"
