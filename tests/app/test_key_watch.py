"""An open stream is told when its key is good no more: at once with Redis, within five seconds without."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.authentication import REVOCATION_S, Authentication
from app.key_watch import LOOK_S, KeyWatch
from domain.access import Unauthenticated
from domain.caller import Caller
from domain.partner import Mode, tenant_of
from persistence.api_keys import find_api_key, revoke_api_key
from persistence.database import Database, DatabaseAway
from persistence.wakeups import ACCESS_CHANNEL, RedisWakeups, announce_access_once
from tests.app.serving import Api, serving, settings_for
from tests.app.test_authentication import PEPPER, statements_of

HERE = ip_address("192.0.2.1")
PATIENCE_S = 60


class Time:
    """Time that passes by waiting: a wait that nothing ends takes as long as it was to take."""

    def __init__(self, here: Any) -> None:
        self.here, self.waited_s = here, 0.0
        self.at_each_wait: list[Callable[[], Awaitable[None]]] = []

    async def wait(self, future: asyncio.Future[Any], timeout_s: float) -> None:
        if self.at_each_wait:
            await self.at_each_wait.pop(0)()
        if not future.done():
            self.waited_s += timeout_s
            self.here.pass_by(timeout_s)

    def monotonic(self) -> float:
        return float(self.here.time.timestamp())


@pytest.fixture
def time(here: Any) -> Time:
    return Time(here)


@pytest.fixture
def watch(database: Database, here: Any, time: Time) -> KeyWatch:
    return KeyWatch(database, now=lambda: here.time, monotonic=time.monotonic, wait=time.wait)


@pytest.fixture
def caller(database: Database, here: Any, time: Time, tenant: UUID, make_key: Callable[..., Awaitable[str]]) -> Any:
    """Makes a key and its caller."""

    async def make(**changes: Any) -> Caller:
        authentication = Authentication(database, PEPPER, now=lambda: here.time, monotonic=time.monotonic)
        found = await authentication.caller(f"Bearer {await make_key(tenant, **changes)}", HERE)
        assert isinstance(found, Caller)
        return found

    return make


def revoking(owner: Database, caller: Caller, here: Any) -> Callable[[], Awaitable[None]]:
    """Revokes a caller's key, and tells nobody."""

    async def revoke() -> None:
        async with owner.tenant(caller.tenant_id) as tx:
            assert await revoke_api_key(tx, caller.tenant_id, caller.key.id, here.time)

    return revoke


async def test_without_any_announcement_a_revoked_keys_stream_ends_within_five_seconds(
    watch: KeyWatch, caller: Any, owner: Database, here: Any, time: Time
) -> None:
    streaming = await caller()
    time.at_each_wait.append(revoking(owner, streaming, here))

    why = await watch.until_refused(streaming)

    assert why is Unauthenticated.REVOKED_KEY
    assert time.waited_s <= LOOK_S < REVOCATION_S


async def test_a_suspended_partners_streams_end(watch: KeyWatch, caller: Any, owner: Database, here: Any, time: Time) -> None:
    streaming = await caller()

    async def suspend() -> None:
        async with owner.without_tenant() as tx:
            await tx.execute(
                text("update partners set suspended_at = :at where id = :id"), {"at": here.time, "id": streaming.tenant_id}
            )

    time.at_each_wait.append(suspend)

    assert await watch.until_refused(streaming) is Unauthenticated.SUSPENDED
    assert time.waited_s <= LOOK_S


async def test_an_expiring_keys_stream_ends_in_that_moment(watch: KeyWatch, caller: Any, here: Any, time: Time) -> None:
    streaming = await caller(expires_at=here.time + timedelta(seconds=10.5))

    why = await watch.until_refused(streaming)

    assert why is Unauthenticated.EXPIRED_KEY
    assert time.waited_s == pytest.approx(10.5)


async def test_a_thousand_streams_of_a_key_share_their_looks(
    watch: KeyWatch, caller: Any, owner: Database, database: Database, here: Any, time: Time
) -> None:
    streaming = await caller()
    time.at_each_wait.append(revoking(owner, streaming, here))

    async with statements_of(database) as seen:
        reasons = await asyncio.gather(*(watch.until_refused(streaming) for _ in range(1000)))

    assert set(reasons) == {Unauthenticated.REVOKED_KEY}
    assert len(seen) < 10, "two statements each time that it is time, not for each stream"


async def test_an_announcement_ends_the_stream_at_once(
    watch: KeyWatch, caller: Any, owner: Database, here: Any, time: Time
) -> None:
    streaming = await caller()
    revoke = revoking(owner, streaming, here)

    async def announced() -> None:
        await revoke()
        watch.changed(streaming.key.id)

    time.at_each_wait.append(announced)

    assert await watch.until_refused(streaming) is Unauthenticated.REVOKED_KEY
    assert time.waited_s == 0


async def test_an_announcement_in_the_middle_of_a_look_is_not_missed(
    watch: KeyWatch, caller: Any, owner: Database, here: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the look has seen is from before; remembered, it would hide the revocation until the next one from all streams of the key."""
    streaming = await caller()
    looks = 0

    async def overtaken(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        seen = await find_api_key(*arguments)
        if looks == 1:
            await revoking(owner, streaming, here)()
            watch.changed(streaming.key.id)
        return seen

    monkeypatch.setattr("app.key_watch.find_api_key", overtaken)

    reasons = await asyncio.gather(*(watch.until_refused(streaming) for _ in range(2)))

    assert set(reasons) == {Unauthenticated.REVOKED_KEY}
    assert time.waited_s == 0


async def test_while_the_database_is_away_a_stream_goes_on_and_still_expires(caller: Any, here: Any, time: Time) -> None:
    streaming = await caller(expires_at=here.time + timedelta(seconds=30))
    away = Database("postgresql://nobody:x@127.0.0.1:1/none")
    watch = KeyWatch(away, now=lambda: here.time, monotonic=time.monotonic, wait=time.wait)

    why = await watch.until_refused(streaming)

    assert why is Unauthenticated.EXPIRED_KEY
    assert time.waited_s == pytest.approx(30)
    await away.close()


async def test_what_ends_leaves_nothing_behind(watch: KeyWatch, caller: Any, here: Any) -> None:
    await watch.until_refused(await caller(expires_at=here.time + timedelta(seconds=1)))

    assert watch._watched == {}


@asynccontextmanager
async def two_processes(
    urls: Any, redis_url: str, here: Any, bank: Any, key: str, tenant: UUID
) -> AsyncIterator[tuple[Api, Api]]:
    """Two APIs that share a Redis and a database."""
    settings = settings_for(urls.app, redis_url=redis_url)
    async with serving(settings, here.world, bank) as one, serving(settings, here.world, bank) as other:
        for app, _ in (one, other):
            wakeups: RedisWakeups = app.state.house.wakeups
            await asyncio.gather(wakeups.publishing.wait(), wakeups.listening.wait())
        yield Api(one[1], one[0], key, tenant), Api(other[1], other[0], key, tenant)


VIEWER = "{ viewer { apiKey { id } } }"
REVOKE = "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { __typename } }"


async def test_a_key_that_is_revoked_in_one_process_is_refused_in_the_other_as_soon_as_it_hears(
    database_urls: Any, redis_server: Any, here: Any, bank_line: Any, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    key = await make_key(tenant)
    async with (
        asyncio.timeout(PATIENCE_S),
        two_processes(database_urls, redis_server.url, here, bank_line, key, tenant) as (one, other),
    ):
        key_id = (await other.ask(VIEWER))["viewer"]["apiKey"]["id"]
        wakeups = other.app.state.house.wakeups
        told = asyncio.Event()
        wakeups.hear(ACCESS_CHANNEL, lambda _: told.set())

        await one.ask(REVOKE, input={"idempotencyKey": one.fresh("key"), "apiKeyId": key_id})
        await told.wait()

        assert (await other.post({"query": VIEWER})).status_code == 401


async def test_a_stream_in_another_process_ends_when_the_command_line_announces(
    database_urls: Any,
    redis_server: Any,
    here: Any,
    bank_line: Any,
    owner: Database,
    tenant: UUID,
    make_key: Callable[..., Awaitable[str]],
) -> None:
    """With the real clock: without the announcement it would take four seconds, and `wait` below would not let it."""
    key = await make_key(tenant)
    async with (
        asyncio.timeout(PATIENCE_S),
        two_processes(database_urls, redis_server.url, here, bank_line, key, tenant) as (_, other),
    ):
        found = await other.app.state.graphql._authentication.caller(f"Bearer {key}", HERE)
        watch: KeyWatch = other.app.state.key_watch
        waiting = asyncio.Event()

        async def wait(future: asyncio.Future[Any], _: float) -> None:
            waiting.set()
            await future

        watch._wait = wait
        stream = asyncio.create_task(watch.until_refused(found))
        await waiting.wait()

        await revoking(owner, found, here)()
        assert await announce_access_once(redis_server.url, [found.key.id])

        assert await stream is Unauthenticated.REVOKED_KEY


async def test_without_redis_the_command_line_says_that_it_told_nobody() -> None:
    assert not await announce_access_once("redis://127.0.0.1:1/0", [UUID(int=1)])


async def test_a_look_that_was_under_way_when_its_key_changed_is_neither_remembered_nor_shared(
    database: Database, owner: Database, here: Any, time: Time, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    authentication = Authentication(database, PEPPER, now=lambda: here.time, monotonic=time.monotonic)
    header = f"Bearer {await make_key(tenant)}"
    ask = authentication._ask

    looks = 0

    async def overtaken(key_hash: bytes) -> Any:
        nonlocal looks
        looks += 1
        answer = asyncio.ensure_future(ask(key_hash))
        await asyncio.sleep(0)
        if looks == 1:
            authentication.changed(tenant)
            late.append(asyncio.ensure_future(authentication.caller(header, HERE)))
            await asyncio.sleep(0)
        return await answer

    late: list[asyncio.Future[Any]] = []
    authentication._ask = overtaken  # type: ignore[method-assign]

    await authentication.caller(header, HERE)

    await late[0]
    assert looks == 2, "who came after the change has not shared the look that began before it"
    assert len(authentication._known) == 1


@pytest.mark.parametrize("mode", Mode)
async def test_a_change_of_a_tenant_is_forgotten_for_its_keys_only(
    database: Database, here: Any, time: Time, tenant: UUID, make_key: Callable[..., Awaitable[str]], mode: Mode
) -> None:
    authentication = Authentication(database, PEPPER, now=lambda: here.time, monotonic=time.monotonic)
    for each in Mode:
        await authentication.caller(f"Bearer {await make_key(tenant_of(tenant, each))}", HERE)

    authentication.changed(tenant_of(tenant, mode))

    (left,) = authentication._known.values()
    assert left[1].id != tenant_of(tenant, mode)


async def test_the_last_use_of_a_key_is_written_once_for_all_its_uses(api: Api, here: Any) -> None:
    mine = "{ apiKeys { nodes { lastUsedAt } } }"
    database: Database = api.app.state.house.parts.database
    for _ in range(5):
        here.pass_by(1)
        await api.ask(VIEWER)

    async with statements_of(database) as seen:
        await api.app.state.last_used.write()
        await api.app.state.last_used.write()

    assert len([each for each in seen if "last_used_at" in each]) == 1
    (key,) = (await api.ask(mine))["apiKeys"]["nodes"]
    assert key["lastUsedAt"] == here.time.isoformat().replace("+00:00", "Z")


async def test_what_could_not_be_written_is_kept_for_the_next_time(api_on_a_line: Api, database_line: Any, here: Any) -> None:
    api = api_on_a_line
    await api.ask(VIEWER)
    used_at = here.time
    await database_line.cut()
    with pytest.raises(DatabaseAway):
        await api.app.state.last_used.write()
    await database_line.restore()

    await api.app.state.last_used.write()

    here.pass_by(60)
    (key,) = (await api.ask("{ apiKeys { nodes { lastUsedAt } } }"))["apiKeys"]["nodes"]
    assert key["lastUsedAt"] == used_at.isoformat().replace("+00:00", "Z")


async def test_a_key_that_was_refused_was_not_used(api: Api, here: Any, make_key: Callable[..., Awaitable[str]]) -> None:
    expired = api.as_somebody(api.tenant, await make_key(api.tenant, expires_at=here.time))

    await expired.post({"query": VIEWER})
    await api.app.state.last_used.write()

    used = [each["lastUsedAt"] for each in (await api.ask("{ apiKeys { nodes { lastUsedAt } } }"))["apiKeys"]["nodes"]]
    assert used == [None, None], "the test's own key is noted by the question itself, and not written yet"
