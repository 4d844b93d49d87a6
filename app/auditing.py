"""Checks the chains of the audit log, tenant by tenant and page by page, and reads the log for staff."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from app.settings import OwnerSettings
from app.staff_records import first_of, records, tenants_of
from domain.audit import Logged
from domain.audit_chain import NO_HEAD, Break, break_at_the_head, first_break
from domain.ids import IdKind, decode_id_of
from persistence.audit_chains import PAGE, head_of_chain, page_of_links, page_of_log
from persistence.database import Database, Transaction
from persistence.verification import at_one_moment


@dataclass(frozen=True, slots=True)
class Chain:
    """What came of checking a tenant's chain: how many entries hold, and the first place where it does not."""

    tenant_id: UUID
    entries: int
    broken: Break | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """An entry, and in whose log."""

    tenant_id: UUID
    logged: Logged


async def verify_audit(
    settings: OwnerSettings, *, partner: str | None, on_page: Callable[[int], None] = lambda _: None
) -> list[Chain] | None:
    """Check the chains of one tenant or of all. `on_page` hears how far in a log it is. None: there is no such partner."""
    chains: list[Chain] = []
    async with records(settings) as database:
        tenants = await tenants_of(database, partner)
        if tenants is None:
            return None
        for tenant_id in tenants:
            chains.append(await check_chain(database, tenant_id, on_page))
    return chains


async def check_chain(database: Database, tenant_id: UUID, on_page: Callable[[int], None] = lambda _: None) -> Chain:
    """Follow one chain from its beginning to its end. Entries that are added meanwhile are checked or left out, never misjudged:
    the last page and the end are of one moment.
    """
    end = NO_HEAD
    while True:
        async with database.tenant(tenant_id) as tx:
            await at_one_moment(tx)
            page = await page_of_links(tx, tenant_id, end.sequence, PAGE)
            head = await head_of_chain(tx, tenant_id)
        end, broken = first_break(tenant_id, end, page)
        on_page(end.sequence)
        if broken is None and len(page) < PAGE:
            broken = break_at_the_head(end, head)
        if broken is not None or len(page) < PAGE:
            return Chain(tenant_id, end.sequence, broken)


async def read_audit(settings: OwnerSettings, *, partner: str | None, subject: str | None, limit: int) -> list[LogLine] | None:
    """What was done, by keys, operators and the reconciliation, the newest first. None: there is no such partner."""
    payment_id = None if subject is None else decode_id_of(IdKind.PAYMENT, subject)

    async def of(tx: Transaction, tenant_id: UUID) -> list[Logged]:
        only = None if payment_id else subject
        return await page_of_log(tx, tenant_id, payment_id=payment_id, subject=only, before=None, limit=limit)

    async with records(settings) as database:
        tenants = await tenants_of(database, partner)
        if tenants is None:
            return None
        found = await first_of(database, tenants, of, order=lambda each: (each.entry.at, each.entry.id), limit=limit, newest=True)
    return [LogLine(*each) for each in found]
