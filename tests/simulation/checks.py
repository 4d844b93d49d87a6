"""What must be true in the end: the invariants, by the project's own checker, and what only a simulation can know beyond them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.verification import verify
from bank.mock.ledger_report import ledger_report
from domain.payment import Payment, ReviewReason
from persistence.payments import COLUMNS, payment_of
from tests.simulation.bank_line import Line
from tests.simulation.scene import Scene

Wrong = dict[UUID | None, list[str]]  # by payment; None for what belongs to none


async def read_payments(scene: Scene, tenants: Sequence[UUID]) -> dict[UUID, Payment]:
    """All payments of these partners."""
    async with scene.owner.without_tenant() as tx:
        rows = await tx.execute(
            text(f"select {COLUMNS} from payments where tenant_id = any(:tenants)"), {"tenants": list(tenants)}
        )
        return {row.id: payment_of(row) for row in rows}


async def look_for_wrong(
    scene: Scene,
    line: Line,
    tenants: Sequence[UUID],
    acknowledged: Mapping[UUID, frozenset[str]],
    payments: Mapping[UUID, Payment],
    *,
    open_bound_s: float = 0.0,
) -> Wrong:
    """Compare everything with everything, at rest: nothing is open, or nothing for longer than a bound."""
    found: Wrong = defaultdict(list)
    document = ledger_report(line.bank.books.ledger.state, "", None)
    now = line.stage.now()
    checked = await verify(scene.owner, document, now=now, tenants=tenants, acknowledged=acknowledged, open_bound_s=open_bound_s)
    for each in checked.violations:
        told = f"{each.breach.invariant.name}: {each.breach.sentence}; ours: {each.ours}; the bank's: {each.bank}"
        found[each.payment_id].append(told)
    for payment in payments.values():
        if ReviewReason.BANK_DISAGREES in payment.review_reasons:
            found[payment.id].append("nobody but us works at this bank, and yet it disagrees with us")
    return found
