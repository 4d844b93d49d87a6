"""A customer's payments, leafed through two at a time."""

from collections import Counter

from app.demo import cards
from app.demo.scene import Scene, Script, Stage, together
from app.demo.shop import Receipt
from domain.money import Money
from domain.payment import PaymentState, Verb

AMOUNTS = (810, 820, 830, 840, 850)
AT_A_TIME = 2
MOST_PAGES = 10  # five payments make three; a list that does not end is a bug
S = PaymentState


async def leafed_through(scene: Scene, stage: Stage) -> None:
    """Five payments of one customer, one of them declined, one voided; then all pages of the list."""
    shop = stage.shop
    customer = shop.names.customer()
    orders = [shop.order(amount, customer) for amount in AMOUNTS]
    answers = await together(*(shop.authorize(order, cards.WRONG_CVV if order is orders[0] else cards.GOOD) for order in orders))
    states = [S.DECLINED] + [S.AUTHORIZED] * (len(orders) - 1)
    made = [scene.paid(order.id, answer, state) for order, answer, state in zip(orders, answers, states, strict=True)]
    scene.paid("the void of the last", await shop.operate(Verb.VOID, made[-1].id), S.VOIDED)
    pages = await _leaf(stage, customer)
    listed = [receipt for page in pages for receipt in page]
    scene.expect("the sizes of the pages", [2, 2, 1], [len(page) for page in pages])
    scene.expect("every payment once", sorted(each.id for each in made), sorted(each.id for each in listed))
    scene.expect("customers in the list", {customer}, {each.customer_id for each in listed})
    moments = [each.moments[0] for each in listed]
    scene.expect("newest first", sorted(moments, reverse=True), moments)
    counted = await shop.page({"customerId": customer}, first=AT_A_TIME, counted=True)
    scene.expect("totalCount", len(AMOUNTS), counted.total)
    only = await shop.page({"customerId": customer, "states": [S.AUTHORIZED.value]}, first=10, counted=True)
    scene.expect("the AUTHORIZED ones, by filter", len(AMOUNTS) - 2, only.total)
    scene.saw(f"{customer}: {counted.total} payments on {len(pages)} pages of {AT_A_TIME}.")
    scene.show(
        ("page", "order", "receipt", "amount", "state"),
        [
            (str(number), each.order_id, each.reference, each.formatted, each.state.value)
            for number, page in enumerate(pages, start=1)
            for each in page
        ],
    )
    scene.saw(f"Totals: {_totals(listed)}.")
    await together(*(_give_up(scene, stage, each) for each in made[1:-1]))


async def _leaf(stage: Stage, customer: str) -> list[tuple[Receipt, ...]]:
    pages = []
    after: str | None = None
    for _ in range(MOST_PAGES):
        page = await stage.shop.page({"customerId": customer}, first=AT_A_TIME, after=after)
        pages.append(page.receipts)
        if not page.has_next:
            break
        after = page.end_cursor
    return pages


def _totals(receipts: list[Receipt]) -> str:
    sums: Counter[str] = Counter()
    for receipt in receipts:
        sums[receipt.state.value] += receipt.amount_minor
    return ", ".join(f"{state} {Money(amount).formatted}" for state, amount in sorted(sums.items()))


async def _give_up(scene: Scene, stage: Stage, receipt: Receipt) -> None:
    scene.paid("the void afterwards", await stage.shop.operate(Verb.VOID, receipt.id), S.VOIDED)


SCRIPT = Script(
    10,
    "A customer's history is leafed through, two payments at a time",
    "Every payment once, newest first, and a total count.",
    leafed_through,
)
