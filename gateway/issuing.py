"""Cards that the bank issues. Each is on record before the bank is asked, with its id as the bank's key, so that asking can be repeated.

1. Transaction 1: the record, its idempotency key, and the audit log's entry.
2. The bank makes the card and tells its number, which is sealed. No transaction is open.
3. Transaction 2: the card, INACTIVE, with its history, number and event.

Whoever comes after a crash, a repetition or the worker's round, goes on at 2. Two may do so at once: under one key the bank makes one
card, and transaction 2 is done once. A number is shown by `reveal` alone, which asks the bank for it anew, because no CVV is kept.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from bank.answer import Unclarity, Unclear
from bank.breaker import BreakerState
from bank.issuing import CannotIssue, Details, Issued
from domain.answer import (
    BankUnavailable,
    IdempotencyInProgress,
    IdempotencyMismatch,
    IssuingUnavailable,
    LimitReached,
    NotFound,
    Refusal,
    UserNotUsable,
)
from domain.audit import UNKNOWN_ORIGIN, Origin, entry_of_request
from domain.backoff import backoff_s
from domain.card import CardSummary, brand_of
from domain.card_life import stepped
from domain.failpoint import Failpoint
from domain.fingerprint import fingerprint_of_change
from domain.ids import IdKind, encode_id
from domain.issuing import CARD_PATH, IssueCard, IssuedCard, RevealCard, why_not_revealed
from domain.stored_card import Card, CardKind, CardReason, CardState
from domain.user import UserState
from gateway.card_changes import CardChange, record_card_changes, record_new_card
from gateway.once import Asked, Document, Done, do_once
from gateway.parts import Parts
from gateway.telling import tell
from persistence.audit import record
from persistence.card_numbers import insert_card_number
from persistence.cards import get_cards, room_for_cards
from persistence.database import Database, Transaction
from persistence.issued_cards import (
    finish_issued_card,
    get_issued_card,
    give_issued_card_up,
    insert_issued_card,
    lock_issued_card,
    reveal_issued_card,
    take_due_issues,
    tenants_with_due_issues,
)
from persistence.remembered_answers import find_answer, give_key_up
from persistence.users import lock_user

ISSUE_EVERY_S = 5.0  # the worker's round: who waits for a card asks again by himself, too
TRIES = 4  # with 5 % independent failures 6·10⁻⁶ of all questions need more; the rest is the worker's
ASK_FOR_S = 8.0  # as long as a caller waits for a payment's outcome
RETRY_BASE_S, RETRY_CAP_S = 0.2, 2.0
ASK_AGAIN_AFTER = timedelta(seconds=30)  # longer than a request asks, so that the worker does not ask beside it
PAGE = 20  # cards of one partner and round: a second or two of the bank's
USER_PATH = ("input", "userId")
FORGOTTEN = bytes(32)  # the fingerprint of an erased user's card, as `forget_fingerprints` has it

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IssueAnswer:
    """The card as it is now."""

    card: Card
    replayed: bool


@dataclass(frozen=True, slots=True)
class RevealAnswer:
    """The card, and what is printed on it; `details` only from the request that shows it."""

    card: Card
    replayed: bool
    details: Details | None = field(default=None, repr=False)


class Issuing:
    """One of these for each mode in a process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def issue(self, tenant_id: UUID, request: IssueCard, origin: Origin = UNKNOWN_ORIGIN) -> IssueAnswer | Refusal:
        """A new virtual card of the bank's for a user. Raises DatabaseAway; then repeat with the same idempotency key."""
        asked = self._asked("issueCard", request.idempotency_key, request.content)
        async with self._parts.database.tenant(tenant_id) as tx:

            async def act() -> Document | Refusal:
                return await self._open(tx, tenant_id, request, origin)

            done = await do_once(tx, tenant_id, asked, self._parts.world.now(), act)
            if isinstance(done, Done) and not done.replayed:
                await self._log(tx, tenant_id, "card.issue_requested", UUID(done.answer["card"]), request.idempotency_key, origin)
        if not isinstance(done, Done):
            return done
        await self._parts.world.reach(Failpoint.CARD_ISSUE_COMMITTED)
        card_id = UUID(done.answer["card"])
        async with self._parts.database.tenant(tenant_id, promised=True) as tx:
            issued = await get_issued_card(tx, tenant_id, card_id)
        outcome = IssuingUnavailable() if issued is None else await self.bring_to_end(tenant_id, issued)
        return IssueAnswer(outcome, done.replayed) if isinstance(outcome, Card) else outcome

    async def bring_to_end(self, tenant_id: UUID, issued: IssuedCard) -> Card | IssuingUnavailable | IdempotencyInProgress:
        """Ask the bank for a card that is on record, and keep what it made; or give it up, where the bank can't."""
        if issued.reference is None:
            made = await self._ask(tenant_id, lambda: self._parts.bank.issue_card(issued.bank_key))
            if not isinstance(made, Issued):
                return await self._not_yet(tenant_id, issued, made)
            await self._parts.world.reach(Failpoint.CARD_ISSUED)
            details = await self._ask(tenant_id, lambda: self._parts.bank.card_details(made.reference))
            if not isinstance(details, Details):
                return await self._not_yet(tenant_id, issued, details)
            await self._keep(tenant_id, issued, made.reference, details)
        async with self._parts.database.tenant(tenant_id, promised=True) as tx:
            card = (await get_cards(tx, tenant_id, [issued.card_id])).get(issued.card_id)
        return card or IssuingUnavailable()  # given up in the same moment

    async def reveal(self, tenant_id: UUID, request: RevealCard, origin: Origin = UNKNOWN_ORIGIN) -> RevealAnswer | Refusal:
        """An issued card's number, CVV and expiry, once. Raises DatabaseAway; then repeat with the same idempotency key."""
        asked = self._asked("revealCard", request.idempotency_key, request.content)
        card_id = request.card_id
        if card_id is None:
            return NotFound(CARD_PATH, "card")
        async with self._parts.database.tenant(tenant_id) as tx:
            card = (await get_cards(tx, tenant_id, [card_id])).get(card_id)
            issued = await get_issued_card(tx, tenant_id, card_id)
            # Last: what has made it a revealed one meanwhile may have been this very request.
            known = await find_answer(tx, tenant_id, asked.idempotency_key)
        if card is None:
            return NotFound(CARD_PATH, "card")
        if known is not None:
            is_same = known.fingerprint == asked.fingerprint
            return RevealAnswer(card, replayed=True) if is_same else IdempotencyMismatch(asked.idempotency_key)
        if (refusal := why_not_revealed(card, issued)) is not None:
            return refusal
        assert issued is not None and issued.reference is not None, "an issued card was made by the bank"
        reference = issued.reference
        details = await self._ask(tenant_id, lambda: self._parts.bank.card_details(reference))
        if not isinstance(details, Details):
            return IssuingUnavailable() if isinstance(details, CannotIssue) else BankUnavailable()
        done = await self._note_revealed(tenant_id, card_id, asked, origin)
        if not isinstance(done, Done):
            return done
        return RevealAnswer(card, done.replayed, None if done.replayed else details)

    async def _note_revealed(self, tenant_id: UUID, card_id: UUID, asked: Asked, origin: Origin) -> Done | Refusal:
        """On record before the number leaves us: of two requests at once one shows it."""
        async with self._parts.database.tenant(tenant_id, promised=True) as tx:

            async def act() -> Document | Refusal:
                issued = await lock_issued_card(tx, tenant_id, card_id)
                card = (await get_cards(tx, tenant_id, [card_id]))[card_id]
                if (refusal := why_not_revealed(card, issued)) is not None:
                    return refusal
                await reveal_issued_card(tx, tenant_id, card_id, self._parts.world.now())
                return {"card": str(card_id)}

            done = await do_once(tx, tenant_id, asked, self._parts.world.now(), act)
            if isinstance(done, Done) and not done.replayed:
                await self._log(tx, tenant_id, "card.revealed", card_id, asked.idempotency_key, origin)
        return done

    async def _open(self, tx: Transaction, tenant_id: UUID, request: IssueCard, origin: Origin) -> Document | Refusal:
        user = await lock_user(tx, tenant_id, request.user_id) if request.user_id else None
        if user is None:
            return NotFound(USER_PATH, "user")
        if user.state is not UserState.ACTIVE:
            return UserNotUsable(USER_PATH, user.id, user.state, f"No card is issued for a user who is {user.state.value}.")
        limit, there_are = await room_for_cards(tx, tenant_id, user.id)
        if there_are >= limit:
            return LimitReached(limit, "open cards of this user, as many as there may be. Close one that is not used any more.")
        now = self._parts.world.now()
        opened = IssuedCard(
            card_id=self._parts.world.new_uuid(),
            user_id=user.id,
            opened_at=now,
            actor=origin.name,
            api_key_id=origin.api_key_id,
            idempotency_key=request.idempotency_key,
        )
        await insert_issued_card(tx, tenant_id, opened, ask_again_at=now + ASK_AGAIN_AFTER)
        return {"card": str(opened.card_id)}

    async def _ask(self, tenant_id: UUID, question: Callable[[], Awaitable[T]]) -> T | Unclear:
        """Ask the bank until the answer is clear, a few times. While the bank is away, or has no room, it is not asked.

        What comes of it does not count for the breaker: a bank that issues no cards today may take payments all the same.
        """
        world, deadline = self._parts.world, self._parts.world.now() + timedelta(seconds=ASK_FOR_S)
        answer: T | Unclear = Unclear(Unclarity.NOT_SENT, "not asked", may_have_acted=False)
        for number in range(1, TRIES + 1):
            left_s = (deadline - world.now()).total_seconds()
            if left_s <= 0 or self._parts.breaker.state(world.now()) is not BreakerState.CLOSED:
                break
            async with self._parts.bank_slots.slot(tenant_id, left_s) as has_slot:
                if has_slot:
                    answer = await question()
            if not isinstance(answer, Unclear) or number == TRIES:
                break
            await world.sleep(backoff_s(number, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, random=world.random()))
        return answer

    async def _keep(self, tenant_id: UUID, issued: IssuedCard, reference: str, details: Details) -> None:
        """Transaction 2, unless somebody else was faster. The CVV ends here."""
        vault, now = self._parts.vault, self._parts.world.now()
        sealed = await vault.seal_number(tenant_id, issued.card_id, details.number)
        card = Card(
            id=issued.card_id,
            user_id=issued.user_id,
            kind=CardKind.ISSUED,
            summary=CardSummary(brand_of(details.number), details.number[-4:]),
            expiry_month=details.expiry_month,
            expiry_year=details.expiry_year,
            state=CardState.INACTIVE,
            created_at=now,
            state_since=now,
        )
        origin = Origin(issued.api_key_id, issued.actor, "", "")
        async with self._parts.database.tenant(tenant_id, promised=True) as tx:
            user = await lock_user(tx, tenant_id, issued.user_id)
            assert user is not None, "no user is ever deleted"
            current = await lock_issued_card(tx, tenant_id, issued.card_id)
            if current is None or current.reference is not None:
                return
            await finish_issued_card(tx, tenant_id, issued.card_id, reference)
            if user.state is UserState.ERASED:  # meanwhile: the card is closed at once, and nothing of its number is kept
                happened = await record_new_card(tx, tenant_id, card, FORGOTTEN, origin)
                closed = stepped(card, CardState.CLOSED, CardReason.CUSTOMER_REQUEST, now)
                happened += await record_card_changes(tx, tenant_id, [CardChange(card, closed)], origin)
            else:
                happened = await record_new_card(tx, tenant_id, card, vault.fingerprint(tenant_id, details.number), origin)
                await insert_card_number(tx, tenant_id, card.id, sealed.sealed, key_version=sealed.key_version)
            await tell(tx, tenant_id, happened, self._parts.world, issued.idempotency_key)
            await self._parts.world.reach(Failpoint.CARD_ISSUE_WRITTEN)

    async def _not_yet(
        self, tenant_id: UUID, issued: IssuedCard, answer: CannotIssue | Unclear
    ) -> IssuingUnavailable | IdempotencyInProgress:
        """The bank has not made it, or does not tell: it is asked again, unless it can't."""
        if isinstance(answer, CannotIssue):
            return await self._give_up(tenant_id, issued)
        log.info("%s is still being issued: %s %s", issued.bank_key, answer.why, answer.detail)
        return IdempotencyInProgress(issued.idempotency_key)

    async def _give_up(self, tenant_id: UUID, issued: IssuedCard) -> IssuingUnavailable:
        """Nothing was made: the key is free again, and the user has room for another card."""
        origin = Origin(issued.api_key_id, issued.actor, "", "")
        async with self._parts.database.tenant(tenant_id, promised=True) as tx:
            if await give_issued_card_up(tx, tenant_id, issued.card_id):
                await give_key_up(tx, tenant_id, issued.idempotency_key)
                await self._log(tx, tenant_id, "card.issue_given_up", issued.card_id, issued.idempotency_key, origin)
        return IssuingUnavailable()

    def _asked(self, kind: str, idempotency_key: str, content: Document) -> Asked:
        return Asked(idempotency_key, kind, fingerprint_of_change(kind, content, self._parts.fingerprint_secret))

    async def _log(self, tx: Transaction, tenant_id: UUID, action: str, card_id: UUID, key: str, origin: Origin) -> None:
        """The audit log's entry. The last statement of its transaction."""
        world, subject = self._parts.world, encode_id(IdKind.CARD, card_id)
        entry = entry_of_request(world.new_uuid(), world.now(), origin, action, subject=subject, idempotency_key=key)
        await record(tx, tenant_id, [entry])


@dataclass(frozen=True, slots=True)
class IssuingRound:
    """The worker's round over cards that are still being issued. `watch` is a database with the worker's login."""

    parts: Parts
    watch: Database

    async def run_once(self) -> int:
        """Bring to their end what a crash or a silent bank has left, whatever partner's. Returns how many were looked at."""
        now, issuing, looked_at = self.parts.world.now(), Issuing(self.parts), 0
        async with self.watch.without_tenant() as tx:
            tenants = await tenants_with_due_issues(tx, now, self.parts.mode)
        for tenant_id in tenants:
            async with self.parts.database.tenant(tenant_id) as tx:
                due = await take_due_issues(tx, tenant_id, now=now, ask_again_at=now + ASK_AGAIN_AFTER, limit=PAGE)
            for issued in due:
                await issuing.bring_to_end(tenant_id, issued)
            looked_at += len(due)
        return looked_at
