"""Events that are old enough go, from the beginning and nowhere else; whoever wants to go on behind one of them is told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.payment import PaymentState, Verb
from domain.violation import Breach, Invariant
from gateway.parts import Parts
from gateway.reaper import KEEP_EVENTS, LEAST_EVENTS, Reaper
from persistence.database import Database
from persistence.event_feed import EventFeed, EventsForgotten
from persistence.events import forget_events
from tests.app.serving import Api
from tests.app.sockets import Stream, Wire, listening
from tests.app.verifying import Till

S = PaymentState
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # long enough for the database, which looks at its own clock
LIST = "query ($after: String, $first: Int) { events(after: $after, first: $first) { nodes { id sequence } } }"
FOLLOW = "subscription ($after: String) { transactionEvents(after: $after) { sequence } }"


@pytest.fixture(autouse=True)
def long_ago(here: Any) -> None:
    """Everything in here begins then."""
    here.time = LONG_AGO


@pytest.fixture
def reaper(parts: Parts, watch: Database) -> Reaper:
    """The worker's round."""
    return Reaper(parts, watch)


async def sequences(database: Database, tenant: UUID) -> list[int]:
    """What is left of the log."""
    async with database.tenant(tenant) as tx:
        return list(
            (await tx.execute(text("select sequence from events where tenant_id = :t order by 1"), {"t": tenant})).scalars()
        )


async def old_and_new(till: Till, reaper: Reaper) -> None:
    """Three events that go, and three that stay."""
    await till.payment_in(S.CAPTURED)
    till.here.pass_by((KEEP_EVENTS / 2).total_seconds())
    await till.payment_in(S.CAPTURED)
    till.here.pass_by((KEEP_EVENTS / 2).total_seconds() + 1)
    await reaper.run_once()


# --- What goes --------------------------------------------------------------------------------------------------------


async def test_what_is_old_goes_and_what_is_not_stays(till: Till, reaper: Reaper, database: Database) -> None:
    await old_and_new(till, reaper)

    assert await sequences(database, till.tenant) == [4, 5, 6]


async def test_the_newest_event_stays_however_old_so_that_whoever_has_seen_all_can_go_on(
    till: Till, reaper: Reaper, database: Database
) -> None:
    await till.payment_in(S.CAPTURED)
    till.here.pass_by(2 * KEEP_EVENTS.total_seconds())

    await reaper.run_once()

    assert await sequences(database, till.tenant) == [3]


async def test_only_a_whole_beginning_goes(till: Till, reaper: Reaper, database: Database) -> None:
    """A clock may have stood wrong for a while: what is old behind something young stays with it."""
    await till.payment_in(S.CAPTURED)
    till.here.pass_by(KEEP_EVENTS.total_seconds() + 1)
    await till.sql("update events set occurred_at = :now where sequence = 2", now=till.here.time)

    await reaper.run_once()

    assert await sequences(database, till.tenant) == [2, 3]


async def test_what_is_younger_than_thirty_days_stays_whatever_the_worker_says(
    till: Till, database: Database, watch: Database
) -> None:
    till.here.time = datetime.now(UTC)
    await till.payment_in(S.CAPTURED)
    async with watch.tenant(till.tenant) as tx:
        gone = await forget_events(tx, before=till.here.time + timedelta(days=9), limit=100)

    assert gone == 0
    assert await sequences(database, till.tenant) == [1, 2, 3]


async def test_the_apis_login_can_delete_no_event(till: Till, database: Database) -> None:
    await till.payment_in(S.CAPTURED)

    for statement in (
        "delete from events",
        "select forget_events(now(), 10)",
        "update event_sequences set forgotten = 2, forgotten_until = now(), forgotten_id = gen_random_uuid()",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.tenant(till.tenant) as tx:
                await tx.execute(text(statement))

    assert await sequences(database, till.tenant) == [1, 2, 3]


async def test_the_worker_forgets_for_one_partner_at_a_time(
    till: Till, database: Database, watch: Database, other_tenant: UUID
) -> None:
    await till.payment_in(S.CAPTURED)

    async with watch.tenant(other_tenant) as tx:
        others = await forget_events(tx, before=till.here.time + timedelta(days=1), limit=100)
    async with watch.without_tenant() as tx:
        nobodys = await forget_events(tx, before=till.here.time + timedelta(days=1), limit=100)

    assert (others, nobodys) == (0, 0)
    assert await sequences(database, till.tenant) == [1, 2, 3]


def test_events_are_kept_for_as_long_as_idempotency_keys_at_least(parts: Parts, watch: Database) -> None:
    with pytest.raises(AssertionError):
        Reaper(parts, watch, LEAST_EVENTS - timedelta(seconds=1))


# --- Whoever comes late -----------------------------------------------------------------------------------------------


@pytest.fixture
async def aged(api: Api, reaper: Reaper, here: Any) -> list[str]:
    """The ids of a log of which the first two are gone."""
    payment = await api.payment()
    here.pass_by(KEEP_EVENTS.total_seconds() + 1)
    await api.operate("void", payment["id"])
    ids = [each["id"] for each in (await api.ask(LIST))["events"]["nodes"]]
    await reaper.run_once()
    return ids


@pytest.fixture
async def live(api: Api) -> AsyncIterator[str]:
    """The API's address."""
    async with listening(api.app) as address:
        yield address


async def test_a_page_behind_what_has_gone_is_refused_and_says_where_the_log_begins(api: Api, aged: list[str]) -> None:
    (error,) = await api.errors(LIST, after=aged[0])

    assert error["extensions"] == {"code": "CURSOR_EXPIRED", "path": ["after"], "oldest": aged[2]}
    assert [each["sequence"] for each in (await api.ask(LIST))["events"]["nodes"]] == [3]


async def test_a_stream_behind_what_has_gone_is_refused_over_either_wire(api: Api, aged: list[str], live: str) -> None:
    async with Wire(live) as wire:
        await wire.init(api.key)
        await wire.subscribe(FOLLOW, after=aged[1])
        message = await wire.receive()
    async with Stream(live, api.key, FOLLOW, headers={"Last-Event-ID": aged[1]}) as stream:
        result, end = await stream.next(), await stream.receive()

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"] == {"code": "CURSOR_EXPIRED", "path": ["after"], "oldest": aged[2]}
    assert result["errors"][0]["extensions"] == {"code": "CURSOR_EXPIRED", "path": ["Last-Event-ID"], "oldest": aged[2]}
    assert end == {"event": "complete", "data": ""}


async def test_the_newest_event_is_a_place_to_go_on(api: Api, aged: list[str]) -> None:
    assert (await api.ask(LIST, after=aged[2]))["events"]["nodes"] == []


async def test_another_partners_old_event_is_answered_as_nobodys(
    api: Api, aged: list[str], other_tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    """By the time in the id alone. Who has forgotten nothing never had it."""
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    await other.payment()
    (theirs, *_) = [each["id"] for each in (await other.ask(LIST))["events"]["nodes"]]

    (gone,) = await other.errors(LIST, after=aged[0])
    (unknown,) = await api.errors(LIST, after=theirs)
    (nobodys,) = await api.errors(LIST, after="evt_00000000000000000000000005")

    assert (gone["extensions"]["code"], unknown["extensions"]["code"]) == ("INVALID_INPUT", "INVALID_INPUT")
    assert nobodys["extensions"]["code"] == "CURSOR_EXPIRED"


async def test_a_follower_that_is_overtaken_is_told_and_misses_nothing_unseen(
    till: Till, reaper: Reaper, database: Database
) -> None:
    await till.payment_in(S.CAPTURED)
    following = EventFeed(database, lambda: False).follow(till.tenant, 0)
    first = (await anext(following)).sequence  # and reads no further for a year

    await following.aclose()
    till.here.pass_by(KEEP_EVENTS.total_seconds() + 1)
    await till.payment_in(S.AUTHORIZED)
    await reaper.run_once()
    late = EventFeed(database, lambda: False).follow(till.tenant, first)

    with pytest.raises(EventsForgotten):
        await anext(late)
    await late.aclose()


# --- The checker ------------------------------------------------------------------------------------------------------


async def test_books_whose_old_events_have_gone_are_right(till: Till, reaper: Reaper) -> None:
    await old_and_new(till, reaper)

    found = await till.verify()

    assert found.violations == []
    assert found.checked[Invariant.I7] == 3


async def test_a_payment_of_which_half_is_told_is_right(till: Till, reaper: Reaper, database: Database) -> None:
    payment = await till.payment_in(S.CAPTURED)
    till.here.pass_by(KEEP_EVENTS.total_seconds() + 1)
    await till.operate(Verb.REFUND, payment)

    await reaper.run_once()

    assert await sequences(database, till.tenant) == [4]
    assert (await till.verify()).violations == []


@pytest.mark.parametrize(
    ("damage", "breaches"),
    [
        ("delete from events where sequence = 5", {Breach.GAP, Breach.EVENT_MISSING}),
        ("update events set sequence = 2 where sequence = 4", {Breach.GAP}),
        ("update event_sequences set forgotten = 2", {Breach.GAP}),
        ("update events set previous_state = 'AUTHORIZED' where sequence = 4", {Breach.FORBIDDEN_STEP}),
    ],
)
async def test_what_is_wrong_with_the_rest_is_found(till: Till, reaper: Reaper, damage: str, breaches: set[Breach]) -> None:
    await old_and_new(till, reaper)
    await till.sql(damage)

    assert {each.breach for each in (await till.verify()).violations} == breaches
