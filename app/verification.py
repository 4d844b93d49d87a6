"""The checker: reads all of our books page by page, asks the rules of `domain/invariants.py`, and adds up what they say.

While the system runs, the two books are never at the same moment. So the bank's ledger is read first: whatever it shows under a
key of ours, its attempt was committed before the bank was asked, and is found in ours. What else looks wrong is *contested*: the
payment may have moved between the two looks. It is judged by a newer ledger that was read between two equal looks at our row: a
payment that did not change on both sides of the ledger did not change beside it.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from bank.ledger import read_ledger
from domain.invariants import AGAINST_THE_BANK, OUR_KEYS, judge, unknown_keys, unreadable_entries
from domain.ledger import LedgerIndex
from domain.own_books import missing_acknowledged, numbers_are_gapless
from domain.partner import Mode
from domain.payment import ReviewReason
from domain.records import EventNumbers, History
from domain.settlement import STUCK
from domain.violation import OPEN_BOUND_S, Checked, Circumstances, Invariant, Violation
from gateway.world import World
from persistence.database import Database, DatabaseAway
from persistence.partners import partner_ids
from persistence.verification import (
    BEGINNING,
    NUMBERS_PAGE,
    PAGE,
    at_one_moment,
    count_unsettled_attempts,
    get_histories,
    page_of_event_numbers,
    page_of_histories,
)

MAX_KEPT = 1000  # violations that are kept in full; all are counted
MAX_CONTESTED = 5000  # payments that wait for a second look, some 25 MB; then they get it
LOOKS = 5  # at a payment that moves each time; thereafter it is told as moving, and not judged
WAIT_STEP_S = 0.5  # between two looks at what is open

Documents = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Verification:
    """What was checked, and what was found."""

    has_ledger: bool
    bank_is_ours: bool
    has_acknowledged: bool
    partners: int = 0
    payments: int = 0
    under_way: int = 0  # payments with an open attempt that ends without an operator
    resting: int = 0  # payments with one that only an operator can settle
    moving: int = 0  # payments that changed at each look, so that they could not be compared
    disputed: int = 0  # payments that are flagged BANK_DISAGREES, or were: nothing to compare
    strangers: int = 0  # effects of the ledger under keys that are not of this gateway's kind
    unclaimed: int = 0  # keys of this gateway's kind without an attempt, where the bank is not ours alone
    checked: Counter[Invariant] = field(default_factory=Counter)
    broken: Counter[Invariant] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)  # the first MAX_KEPT
    flags: Counter[str] = field(default_factory=Counter)

    @property
    def is_right(self) -> bool:
        """Whether nothing was found. What could not be checked is in `not_checked`."""
        return not self.broken

    @property
    def not_checked(self) -> list[str]:
        """What this verification does not know, in sentences."""
        said = [
            (not self.has_ledger, "I1, I5: no ledger was given, so nothing was compared with the bank."),
            (
                self.has_ledger and not self.bank_is_ours,
                "I1: whether the bank did what nobody asked for. Keys of its ledger that may be another partner's or another "
                f"installation's: {self.unclaimed}.",
            ),
            (self.moving > 0, f"I1, I5: payments that changed each time they were looked at: {self.moving}."),
            (
                self.disputed > 0,
                f"I5: payments with the flag {ReviewReason.BANK_DISAGREES}, which an operator has to compare: {self.disputed}.",
            ),
            (not self.has_acknowledged, "I2: nobody said what was acknowledged."),
            (True, "I8 (partners kept apart), and I9 in logs, answers and dumps: that is for tests; a database can't tell."),
        ]
        return [sentence for applies, sentence in said if applies]

    def add(self, invariant: Invariant, checked: Checked) -> None:
        """Count what a rule says."""
        self.checked[invariant] += checked.count
        if checked.violations:
            self.broken[invariant] += len(checked.violations)
            self.violations += checked.violations[: MAX_KEPT - len(self.violations)]


async def verify(
    database: Database,
    ledger_document: object | None,
    *,
    now: datetime,
    tenants: Sequence[UUID] | None = None,
    mode: Mode = Mode.LIVE,
    acknowledged: Mapping[UUID, frozenset[str]] | None = None,
    open_bound_s: float = OPEN_BOUND_S,
    bank_is_ours: bool = True,
    look_again: Documents | None = None,
    on_page: Callable[[int], None] = lambda _: None,
) -> Verification:
    """Compare our books with themselves and with the bank's ledger, as the mock's control address shows it.

    All tenants of a mode are checked, since each mode has a bank of its own, or those of `tenants`. `database` has the owner's login;
    with `tenants` named the API's will do. The document was read before this is called; None
    checks our own books only. `look_again` reads it anew: without it the system has to be at rest, for whatever looks wrong is
    taken for wrong. `bank_is_ours`: every key in the ledger that looks like ours has to be that of an attempt of these tenants.
    `acknowledged` maps ids of payments to states that were acknowledged. `on_page` hears how many payments were looked at.
    Raises DatabaseAway, and `bank.ledger.NotALedger`; what `look_again` raises passes.
    """
    ledger = None if ledger_document is None else LedgerIndex(read_ledger(ledger_document))
    del ledger_document  # as large as the index; whoever called may have kept none
    given = Circumstances(now=now, open_bound_s=open_bound_s, ledger=ledger, acknowledged=acknowledged or {})
    result = Verification(ledger is not None, bank_is_ours, acknowledged is not None)
    check = _Check(database, given, result, look_again)
    async for tenant_id in _tenants(database, tenants, mode):
        result.partners += 1
        async for histories in _pages(database, tenant_id):
            await check.take(histories)
            on_page(result.payments)
        result.add(Invariant.I7, await _numbers(database, tenant_id))
    await check.end()
    return result


async def wait_until_settled(
    database: Database, world: World, *, wait_s: float, tenants: Sequence[UUID] | None = None, mode: Mode = Mode.LIVE
) -> int:
    """Wait up to `wait_s` seconds until no attempt is open that ends by itself; returns how many still are.

    A database that is away may come back meanwhile. Raises DatabaseAway when it has not in the end.
    """
    until = world.now() + timedelta(seconds=wait_s)
    while True:
        try:
            left = 0
            async for tenant_id in _tenants(database, tenants, mode):
                async with database.tenant(tenant_id) as tx:
                    left += await count_unsettled_attempts(tx, tenant_id)
            if not left or world.now() >= until:
                return left
        except DatabaseAway:
            if world.now() >= until:
                raise
        await world.sleep(WAIT_STEP_S)


class _Check:
    """One run over all payments."""

    def __init__(self, database: Database, given: Circumstances, result: Verification, look_again: Documents | None) -> None:
        self._database = database
        self._given = given
        self._result = result
        self._look_again = look_again
        self._contested: list[History] = []
        self._claimed: set[str] = set()
        self._seen: set[UUID] = set()

    async def take(self, histories: Sequence[History]) -> None:
        """Judge a page."""
        for history in histories:
            self._count(history)
            judgement = judge(history, self._given)
            is_contested = any(judgement[each].violations for each in AGAINST_THE_BANK) and self._look_again is not None
            for invariant, checked in judgement.items():
                if not (is_contested and invariant in AGAINST_THE_BANK):
                    self._result.add(invariant, checked)
            if is_contested:
                self._contested.append(history)
        if len(self._contested) >= MAX_CONTESTED:
            await self._settle()

    async def end(self) -> None:
        """Judge what needs all payments to have been seen."""
        result, given = self._result, self._given
        await self._settle()
        result.add(Invariant.I2, missing_acknowledged(given.acknowledged, self._seen))
        if given.ledger is None:
            return
        ledger = given.ledger.ledger
        result.add(Invariant.I1, unreadable_entries(ledger))
        result.strangers = sum(not effect.key.startswith(OUR_KEYS) for effect in ledger.effects)
        nobodys = unknown_keys(given.ledger, self._claimed)
        if result.bank_is_ours:
            result.add(Invariant.I1, nobodys)
        else:
            result.unclaimed = len(nobodys.violations)

    def _count(self, history: History) -> None:
        result, payment = self._result, history.payment
        result.payments += 1
        result.flags.update(payment.review_reasons)
        if history.open_attempts:
            is_resting = bool(STUCK & payment.review_reasons)
            result.resting += is_resting
            result.under_way += not is_resting
        if payment.id in self._given.acknowledged:
            self._seen.add(payment.id)
        if self._given.ledger is not None:
            result.disputed += history.is_excused(ReviewReason.BANK_DISAGREES)
            self._claimed.update(self._given.ledger.keys.intersection(each.bank_key for each in history.attempts))

    async def _settle(self) -> None:
        """Look again at what is contested, until it has stood still beside a ledger."""
        for _ in range(LOOKS):
            if not self._contested or self._look_again is None:
                return
            given = replace(self._given, ledger=LedgerIndex(read_ledger(await self._look_again())))
            moved: list[History] = []
            for before, after in await self._read_again(self._contested):
                if after == before:
                    judgement = judge(after, given)
                    for invariant in AGAINST_THE_BANK:
                        self._result.add(invariant, judgement[invariant])
                else:
                    moved.append(after)
            self._contested = moved
        self._result.moving += len(self._contested)
        self._contested = []

    async def _read_again(self, contested: Sequence[History]) -> list[tuple[History, History]]:
        """Each of these as it was, and as it is now. One that is gone stays as it was: rows are never deleted."""
        by_tenant: dict[UUID, list[History]] = defaultdict(list)
        for history in contested:
            by_tenant[history.tenant_id].append(history)
        pairs = []
        for tenant_id, histories in by_tenant.items():
            for start in range(0, len(histories), PAGE):
                page = histories[start : start + PAGE]
                async with self._database.tenant(tenant_id) as tx:
                    await at_one_moment(tx)
                    now = await get_histories(tx, tenant_id, [each.payment.id for each in page])
                pairs += [(each, now.get(each.payment.id, each)) for each in page]
        return pairs


async def _tenants(database: Database, tenants: Sequence[UUID] | None, mode: Mode) -> AsyncIterator[UUID]:
    if tenants is not None:
        for tenant_id in tenants:
            yield tenant_id
        return
    after: UUID | None = None
    while True:
        async with database.without_tenant() as tx:
            page = await partner_ids(tx, after, mode)
        if not page:
            return
        for tenant_id in page:
            yield tenant_id
        after = page[-1]


async def _pages(database: Database, tenant_id: UUID) -> AsyncIterator[list[History]]:
    after: UUID = BEGINNING
    while True:
        async with database.tenant(tenant_id) as tx:
            await at_one_moment(tx)
            page = await page_of_histories(tx, tenant_id, after, PAGE)
        yield page
        if len(page) < PAGE:
            return
        after = page[-1].payment.id


async def _numbers(database: Database, tenant_id: UUID) -> Checked:
    """Events are numbered in the order of their commits, so pages that are read one after the other show no gap that is none.

    The counter is compared with the last page only: both are of one moment.
    """
    numbers = EventNumbers()
    while True:
        async with database.tenant(tenant_id) as tx:
            await at_one_moment(tx)
            page, counter, forgotten = await page_of_event_numbers(tx, tenant_id, numbers.highest, NUMBERS_PAGE)
        numbers = numbers.behind(forgotten).then(page)
        if len(page) < NUMBERS_PAGE:
            return numbers_are_gapless(tenant_id, numbers, counter)
