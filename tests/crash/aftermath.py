"""After the deaths: the clients get their answers from those who live, and everything is compared."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.payment import PaymentState, ReviewReason, Verb
from tests.crash.site import Site, Wish
from tests.crash.table import Outcome


@dataclass(frozen=True)
class Ending:
    """How a wish ended: what its client was told, and what there is."""

    verb: Verb
    answer: Any
    receipt: Any
    outcome: Outcome


async def endings(site: Site, wishes: Sequence[Wish]) -> list[Ending]:
    """Repeat each wish until it is answered, and once more; wait until nothing is open, and check the invariants."""
    answers = await asyncio.gather(*(wish.repeat(site.api) for wish in wishes))
    again = await asyncio.gather(*(wish.repeat(site.api) for wish in wishes))
    await site.nothing_is_open(wishes)
    receipts = [await wish.partner.receipt(answer["payment"]["id"]) for wish, answer in zip(wishes, answers, strict=True)]  # I2

    assert again == [{**answer, "replayed": True} for answer in answers], "an outcome that was told is told again"
    await site.verify(wishes, answers)
    return [
        Ending(wish.verb, answer, receipt, await _outcome(wish, receipt))
        for wish, answer, receipt in zip(wishes, answers, receipts, strict=True)
    ]


async def _outcome(wish: Wish, receipt: Any) -> Outcome:
    reasons = frozenset(ReviewReason(reason) for reason in receipt["reviewReasons"])
    return Outcome(PaymentState(receipt["state"]), reasons, await wish.effects())
