"""The play: the scenes side by side, told in order; then the rush; then what it all came to."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from app.demo import cards
from app.demo.bank_addresses import BankControl, BankLookups, BankUnclear, bank_http
from app.demo.names import Names
from app.demo.report import Report
from app.demo.scene import CantGoOn, Scene, Script, Stage
from app.demo.scenes import LAST, SIDE_BY_SIDE
from app.demo.scenes.rush import AMOUNTS, FIRST_AMOUNT
from app.demo.shop import NotSettled, Shop
from app.demo.wire import ApiAway, ApiFault, Endpoint, Wire, World, graphql_http
from domain.money import Money

FIRST_ANSWER_S: Final = 20.0  # an API that says nothing for so long was not started, or lives elsewhere
SKEW: Final = timedelta(minutes=1)  # between the clocks of the bank's machine and ours
LONGEST_ATTEMPT: Final = timedelta(minutes=15)  # a payment accepted so long ago may get its hold only now
SCENES_NEED: Final = 70_000  # cents that scenes 1 to 10 hold at most at the same time: $501 of them for a declined order


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to play, and how big."""

    graphql_url: str
    api_key: str = field(repr=False)
    bank_url: str | None
    bank_control_url: str | None
    orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Everything that is not determined; tests hand in their own."""

    world: World
    random_bits: Callable[[int], int]
    now: Callable[[], datetime]
    api: httpx.AsyncBaseTransport | None = None
    bank: httpx.AsyncBaseTransport | None = None


def real_outside() -> Outside:
    """The clock, chance and network of this machine."""
    return Outside(world=World.real(secrets.SystemRandom().random), random_bits=secrets.randbits, now=lambda: datetime.now(UTC))


async def play(settings: Settings, report: Report, outside: Outside) -> int:
    """Play everything. 0 when every expectation held, else 1."""
    world, started_s = outside.world, outside.world.clock()
    endpoint, names = Endpoint(settings.graphql_url, settings.api_key), Names(outside.random_bits)
    async with graphql_http(outside.api) as api, bank_http(outside.bank) as bank:
        shop = Shop(Wire(api, endpoint, world, cards.NUMBERS), names)
        stage = Stage(
            shop=shop,
            control=BankControl(bank, settings.bank_control_url, world) if settings.bank_control_url else None,
            lookups=BankLookups(bank, settings.bank_url, world) if settings.bank_url else None,
            orders=settings.orders,
            books_since=_rfc3339(outside.now() - SKEW),
            receipts_since=_rfc3339(outside.now() - LONGEST_ATTEMPT),
        )
        try:
            await _open(settings, report, stage, Wire(api, endpoint, world, patience_s=FIRST_ANSWER_S))
        except (ApiAway, ApiFault, BankUnclear) as error:
            report.closing("The demo can't begin", [f"{settings.graphql_url}: {error}"], passed=False)
            return 1
        played = await _play_side_by_side(report, stage)
        with report.progress("orders have ended", settings.orders) as stage.advance:
            last = await perform(LAST, stage)
        report.scene(last)
        return _close(report, stage, [*played, last], world.clock() - started_s)


async def perform(script: Script, stage: Stage) -> Scene:
    """Play one scene; whatever goes wrong in it is an expectation that did not hold, and the others go on."""
    scene = Scene(script.number, script.title, script.expected)
    world = stage.shop.wire.world
    started_s = world.clock()
    try:
        await script.play(scene, stage)
    except CantGoOn:
        scene.saw("The scene could not go on from there.")
    except (ApiAway, ApiFault, BankUnclear, NotSettled) as error:
        scene.expect("the scene is played to its end", "yes", str(error))
    except Exception as error:  # an answer unlike its schema, or our own mistake: told, and no reason to stop the others
        scene.expect("answers that can be understood", "yes", f"{type(error).__name__}: {error}")
    scene.elapsed_s = world.clock() - started_s
    return scene


async def _open(settings: Settings, report: Report, stage: Stage, wire: Wire) -> None:
    """Say who plays against what. Raises ApiAway, ApiFault or BankUnclear when nothing can be played."""
    partner = await Shop(wire, stage.shop.names).partner()
    lines = [f"API    {settings.graphql_url}, signed in as {partner}", f"Bank   {await _bank(settings, stage)}"]
    report.opening("FicMart pays its orders", [*lines, f"Play   {stage.shop.names.run}: its order ids and keys begin so"])
    if stage.control is None:
        return
    stage.lost_keys_before = (await stage.control.ledger(stage.books_since)).lost_keys
    available = await stage.control.available_minor(cards.GOOD.number[-4:])
    need = SCENES_NEED + settings.orders * (FIRST_AMOUNT + min(settings.orders, AMOUNTS))
    if available is not None and available < need:
        report.note(
            f"The demo's card has only {_money(available)} left at this bank, and this play may hold up to {_money(need)} at "
            "a time: some expectations may fail for lack of money. Reset the bank, or play with fewer --orders."
        )


async def _bank(settings: Settings, stage: Stage) -> str:
    if stage.control is None:
        return f"{settings.bank_url or 'of unknown address'}, without a control address"
    weather = await stage.control.weather()
    latency = f"{weather.min_latency_ms} to {weather.max_latency_ms} ms"
    return f"{settings.bank_url or 'mock'}, fails {weather.failure_rate:.0%} of the time, takes {latency}"


async def _play_side_by_side(report: Report, stage: Stage) -> list[Scene]:
    """All at once, told in their order."""
    tasks = [asyncio.create_task(perform(script, stage)) for script in SIDE_BY_SIDE]
    played = []
    for script, task in zip(SIDE_BY_SIDE, tasks, strict=True):
        with report.waiting(f"Playing {script.number}. {script.title} ..."):
            scene = await task
        report.scene(scene)
        played.append(scene)
    return played


def _close(report: Report, stage: Stage, played: list[Scene], elapsed_s: float) -> int:
    failed = [scene for scene in played if scene.failures]
    skipped = [scene for scene in played if scene.skipped]
    tally = stage.shop.wire.tally
    lines = [
        f"Scenes        {len(played) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped",
        f"Expectations  {sum(scene.held for scene in played)} held, {sum(len(scene.failures) for scene in played)} did not",
    ]
    if stage.rush_s > 0:
        pace = stage.operations / stage.rush_s
        lines.append(
            f"Orders        {stage.orders} at once in {stage.rush_s:.1f} s: {stage.orders / stage.rush_s:.1f} payments/s, "
            f"{pace:.1f} bank operations/s"
        )
    lines.append(f"Requests      {tally.answers} answered, {tally.leaks} of them with a card number in the answer")
    lines.append(f"Repeated      {tally.repeats} requests, because the API was away or said 'later'")
    if stage.lost_keys is not None:
        lines.append(f"Bank          forgot the idempotency keys of {stage.lost_keys} things that it had done")
    lines.append(f"Elapsed       {elapsed_s:.1f} s")
    lines += [f"FAILED        {scene.number}. {scene.title}" for scene in failed]
    if any(failure.is_short_of_money for scene in failed for failure in scene.failures):
        lines.append("The demo's card has run out of money at the bank, which is never refilled: reset the bank and play again.")
    passed = not failed and tally.leaks == 0
    report.closing("Every expectation held" if passed else "Some expectations did not hold", lines, passed=passed)
    return 0 if passed else 1


def _money(minor: int) -> str:
    return Money(minor).formatted if minor > 0 else "nothing"


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
