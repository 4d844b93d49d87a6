"""Who is asking: every way to have no key, and how fast a revoked one is refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from app import keys
from app.authentication import CACHED_KEYS, REMEMBERED_S, REVOCATION_S, SLOW_LOOK_S, Authentication
from app.wrong_keys import AT_ONCE, BURST, EVERY_S
from domain.access import Refused, Unauthenticated
from domain.api_key import is_well_formed, new_api_key
from domain.caller import Caller
from domain.ids import IdKind, decode_id_of
from domain.partner import Mode
from persistence.api_keys import list_api_keys, revoke_api_key
from persistence.database import Database
from tests.app.serving import Api, raw

HERE = ip_address("192.0.2.1")
VIEWER = "{ viewer { apiKey { id } } }"
STRANGER = new_api_key(Mode.LIVE, 2**200 + 12345)
PEPPER = keys.key_for(b"p" * 32, keys.API_KEYS)


class Clock:
    """A monotonic clock that stands still unless told otherwise."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def statements_of(database: Database) -> AsyncIterator[list[str]]:
    """The statements that a database runs meanwhile."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authentication(database: Database, clock: Clock, here: Any) -> Authentication:
    return Authentication(database, PEPPER, now=lambda: here.time, monotonic=clock)


async def revoke(owner: Database, tenant: UUID) -> None:
    """Revoke the tenant's only key."""
    async with owner.tenant(tenant) as tx:
        (key,) = await list_api_keys(tx, tenant)
        assert await revoke_api_key(tx, tenant, key.id, key.created_at)


BAD = {
    "missing": ("", "MISSING_KEY"),
    "no scheme": (STRANGER, "MALFORMED_KEY"),
    "another scheme": (f"Basic {STRANGER}", "MALFORMED_KEY"),
    "no key": ("Bearer", "MALFORMED_KEY"),
    "a blank key": ("Bearer  ", "MALFORMED_KEY"),
    "a typing error": (f"Bearer {STRANGER[:-1]}{'0' if STRANGER[-1] != '0' else '1'}", "MALFORMED_KEY"),
    "half a key": (f"Bearer {STRANGER[:20]}", "MALFORMED_KEY"),
    "two keys": (f"Bearer {STRANGER} {STRANGER}", "MALFORMED_KEY"),
    "a JWT": ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "MALFORMED_KEY"),
    "beyond ASCII": ("Bearer \xe9", "MALFORMED_KEY"),
    "very long": ("Bearer " + "x" * 50_000, "MALFORMED_KEY"),
    "unknown": (f"Bearer {STRANGER}", "UNKNOWN_KEY"),
}


@pytest.mark.parametrize(("header", "reason"), BAD.values(), ids=BAD.keys())
async def test_without_a_good_key_the_answer_is_401_and_says_why(api: Api, header: str, reason: str) -> None:
    sent = [(b"content-type", b"application/json"), *([(b"authorization", header.encode("latin-1"))] if header else [])]

    response = await api.http.post("/graphql", content=f'{{"query": "{VIEWER}"}}', headers=sent)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="partner-api"'
    assert list(response.json()) == ["errors"]
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED", "reason": reason, "path": ["Authorization"]}
    assert error["message"] == Unauthenticated[reason].value
    assert STRANGER not in response.text


@pytest.mark.parametrize("media_type", ["application/json", "application/graphql-response+json"])
async def test_the_401_comes_in_the_media_type_that_was_asked_for(api: Api, media_type: str) -> None:
    response = await api.post({"query": VIEWER}, Authorization="", Accept=media_type)

    assert response.status_code == 401
    assert response.headers["content-type"].startswith(media_type)


async def test_who_has_no_key_learns_nothing_about_his_body(api: Api) -> None:
    response = await api.post(b"not even JSON", Authorization="")

    assert response.status_code == 401


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "Bearer {} "])
async def test_a_good_key_is_taken_in_the_usual_spellings_of_the_header(
    authentication: Authentication, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]], header: str
) -> None:
    caller = await authentication.caller(header.format(await make_key(tenant)), HERE)

    assert isinstance(caller, Caller)
    assert caller.tenant_id == tenant


async def test_the_viewer_is_the_key_that_was_presented(api: Api) -> None:
    viewer = (await api.ask("{ viewer { partner { id name } apiKey { id name prefix createdAt revokedAt } } }"))["viewer"]

    assert decode_id_of(IdKind.PARTNER, viewer["partner"]["id"]) == api.tenant
    assert viewer["apiKey"]["prefix"] == api.key[:12]
    assert viewer["apiKey"]["revokedAt"] is None
    assert api.key not in str(viewer)


async def test_a_mistyped_key_never_reaches_the_database(
    authentication: Authentication, database: Database, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    key = await make_key(tenant)
    mistyped = [key[:place] + ("x" if key[place] != "x" else "y") + key[place + 1 :] for place in range(len(key))]

    async with statements_of(database) as seen:
        answers = [await authentication.caller(f"Bearer {each}", HERE) for each in mistyped]

    assert not any(is_well_formed(each) for each in mistyped)
    assert answers == [Refused(Unauthenticated.MALFORMED_KEY)] * len(mistyped)
    assert seen == []


async def test_a_good_key_is_looked_up_once_in_five_seconds(
    authentication: Authentication, database: Database, clock: Clock, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    key = await make_key(tenant)

    async with statements_of(database) as seen:
        for _ in range(3):
            await authentication.caller(f"Bearer {key}", HERE)
        at_first = len(seen)
        clock.now_s += REVOCATION_S
        await authentication.caller(f"Bearer {key}", HERE)

    assert (at_first, len(seen)) == (1, 2)


async def test_a_revoked_key_is_refused_after_five_seconds_at_the_latest(
    authentication: Authentication,
    owner: Database,
    clock: Clock,
    tenant: UUID,
    make_key: Callable[[UUID], Awaitable[str]],
) -> None:
    """Being used all the time does not keep it alive."""
    header = f"Bearer {await make_key(tenant)}"
    assert isinstance(await authentication.caller(header, HERE), Caller)
    await revoke(owner, tenant)

    meanwhile = []
    for _ in range(4):
        clock.now_s += REMEMBERED_S / 4 - 0.01
        meanwhile.append(await authentication.caller(header, HERE))
    clock.now_s += 0.04
    afterwards = await authentication.caller(header, HERE)

    assert REMEMBERED_S + SLOW_LOOK_S <= REVOCATION_S
    assert all(isinstance(each, Caller) for each in meanwhile)
    assert afterwards == Refused(Unauthenticated.REVOKED_KEY)


async def test_a_revoked_key_is_a_401_that_says_so(api: Api, owner: Database) -> None:
    await revoke(owner, api.tenant)

    response = await api.post({"query": VIEWER})

    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["reason"] == "REVOKED_KEY"


def refused_with(response: Any) -> tuple[int, str, str]:
    """Status, code and reason of a refusal."""
    extensions = response.json()["errors"][0]["extensions"]
    return response.status_code, extensions["code"], extensions["reason"]


async def test_an_expired_key_is_a_401_from_that_very_moment_on(
    api: Api, here: Any, make_key: Callable[..., Awaitable[str]]
) -> None:
    key = await make_key(api.tenant, expires_at=here.time + timedelta(seconds=1))
    mortal = api.as_somebody(api.tenant, key)
    before = await mortal.post({"query": VIEWER})

    here.pass_by(1)

    assert before.status_code == 200
    assert refused_with(await mortal.post({"query": VIEWER})) == (401, "UNAUTHENTICATED", "EXPIRED_KEY")


async def test_a_suspended_partner_is_a_403_for_its_good_keys(api: Api, owner: Database, here: Any) -> None:
    async with owner.without_tenant() as tx:
        await tx.execute(text("update partners set suspended_at = :at where id = :id"), {"at": here.time, "id": api.tenant})

    response = await api.post({"query": VIEWER})

    assert refused_with(response) == (403, "FORBIDDEN", "SUSPENDED")
    assert "www-authenticate" not in response.headers


async def test_a_key_is_good_from_its_networks_only(
    authentication: Authentication, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    header = f"Bearer {await make_key(tenant, networks=networks)}"

    answers = {
        address: await authentication.caller(header, ip_address(address))
        for address in ("192.0.2.255", "2001:db8::1", "192.0.3.0", "2001:db9::1", "::")
    }

    let_in = {address for address, answer in answers.items() if isinstance(answer, Caller)}
    assert let_in == {"192.0.2.255", "2001:db8::1"}
    assert answers["::"] == Refused(Unauthenticated.ADDRESS_NOT_ALLOWED)


async def test_a_spoofed_header_opens_no_network(api: Api, make_key: Callable[..., Awaitable[str]]) -> None:
    bound = api.as_somebody(api.tenant, await make_key(api.tenant, networks=(ip_network("192.0.2.0/24"),)))

    response = await bound.post({"query": VIEWER}, X_Forwarded_For="192.0.2.1", X_Real_IP="192.0.2.1", Forwarded="for=192.0.2.1")

    assert refused_with(response) == (403, "FORBIDDEN", "ADDRESS_NOT_ALLOWED")


async def test_ten_thousand_wrong_keys_cost_no_more_looks_than_the_bucket_holds(
    authentication: Authentication, database: Database, clock: Clock
) -> None:
    guesses = [f"Bearer {new_api_key(Mode.LIVE, 2**180 + guess)}" for guess in range(10_000)]

    async with statements_of(database) as seen:
        answers = await asyncio.gather(*(authentication.caller(guess, HERE) for guess in guesses))
        clock.now_s += EVERY_S * (answers.count(Refused(Unauthenticated.UNKNOWN_KEY)) - BURST + 1)
        again = [await authentication.caller(guess, HERE) for guess in guesses[:2]]

    looked_up = answers.count(Refused(Unauthenticated.UNKNOWN_KEY))
    assert BURST <= looked_up < BURST + AT_ONCE
    assert {each.why for each in answers} == {Unauthenticated.UNKNOWN_KEY, Unauthenticated.TOO_MANY_WRONG_KEYS}
    assert len(seen) == looked_up + 1
    assert again == [Refused(Unauthenticated.UNKNOWN_KEY), Refused(Unauthenticated.TOO_MANY_WRONG_KEYS, 1)]


async def test_a_guesser_locks_nobody_out_elsewhere_and_no_key_that_was_good_here(
    authentication: Authentication, clock: Clock, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    met, new = f"Bearer {await make_key(tenant)}", f"Bearer {await make_key(tenant)}"
    await authentication.caller(met, HERE)

    for guess in range(BURST + 1):
        await authentication.caller(f"Bearer {new_api_key(Mode.LIVE, 2**180 + guess)}", HERE)
    clock.now_s += EVERY_S / 2

    assert isinstance(await authentication.caller(new, ip_address("192.0.2.2")), Caller)
    clock.now_s += REVOCATION_S  # what is remembered of it is too old: it has to be looked up again
    for guess in range(BURST + 1):
        await authentication.caller(f"Bearer {new_api_key(Mode.LIVE, 2**180 + guess)}", HERE)
    assert isinstance(await authentication.caller(met, HERE), Caller)


async def test_good_keys_are_not_counted_as_guesses(
    authentication: Authentication, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    answers = [await authentication.caller(f"Bearer {await make_key(tenant)}", HERE) for _ in range(BURST + 1)]

    assert all(isinstance(each, Caller) for each in answers)


async def test_a_hundred_good_keys_that_come_at_once_are_all_let_in(
    authentication: Authentication, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    """As after a restart, behind a proxy that nobody told us of."""
    good = [await make_key(tenant) for _ in range(BURST + AT_ONCE + 1)]

    answers = await asyncio.gather(*(authentication.caller(f"Bearer {key}", HERE) for key in good * 4))

    assert all(isinstance(each, Caller) for each in answers)


async def test_one_ipv6_customer_is_one_guesser(authentication: Authentication) -> None:
    guesses = [(new_api_key(Mode.LIVE, 2**180 + guess), ip_address(f"2001:db8::{guess:x}")) for guess in range(BURST + 1)]

    answers = [await authentication.caller(f"Bearer {key}", address) for key, address in guesses]

    assert answers[-1] == Refused(Unauthenticated.TOO_MANY_WRONG_KEYS, 1)


async def test_a_rush_with_a_new_good_key_is_one_look_and_no_guessing(
    authentication: Authentication, database: Database, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    key = await make_key(tenant)

    async with statements_of(database) as seen:
        answers = await asyncio.gather(*(authentication.caller(f"Bearer {key}", HERE) for _ in range(5 * BURST)))

    assert {type(answer) for answer in answers} == {Caller}
    assert len(seen) == 1


async def test_whoever_leaves_does_not_end_the_look_that_others_wait_for(
    authentication: Authentication, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]]
) -> None:
    key = await make_key(tenant)
    first = asyncio.ensure_future(authentication.caller(f"Bearer {key}", HERE))
    second = asyncio.ensure_future(authentication.caller(f"Bearer {key}", HERE))
    await asyncio.sleep(0)

    first.cancel()

    assert isinstance(await second, Caller)


async def test_too_many_wrong_keys_are_a_429_that_says_when_to_come_again(api: Api) -> None:
    for guess in range(BURST):
        await api.post({"query": VIEWER}, Authorization=f"Bearer {new_api_key(Mode.LIVE, 2**180 + guess)}")

    response = await api.post({"query": VIEWER}, Authorization=f"Bearer {STRANGER}")

    assert refused_with(response) == (429, "RATE_LIMITED", "TOO_MANY_WRONG_KEYS")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "url",
    ["/graphql?key={}", "/graphql?query=%7B__typename%7D&api%5Fkey=%67p%5Flive%5Fabc", "/{}", "/graphql/{}/x", "/healthz?{}"],
)
async def test_a_key_in_a_url_is_refused_unread_with_the_advice_to_revoke_it(
    api: Api, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with statements_of(api.app.state.house.parts.database) as seen:
        response = await api.http.get(url.format(api.key), headers=api.authorization)

    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "KEY_IN_URL"
    assert "Revoke" in error["message"]
    assert seen == []
    assert api.key not in response.text
    assert not [each for each in caplog.records if api.key in each.getMessage() and each.name != "httpx"]


async def test_a_socket_with_a_key_in_its_url_is_not_opened(api: Api) -> None:
    asked = {"type": "websocket", "query_string": f"key={api.key}".encode(), "subprotocols": ["graphql-transport-ws"]}

    sent = await raw(api.app, asked, {"type": "websocket.connect"})

    assert [(each["type"], each["code"]) for each in sent] == [("websocket.close", 1008)]
    assert api.key not in str(sent)


async def test_a_new_key_works_at_once_even_if_it_was_tried_before(
    authentication: Authentication, owner: Database, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]], here: Any
) -> None:
    """What is unknown is not remembered."""
    state = here.chance.getstate()
    upcoming = new_api_key(Mode.LIVE, here.chance.getrandbits(256))
    before = await authentication.caller(f"Bearer {upcoming}", HERE)
    here.chance.setstate(state)

    key = await make_key(tenant)

    assert key == upcoming
    assert before == Refused(Unauthenticated.UNKNOWN_KEY)
    assert isinstance(await authentication.caller(f"Bearer {key}", HERE), Caller)


async def test_strangers_do_not_push_known_keys_out(
    authentication: Authentication, database: Database, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]], here: Any
) -> None:
    header = f"Bearer {await make_key(tenant)}"
    await authentication.caller(header, HERE)

    for _ in range(50):
        await authentication.caller(f"Bearer {new_api_key(Mode.LIVE, here.chance.getrandbits(256))}", HERE)

    async with statements_of(database) as seen:
        await authentication.caller(header, HERE)
    assert seen == []
    assert CACHED_KEYS >= 1000


async def test_a_key_under_another_pepper_is_unknown(
    database: Database, clock: Clock, tenant: UUID, make_key: Callable[[UUID], Awaitable[str]], here: Any
) -> None:
    other = Authentication(database, keys.key_for(b"q" * 32, keys.API_KEYS), now=lambda: here.time, monotonic=clock)

    caller = await other.caller(f"Bearer {await make_key(tenant)}", HERE)

    assert caller == Refused(Unauthenticated.UNKNOWN_KEY)
