"""A reconciliation dies in the middle of a page and between two pages: another one goes on, and nothing is done or told twice."""

import pytest

from app.cli.reconcile import IN_ORDER
from domain.failpoint import Failpoint
from domain.payment import Verb
from tests.crash.site import Site
from tests.crash.table import RECONCILIATIONS


@pytest.mark.parametrize(("failpoint", "passing"), RECONCILIATIONS)
async def test_a_reconciliation_that_died_is_finished_by_the_next_one(site: Site, failpoint: Failpoint, passing: int) -> None:
    partner = await site.partner()
    wishes = [await partner.wish(Verb.AUTHORIZE) for _ in range(3)]
    answers = [await wish.repeat(site.api) for wish in wishes]
    holds = [answer["payment"]["bankReferences"]["authorization"] for answer in answers]
    for hold in holds[:2]:
        await site.expire(hold)

    victim = site.start_reconcile(partner, f"{failpoint.value}:{passing}")
    await victim.fell_at(failpoint)
    left = await site.owner_fetch("select * from discrepancies where tenant_id = $1", partner.id)
    await site.owner_fetch(
        "update reconciliation_runs set lease_until = now() where tenant_id = $1", partner.id
    )  # a minute later
    code = await site.start_reconcile(partner).ended()

    found = await site.owner_fetch("select payment_id, kind, done from discrepancies where tenant_id = $1", partner.id)
    repairs = await site.owner_fetch(
        "select payment_id, action from audit_log where tenant_id = $1 and kind = 'RECONCILIATION'", partner.id
    )
    runs = await site.owner_fetch("select finished_at from reconciliation_runs where tenant_id = $1", partner.id)
    await site.nothing_is_open(wishes)  # the worker has voided the holds
    voided = [each["authorization_id"] for each in (await site.ledger())["voids"]]
    before_the_first_is_written = (failpoint, passing) == (Failpoint.RECONCILIATION_PAGE_COMPARED, 1)
    assert len(left) == (0 if before_the_first_is_written else 2)
    assert code == IN_ORDER
    assert [(row["kind"], row["done"]) for row in found] == [("HOLD_EXPIRED", "REPAIRED")] * 2
    assert len({row["payment_id"] for row in found}) == 2
    assert sorted((row["payment_id"], row["action"]) for row in repairs) == sorted(
        (row["payment_id"], "payment.reconciled") for row in found
    )
    assert len(runs) == 2 and all(run["finished_at"] for run in runs), "the one that died, and the operator's own"
    assert [voided.count(hold) for hold in holds] == [1, 1, 0]
    await site.verify(wishes)
