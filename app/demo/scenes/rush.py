"""A hundred orders at once on a bank that fails; afterwards every receipt is compared with the bank's books."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.demo import cards
from app.demo.comparison import Comparison, compare
from app.demo.scene import Scene, Script, Stage, together, told
from app.demo.shop import POLL_CAP_S, SETTLED_WITHIN_S, Done, NotSettled, Order, Receipt, Refused
from app.demo.wire import ApiAway, ApiFault
from domain.payment import PaymentState, ReviewReason, Verb

LOOKUPS_AT_ONCE: Final = 50
SHOWN: Final = 20  # of a kind; a hundred times the same tells no more
QUIET_TRIES, QUIET_WAIT_S = 10, 2.0  # who else uses the same key may have something under way
FIRST_AMOUNT, AMOUNTS = 150, 200  # $1.50 to $3.49: mixed-up orders show, and the demo's card lasts for many plays


class Plan(StrEnum):
    """What becomes of an order."""

    RETURNED = "captured, then refunded"
    SHIPPED = "captured"
    CANCELLED = "voided"
    OPEN = "left authorized"


# A third is captured and half of that refunded, a third voided, a third left as it is.
PLANS: Final = (Plan.RETURNED, Plan.CANCELLED, Plan.OPEN, Plan.SHIPPED, Plan.CANCELLED, Plan.OPEN)
VERBS: Final[dict[Plan, tuple[Verb, ...]]] = {
    Plan.RETURNED: (Verb.CAPTURE, Verb.REFUND),
    Plan.SHIPPED: (Verb.CAPTURE,),
    Plan.CANCELLED: (Verb.VOID,),
    Plan.OPEN: (),
}
ENDS: Final[dict[Plan, PaymentState]] = {
    Plan.RETURNED: PaymentState.REFUNDED,
    Plan.SHIPPED: PaymentState.CAPTURED,
    Plan.CANCELLED: PaymentState.VOIDED,
    Plan.OPEN: PaymentState.AUTHORIZED,
}


@dataclass(frozen=True, slots=True)
class Played:
    """How an order ended; `trouble` when not as planned. With `for_operators` it stopped where the API said it would."""

    order: Order
    plan: Plan
    trouble: str | None = None
    for_operators: bool = False


async def rush(scene: Scene, stage: Stage) -> None:
    """All orders side by side, then the books."""
    world = stage.shop.wire.world
    started_s = world.clock()
    played = await together(*(_play(stage, PLANS[number % len(PLANS)], number) for number in range(stage.orders)))
    stage.rush_s = world.clock() - started_s
    stage.operations = sum(1 + len(VERBS[each.plan]) for each in played)
    _tell_plans(scene, played)
    ours, receipts = await _at_rest(stage)
    _expect_one_live_payment(scene, played, receipts)
    comparison = await _compare(scene, stage, receipts, ours)
    if comparison is not None:
        _tell_comparison(scene, stage, comparison, played, receipts)
    _tell_flagged(scene, receipts, comparison or Comparison())


async def _at_rest(stage: Stage) -> tuple[list[Receipt], list[Receipt]]:
    """All receipts of the partner, and those of this play, once nothing of this play is under way: holds that ran out are released.

    What is still under way when patience ends, the comparison tells.
    """
    shop, world = stage.shop, stage.shop.wire.world
    give_up_at_s = world.clock() + SETTLED_WITHIN_S
    while True:
        ours = await shop.all_receipts({"createdAfter": stage.receipts_since})
        receipts = [receipt for receipt in ours if receipt.order_id.startswith(shop.names.order_prefix)]
        if all(receipt.is_at_rest for receipt in receipts) or world.clock() > give_up_at_s:
            return ours, receipts
        await world.sleep(POLL_CAP_S)


async def _play(stage: Stage, plan: Plan, number: int) -> Played:
    order = stage.shop.order(FIRST_AMOUNT + number % AMOUNTS)
    receipt: Receipt | None = None
    try:
        answer = await stage.shop.authorize(order, cards.GOOD)
        for verb in VERBS[plan]:
            if not isinstance(answer, Done) or answer.receipt.decline is not None:
                break
            receipt = answer.receipt
            answer = await stage.shop.operate(verb, receipt.id)
    except (ApiAway, ApiFault, NotSettled) as error:
        return Played(order, plan, str(error))
    finally:
        stage.advance()
    if isinstance(answer, Done) and answer.receipt.state is ENDS[plan]:
        return Played(order, plan)
    # The bank captured and its answer was lost (bank contract, section 7.1): only an operator can refund that.
    lost = receipt is not None and ReviewReason.CAPTURE_REFERENCE_UNKNOWN in receipt.review_reasons
    return Played(order, plan, told(answer), for_operators=lost and isinstance(answer, Refused))


def _tell_plans(scene: Scene, played: list[Played]) -> None:
    wrong = [each for each in played if each.trouble is not None and not each.for_operators]
    for each in wrong[:SHOWN]:
        scene.expect(f"{each.order.id}, {each.plan}", ENDS[each.plan].value, each.trouble)
    rows = []
    for plan in Plan:
        mine = [each for each in played if each.plan is plan]
        as_planned = sum(each.trouble is None for each in mine)
        for_operators = sum(each.for_operators for each in mine)
        rows.append((plan.value, ENDS[plan].value, str(len(mine)), str(as_planned), str(for_operators)))
    scene.expect("orders that ended as planned, or are flagged for the operators", len(played), len(played) - len(wrong))
    scene.show(("plan", "state at the end", "orders", "as planned", "for the operators"), rows)


def _expect_one_live_payment(scene: Scene, played: list[Played], receipts: list[Receipt]) -> None:
    listed = Counter(receipt.order_id for receipt in receipts)
    wrong = [each.order.id for each in played if each.trouble is None and listed[each.order.id] != 1]
    scene.expect("orders of the rush without exactly one payment in the list", [], wrong[:SHOWN])


async def _compare(scene: Scene, stage: Stage, receipts: list[Receipt], ours: list[Receipt]) -> Comparison | None:
    if stage.control is not None:
        return await _compare_with_ledger(stage, receipts, ours)
    if stage.lookups is None:
        scene.saw("Not compared with the bank's books: no address of the bank was given.")
        return None
    lookups, free = stage.lookups, asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def judge(receipt: Receipt) -> Comparison:
        async with free:
            return Comparison(disagreements=await lookups.judge(receipt))

    found = await together(*(judge(receipt) for receipt in receipts))
    return Comparison(disagreements=[each for comparison in found for each in comparison.disagreements])


async def _compare_with_ledger(stage: Stage, receipts: list[Receipt], ours: list[Receipt]) -> Comparison:
    """Repeated for a while when the books have more than the receipts: the same key may be in use elsewhere just now."""
    assert stage.control is not None
    shop = stage.shop
    for number in range(1, QUIET_TRIES + 1):
        ledger = await stage.control.ledger(stage.books_since)
        stage.lost_keys = ledger.lost_keys - stage.lost_keys_before
        comparison = compare(receipts, ours, ledger)
        if not comparison.unaccounted or number == QUIET_TRIES:
            break
        ours = await shop.all_receipts({"createdAfter": stage.receipts_since})
        comparison = compare(receipts, ours, ledger)
        if not comparison.unaccounted or all(receipt.is_settled for receipt in ours):
            break
        await shop.wire.world.sleep(QUIET_WAIT_S)
    return comparison


def _tell_comparison(scene: Scene, stage: Stage, comparison: Comparison, played: list[Played], receipts: list[Receipt]) -> None:
    rushed = {each.order.id for each in played}
    known = {receipt.order_id for receipt in receipts}
    agreeing = len((rushed & known) - comparison.disagreeing_orders)
    scene.expect(
        "orders that agree with the bank's books",
        f"{len(played)} of {len(played)}",
        f"{agreeing} of {len(played)}",
    )
    for each in [*comparison.disagreements, *comparison.unaccounted][:SHOWN]:
        scene.expect(f"{each.order_id or 'the books'}: {each.what}", each.receipt, each.bank)
    elsewhere = [receipt for receipt in receipts if receipt.order_id not in rushed]
    scene.expect("disagreements in all", 0, len(comparison.disagreements) + len(comparison.unaccounted))
    scene.saw(f"{agreeing} of {len(played)} orders agree with the bank's ledger.")
    if comparison.disagreements or comparison.unaccounted:
        return
    if stage.control is not None:
        scene.saw(f"So do the {len(elsewhere)} payments of the other scenes, and the bank did nothing that no receipt knows.")
    else:
        scene.saw(
            f"So do the {len(elsewhere)} payments of the other scenes. Without a control address each authorization, capture and "
            "refund was looked up at the bank by its reference; voids, and effects that no receipt knows, it does not show."
        )


def _tell_flagged(scene: Scene, receipts: list[Receipt], comparison: Comparison) -> None:
    flagged = [receipt for receipt in receipts if receipt.review_reasons]
    if not flagged:
        return
    seconds = {receipt.order_id: comparison.second_holds.get(receipt.order_id, []) for receipt in flagged}
    scene.saw(
        f"{len(flagged)} payments are flagged for the operators, because an answer of the bank was lost; their states are true "
        f"all the same. {sum(map(len, seconds.values()))} second holds were indeed found at the bank."
    )
    rows = [
        (
            each.order_id,
            each.reference,
            each.state.value,
            ", ".join(sorted(each.review_reasons)),
            ", ".join(seconds[each.order_id]) or "-",
        )
        for each in flagged[:SHOWN]
    ]
    if len(flagged) > SHOWN:
        rows.append((f"and {len(flagged) - SHOWN} more", "", "", "", ""))
    scene.show(("order", "receipt", "state", "needs review because", "second hold at the bank"), rows)


SCRIPT = Script(
    11,
    "All customers come at once, while the bank fails and dawdles",
    "Every order ends as planned, and every receipt agrees with the bank's books: one hold each, the right amounts and "
    "references, and nothing at the bank that no receipt knows.",
    rush,
)
