"""Browsers of other origins: the partner's own list or the installation's, asked when the key is known, over each wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from app import staff
from app.origins import is_origin
from app.settings import OwnerSettings
from domain.access import Unauthenticated
from domain.ids import IdKind, encode_id
from domain.partner import Mode, tenant_of
from persistence.database import Database
from persistence.partners import get_partner
from tests.app.command_line import Run
from tests.app.serving import Api, BankLine, mutation, serving, settings_for
from tests.app.sockets import Stream, Wire, listening

SHOP, OWN, EVIL = "https://shop.example", "https://own.example:8443", "https://evil.example"
VIEWER = "{ viewer { partner { id } } }"
EVENTS = "subscription { transactionEvents { id } }"


@pytest.fixture
async def api(
    database_urls: Any, here: Any, bank_line: BankLine, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> AsyncIterator[Api]:
    """An installation that lets in the pages of one shop."""
    settings = settings_for(database_urls.app, allowed_origins=SHOP)
    async with serving(settings, here.world, bank_line) as (app, http):
        yield Api(http, app, await make_key(tenant), tenant)


@pytest.fixture
def give(database_urls: Any, api: Api) -> Callable[[list[str] | None], Awaitable[None]]:
    """Gives the partner a list of its own; this process hears of it, as over Redis."""

    async def given(origins: list[str] | None) -> None:
        settings = OwnerSettings(owner_database_url=database_urls.owner)
        assert await staff.set_origins(settings, encode_id(IdKind.PARTNER, api.tenant), origins)
        api.app.state.connections.authentication.changed(api.tenant)

    return given


async def lets_in(api: Api, origin: str, **headers: str) -> bool:
    """Whether a page of this origin is answered."""
    response = await api.post({"query": VIEWER}, Origin=origin, **headers)
    if response.status_code == 403:
        (error,) = response.json()["errors"]
        assert error["extensions"]["reason"] == "ORIGIN_NOT_ALLOWED"
        assert response.headers["access-control-allow-origin"] == "*", "the page may read why"
    return response.status_code == 200


async def test_without_a_list_of_its_own_the_installations_counts(api: Api) -> None:
    assert [await lets_in(api, each) for each in (SHOP, OWN, EVIL, "null")] == [True, False, False, False]


async def test_a_list_of_its_own_takes_the_place_of_the_installations_and_can_be_taken_back(api: Api, give: Any) -> None:
    await give([OWN])
    own = [await lets_in(api, each) for each in (SHOP, OWN, EVIL)]
    await give(["*"])
    everybody = [await lets_in(api, each) for each in (SHOP, OWN, EVIL)]
    await give(None)
    usual = [await lets_in(api, each) for each in (SHOP, OWN, EVIL)]

    assert (own, everybody, usual) == ([False, True, False], [True, True, True], [True, False, False])


async def test_another_partners_list_is_its_own(
    api: Api, give: Any, other_tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    other = api.as_somebody(other_tenant, await make_key(other_tenant))
    await give([OWN])

    assert (await lets_in(api, OWN), await lets_in(other, OWN)) == (True, False)


async def test_programs_and_our_own_pages_need_no_place_in_a_list(api: Api) -> None:
    """The explorer is a page of ours: its origin is the address that it asks."""
    assert (await api.post({"query": VIEWER})).status_code == 200
    assert await lets_in(api, "http://api", Host="api")


async def test_nothing_is_done_for_a_page_that_is_not_let_in(api: Api, bank_line: BankLine) -> None:
    response = await api.post({"query": mutation("authorizePayment"), "variables": {"input": api.wish()}}, Origin=EVIL)

    assert response.status_code == 403
    assert bank_line.requests == 0


async def test_a_preflight_comes_before_the_key_and_is_answered(api: Api) -> None:
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}

    response = await api.http.options("/graphql", headers=asked)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


async def test_a_stream_of_a_page_that_is_not_let_in_does_not_begin(api: Api) -> None:
    async with listening(api.app) as address:
        async with Wire(address, origin=EVIL) as wire:
            await wire.send({"type": "connection_init", "payload": {"authorization": f"Bearer {api.key}"}})
            ending = await wire.closed()
        async with Wire(address, origin=SHOP) as wire:
            await wire.init(api.key)
        async with Stream(address, api.key, EVENTS, headers={"Origin": EVIL}) as refused:
            pass
        async with Stream(address, api.key, EVENTS, headers={"Origin": SHOP}) as followed:
            pass

    assert ending == (4403, Unauthenticated.ORIGIN_NOT_ALLOWED.value.encode()[:123].decode())
    assert (refused.response.status_code, followed.response.status_code) == (403, 200)


@pytest.mark.parametrize("good", ["https://shop.example", "http://localhost:3000", "https://[::1]:8443", "*"])
def test_an_origin_is_a_scheme_and_a_host(good: str) -> None:
    assert is_origin(good)


@pytest.mark.parametrize(
    "bad", ["", "shop.example", "https://shop.example/", "https://Shop.example", "https://*.example", "null", "https://a@b"]
)
def test_anything_else_is_none(bad: str) -> None:
    assert not is_origin(bad)


async def test_the_staff_sets_a_partners_origins_for_both_modes(run: Run, owner: Database, tenant: UUID) -> None:
    partner = encode_id(IdKind.PARTNER, tenant)

    async def stored() -> list[frozenset[str] | None]:
        async with owner.without_tenant() as tx:
            found = [await get_partner(tx, tenant_of(tenant, mode)) for mode in Mode]
        return [each.allowed_origins for each in found if each is not None]

    given = await asyncio.to_thread(run, "partners", "origins", partner, SHOP, OWN)
    lists = await stored()
    back = await asyncio.to_thread(run, "partners", "origins", partner, "--default")
    after = await stored()
    wrong = [
        await asyncio.to_thread(run, "partners", "origins", *arguments)
        for arguments in ((partner,), (partner, "--default", SHOP), (partner, "https://shop.example/path"), ("ptn_nobody", SHOP))
    ]

    assert given == (0, f"The origins are {SHOP}, {OWN}.\n", "")
    assert lists == [frozenset({SHOP, OWN})] * 2
    assert (back[0], after) == (0, [None, None])
    assert [code for code, _, _ in wrong] == [2, 2, 2, 1]
