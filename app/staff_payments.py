"""What the platform's staff does with payments that need a human, with the owner's login: find them, look into them, settle them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.settings import OwnerSettings
from app.staff_entries import operator
from app.staff_records import first_of, records, tenants_of
from domain.audit import AuditEntry
from domain.dossier import Dossier
from domain.ids import IdKind, decode_id_of
from domain.payment import ReviewReason, Standing
from domain.settlement import Settlement
from gateway.parts import Desk
from gateway.settlement import Answer, BeingAsked, Word, settle_payment
from gateway.world import World
from persistence.audit import newest_entries
from persistence.database import Transaction
from persistence.dossiers import get_dossier
from persistence.reviews import oldest_reviews
from persistence.verification import at_one_moment

PATIENCE_S = 120.0  # somebody who asks the bank rests after six tries of at most 14 seconds each
LOOK_EVERY_S = 0.5  # a rest may be short


@dataclass(frozen=True, slots=True)
class Review:
    """A payment that needs review, and whose it is."""

    tenant_id: UUID
    standing: Standing


@dataclass(frozen=True, slots=True)
class Reviews:
    """The oldest ones; `more`: there are others behind them."""

    found: list[Review]
    more: bool


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the audit log, and in whose."""

    tenant_id: UUID
    entry: AuditEntry


class Silence:
    """A command for staff has no Redis. Who waits for an outcome looks by itself, every two seconds at the latest."""

    def announce(self, attempt_ids: list[UUID]) -> None:
        """Tells nobody."""


async def list_reviews(
    settings: OwnerSettings, world: World, *, partner: str | None, reason: ReviewReason | None, older_than: timedelta, limit: int
) -> Reviews | None:
    """The payments that need review, of one partner or of all, the oldest first. None: there is no such partner."""
    before = world.now() - older_than if older_than else None

    async def of(tx: Transaction, tenant_id: UUID) -> list[Standing]:
        return await oldest_reviews(tx, tenant_id, reason=reason, before=before, limit=limit + 1)

    async with records(settings) as database:
        tenants = await tenants_of(database, partner)
        if tenants is None:
            return None
        found = await first_of(database, tenants, of, order=_age, limit=limit + 1)
    return Reviews([Review(*each) for each in found[:limit]], more=len(found) > limit)


def _age(standing: Standing) -> tuple[datetime, UUID]:
    return standing.payment.created_at, standing.payment.id


async def read_dossier(settings: OwnerSettings, partner: str | None, payment: str) -> Dossier | None:
    """All that is on record of a payment, wherever it is found. None: nobody has it, or that partner has not."""
    payment_id = decode_id_of(IdKind.PAYMENT, payment)
    if payment_id is None:
        return None
    async with records(settings) as database:
        for tenant_id in await tenants_of(database, partner) or []:
            async with database.tenant(tenant_id) as tx:
                await at_one_moment(tx)
                dossier = await get_dossier(tx, tenant_id, payment_id)
            if dossier is not None:
                return dossier
    return None


async def settle(
    settings: OwnerSettings,
    world: World,
    partner: str,
    payment: str,
    word: Word,
    *,
    dry_run: bool = False,
    on_wait: Callable[[datetime], None] = lambda _: None,
) -> Answer:
    """Write an operator's word, as soon as nobody asks the bank for the payment. None: that partner has no such payment.

    BeingAsked: somebody still asked after PATIENCE_S. `on_wait` is told once, with the time until which they may ask.
    """
    tenant_id, payment_id = decode_id_of(IdKind.PARTNER, partner), decode_id_of(IdKind.PAYMENT, payment)
    if tenant_id is None or payment_id is None:
        return None
    patience = world.now() + timedelta(seconds=PATIENCE_S)
    async with records(settings) as database:
        desk = Desk(database=database, world=world, wakeups=Silence())
        answer = await settle_payment(desk, tenant_id, payment_id, word, dry_run=dry_run)
        if isinstance(answer, BeingAsked):
            on_wait(answer.until)
        while isinstance(answer, BeingAsked) and world.now() < patience:
            await world.sleep(LOOK_EVERY_S)
            answer = await settle_payment(desk, tenant_id, payment_id, word, dry_run=dry_run)
    return answer


async def read_log(settings: OwnerSettings, *, partner: str | None, payment: str | None, limit: int) -> list[LogEntry] | None:
    """What operators and the reconciliation did, the newest first. None: there is no such partner, or that is no payment's id."""
    payment_id = None if payment is None else decode_id_of(IdKind.PAYMENT, payment)
    if payment is not None and payment_id is None:
        return None

    async def of(tx: Transaction, tenant_id: UUID) -> list[AuditEntry]:
        return await newest_entries(tx, tenant_id, payment_id=payment_id, limit=limit)

    async with records(settings) as database:
        tenants = await tenants_of(database, partner)
        if tenants is None:
            return None
        found = await first_of(database, tenants, of, order=lambda each: (each.at, each.id), limit=limit, newest=True)
    return [LogEntry(*each) for each in found]


def word_of(settlement: Settlement, by: str, note: str) -> Word:
    """What an operator says, with the login of this machine beside the name that was given: the one is a claim, the other is not."""
    return Word(settlement, operator(by), note)
