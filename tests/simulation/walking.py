"""Walks every branch of a small case, and looks at both sides' books after each batch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from domain.payment import Payment
from tests.simulation.bank_line import FORGOTTEN, LOST, PROXY_ERROR, REFUSED
from tests.simulation.checks import look_for_wrong, read_payments
from tests.simulation.scene import Scene
from tests.simulation.small_case import BATCH, Case, Played, SmallCase
from tests.simulation.walk import Branch

# Success, replay, decline and "already" come by themselves: they are what the bank's books make of a request.
ANSWERS = (REFUSED, "500_before_effect", PROXY_ERROR, LOST, FORGOTTEN)


@dataclass
class Walked:
    """What came of a walk. `known` branches were left where they met an earlier one; `ends` counts how payments ended."""

    case: Case
    branches: int = 0
    known: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    wrong: str = ""

    def __str__(self) -> str:
        ends = "; ".join(f"{count} × {end}" for end, count in self.ends.most_common())
        return f"{self.case}: {self.branches} schedules walked, and {self.known} left where they met one of them: {ends}"


async def walk(
    scene: Scene, case: Case, *, deaths: int, troubles: int, answers: Sequence[str] = ANSWERS, reduced: bool = True
) -> Walked:
    """All branches, or those up to the first batch in which something is wrong: `wrong` then has the shortest history of it."""
    walked = Walked(case)
    given: list[int] | None = []
    while given is not None and not walked.wrong:
        await scene.sweep()
        tenant = await scene.partner(1)
        small_case = SmallCase(scene, tenant, case)
        batch: list[Played] = []
        while given is not None and len(batch) < BATCH:
            branch = Branch(given, answers, deaths, troubles, reduced)
            batch.append(await small_case.play(branch))
            given = branch.next
        await _look(scene, tenant, small_case, batch, walked)
    return walked


async def _look(scene: Scene, tenant: UUID, small_case: SmallCase, batch: Sequence[Played], walked: Walked) -> None:
    payments = await read_payments(scene, [tenant])
    found = await look_for_wrong(scene, small_case.line, [tenant], {}, payments)
    whole = [played for played in batch if not played.branch.known]
    walked.branches += len(whole)
    walked.known += len(batch) - len(whole)
    for played in whole:
        if played.payment_id is not None:
            payment = payments[played.payment_id]
            walked.ends[_end(payment)] += 1
            played.wrong += found.get(payment.id, [])
            if played.branch.calm and payment.review_reasons:
                played.wrong.append(f"nothing went wrong, and the payment is flagged: {sorted(payment.review_reasons)}")
    guilty = sorted((each for each in whole if each.wrong), key=lambda each: len(each.history))
    if guilty:
        lines = [*map(str, guilty[0].history), *guilty[0].wrong]
        walked.wrong = "\n".join([f"{len(guilty)} of {len(whole)} schedules went wrong; the shortest:", *lines])
    elif None in found:
        walked.wrong = "\n".join(found[None])


def _end(payment: Payment) -> str:
    return " ".join([payment.state, *sorted(payment.review_reasons)])
