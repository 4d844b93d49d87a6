"""One stretch, played: clients and a world that goes wrong, then a world that is well again, and a look at all books."""

import asyncio
import gc
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import orjson
from sqlalchemy import text

from domain.card import CardDetails
from domain.settlement import STUCK
from gateway.reaper import KEEP
from tests.simulation.bank_line import Line, staged_bank
from tests.simulation.cast import Cast
from tests.simulation.checks import look_for_wrong, read_payments
from tests.simulation.clients import Client, Told
from tests.simulation.luck import Blow, Luck
from tests.simulation.plan import PARTNERS, STRETCH_S, Event, Plan
from tests.simulation.scene import Scene
from tests.simulation.stage import OUTSIDE, STILL, Stage, Step
from tests.simulation.virtual_loop import Stuck

LASTING = ("the bank is away", "the bank's database is down", "the bank says not found", "our database is away")
SLOWING = (
    "is slow",
    "has a wrong clock",
    "days pass",
    "weeks pass",
)  # what makes a lease run out while its holder is alive
HEALED_S = 120.0  # two minutes after everything is well nothing may be open any more (invariant I4)
LOOK_S = 10.0
MAX_LATENCY_S = 2.0  # the bank's, contract §6
CARDS = {
    "rich": CardDetails("4000000000000002", "123", 12, 2035),
    "poor": CardDetails("4000000000000010", "123", 12, 2035),
    "empty": CardDetails("5555555555554444", "789", 9, 2030),
    "expired": CardDetails("5105105105105100", "321", 3, 2035),
    "wrong cvv": CardDetails("4111111111111111", "124", 12, 2030),
}
ACCOUNTS = orjson.dumps(
    [
        {"card_number": CARDS[name].number, "cvv": "123", "expiry_month": 12, "expiry_year": 2035, "balance": balance}
        for name, balance in (("rich", 100_000_000), ("poor", 6000))
    ]
).decode()


@dataclass
class Played:
    """What came of a plan. `seen` counts what happened, for the question whether enough of it did."""

    plan: Plan
    history: list[Step]
    blows: list[Blow]
    wrong: list[str]
    seen: Counter[str] = field(default_factory=Counter)


async def play(scene: Scene, plan: Plan, allowed: Set[Blow] | None = None) -> Played:
    """Play it in an empty database. With `allowed`, no other blows fall."""
    await scene.sweep()
    partners = [await scene.partner(number) for number in range(PARTNERS)]
    luck = Luck(plan.harshness, plan.favoured, allowed)
    luck.stage = stage = Stage(scene.loop, luck, plan.seed)
    line = staged_bank(stage, ACCOUNTS, max_latency_s=MAX_LATENCY_S)
    told = Told()
    try:
        await stage.perform(lambda: _script(scene, stage, luck, line, plan, partners, told))
    except Stuck as error:
        told.wrong.append(str(error))
    gc.collect()  # an exception that nobody has read is told of now, and not in another play
    payments = await read_payments(scene, partners)
    acknowledged = {payment: frozenset(states) for payment, states in told.acknowledged.items()}
    # A worker's rounds go on while we look: one may just have begun the release of a hold.
    found = await look_for_wrong(scene, line, partners, acknowledged, payments, open_bound_s=HEALED_S)
    wrong = [*told.wrong, *stage.surprises]
    wrong += [f"{payment or ''} {sentence}" for payment, sentences in found.items() for sentence in sentences]
    slowed = any(event.what in SLOWING for event in plan.events) or any(blow.luck == STILL for blow in luck.fallen)
    if line.overlapping and not slowed:
        wrong.append(f"two calls with one key were in flight: {sorted(line.overlapping)}")
    flags = [reason for payment in payments.values() for reason in payment.review_reasons]
    if flags and not luck.fallen and not plan.events:
        wrong.append(f"nothing went wrong, and payments are flagged: {flags}")
    seen = Counter(f"answer {name}" for name in told.answers.elements())
    seen.update(f"state {payment.state}" for payment in payments.values())
    seen.update(f"flag {flag}" for flag in flags)
    seen.update(f"blow {blow.luck}" for blow in luck.fallen)
    seen.update(f"event {event.what}" for event in plan.events)
    seen.update({f"failpoint {failpoint}": count for failpoint, count in stage.failpoints.items()})
    return Played(plan, stage.history, luck.fallen, wrong, seen)


async def _script(scene: Scene, stage: Stage, luck: Luck, line: Line, plan: Plan, partners: Sequence[UUID], told: Told) -> None:
    cast = Cast(scene, stage, line, reconciles=plan.reconciles)
    stories = [Client(stage, cast, told, story, partners[story.partner], CARDS).tell() for story in plan.stories]
    clients = asyncio.gather(*stories)
    for event in plan.events:
        stage.later(event.at_s, partial(_happen, event, stage, luck, line, cast, told))
    lasting = [event.at_s + event.for_s for event in plan.events if event.what in LASTING]
    await asyncio.sleep(max([STRETCH_S, *lasting]))
    luck.healed = True
    for what in LASTING:
        _set(what, luck, line, begins=False)
    cast.heal()
    stage.note(OUTSIDE, "", "all is well again")
    for _ in range(round(HEALED_S / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        await stage.point("look")  # its turn, or a bank of the same moment would find a transaction open
        with stage.postgres():
            if clients.done() and not await _is_anything_open(scene):
                break
    await clients  # what is still open, the checker finds


async def _is_anything_open(scene: Scene) -> bool:
    async with scene.owner.without_tenant() as tx:
        return bool((await tx.execute(_OPEN, {"resting": [str(reason) for reason in STUCK]})).scalar_one())


_OPEN = text("""
    select exists (
        select from attempts join payments on payments.tenant_id = attempts.tenant_id and payments.id = attempts.payment_id
        where attempts.closed_at is null and not payments.review_reasons && cast(:resting as text[])
    )
""")


def _happen(event: Event, stage: Stage, luck: Luck, line: Line, cast: Cast, told: Told) -> None:
    """What an event does. After the healing nothing happens any more."""
    if luck.healed:
        return
    stage.note(OUTSIDE, "", str(event))
    if event.what in LASTING:
        _set(event.what, luck, line, begins=True)
        stage.later(event.for_s, partial(_set, event.what, luck, line, begins=False))
        return
    match event.what:
        case "holds run out":
            ledger = line.bank.books.ledger
            for hold in ledger.state.holds.values():
                ledger.move_expiry(hold, 0)
        case "days pass":
            stage.skipped_s += event.for_s
        case "weeks pass":
            stage.skipped_s += event.for_s
            told.forgotten_before = stage.now() - KEEP
        case "dies":
            cast.members[event.whom].kill()
        case "is slow":
            cast.members[event.whom].slow_down(event.for_s)
        case "has a wrong clock":
            cast.members[event.whom].set_clock(event.for_s)
        case "is told to stop":
            cast.members[event.whom].stop()
        case _:
            raise AssertionError(event)


def _set(what: str, luck: Luck, line: Line, *, begins: bool) -> None:
    """Begin or end what lasts for a while."""
    books = line.bank.books
    match what:
        case "the bank is away":
            line.unreachable = begins
        case "the bank's database is down":
            books.weather = books.weather.changed({"database_down": begins})
        case "the bank says not found":
            books.weather = books.weather.changed({"misleading_errors": begins})
        case "our database is away":
            luck.database_away = begins
        case _:
            raise AssertionError(what)
