"""Reports of the reconciliation: when our payments were compared with the bank's books, and what came out."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import strawberry

from domain.discrepancy import DiscrepancyKind, Remedy
from domain.ids import IdKind, encode_id
from domain.reconciliation import ReportLine, Run, Trigger
from schema import inputs
from schema.connection import PageInfo
from schema.node import Node
from schema.payment import Payment


@strawberry.type(description="One thing that our records and the bank's books said differently.")
class Discrepancy:
    load_payment: strawberry.Private[Callable[[], Awaitable[Payment]]]

    kind: DiscrepancyKind = strawberry.field(description="In which way they differed.")
    done: Remedy = strawberry.field(description="What was done about it.")
    ours: str = strawberry.field(description="What our records said.")
    the_banks: str = strawberry.field(description="What the bank's books said.")
    found_at: datetime = strawberry.field(description="When it was found.")

    @strawberry.field(description="The payment, as it stands now.")
    async def payment(self) -> Payment:
        return await self.load_payment()


@strawberry.type(description="A discrepancy and its place in the report.")
class DiscrepancyEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after`.")
    node: Discrepancy = strawberry.field(description="The discrepancy.")


@strawberry.type(description="A page of a report, the oldest payment first.")
class DiscrepancyConnection:
    edges: list[DiscrepancyEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[Discrepancy]:
        return [edge.node for edge in self.edges]


@strawberry.type(
    description="What came out of comparing. Each thing that was checked is one of the other four; a payment can be several things."
)
class ReconciliationCounts:
    checked: int = strawberry.field(description="Holds and operations that were compared with the bank's books.")
    agreed: int = strawberry.field(description="Of which we and the bank say the same.")
    repaired: int = strawberry.field(description="Of which the bank's word settled what was to be done, and it was.")
    flagged: int = strawberry.field(description="Of which our operators have to find out more.")
    unanswered: int = strawberry.field(
        description="Of which nothing clear could be found out this time. The next run looks again."
    )


@strawberry.type(
    description="A reconciliation: everything of yours that could differ from the bank's books, compared with them on a schedule."
)
class ReconciliationRun(Node):
    load_discrepancies: strawberry.Private[Callable[[int | None, str | None], Awaitable[DiscrepancyConnection]]]

    trigger: Trigger = strawberry.field(description="Who began it.")
    started_at: datetime = strawberry.field(description="When it began. What is newer is the next one's.")
    finished_at: datetime | None = strawberry.field(description="When it had looked at everything; null while it goes on.")
    counts: ReconciliationCounts = strawberry.field(description="What came out; so far, while it goes on.")

    @strawberry.field(description="What differed, the oldest payment first.")
    async def discrepancies(
        self, first: inputs.First = strawberry.UNSET, after: inputs.After = strawberry.UNSET
    ) -> DiscrepancyConnection:
        return await self.load_discrepancies(first, after)


@strawberry.type(description="A reconciliation and its place in the list.")
class ReconciliationRunEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after`.")
    node: ReconciliationRun = strawberry.field(description="The reconciliation.")


@strawberry.type(description="A page of reconciliations, newest first. They are kept for 90 days.")
class ReconciliationRunConnection:
    edges: list[ReconciliationRunEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[ReconciliationRun]:
        return [edge.node for edge in self.edges]


def run_of(
    run: Run, load_discrepancies: Callable[[int | None, str | None], Awaitable[DiscrepancyConnection]]
) -> ReconciliationRun:
    """A domain run as the schema shows it."""
    counts = run.counts
    return ReconciliationRun(
        load_discrepancies=load_discrepancies,
        id=strawberry.ID(encode_id(IdKind.RECONCILIATION, run.id)),
        trigger=run.trigger,
        started_at=run.started_at,
        finished_at=run.finished_at,
        counts=ReconciliationCounts(
            checked=counts.checked,
            agreed=counts.agreed,
            repaired=counts.repaired,
            flagged=counts.flagged,
            unanswered=counts.unanswered,
        ),
    )


def discrepancy_of(line: ReportLine, load_payment: Callable[[], Awaitable[Payment]]) -> Discrepancy:
    """A line of a domain report as the schema shows it."""
    return Discrepancy(
        load_payment=load_payment,
        kind=line.discrepancy.kind,
        done=line.remedy,
        ours=line.discrepancy.ours,
        the_banks=line.discrepancy.the_banks,
        found_at=line.found_at,
    )
