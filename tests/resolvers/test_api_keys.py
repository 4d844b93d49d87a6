"""API keys by API: made, shown once, rotated with an overlap, revoked; each change once, whatever is repeated."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.api_key import is_well_formed
from domain.key_request import DEFAULT_OVERLAP_S, MAX_KEYS, MAX_NETWORKS, MAX_OVERLAP_S
from domain.partner import Mode, tenant_of
from domain.scope import ALL_SCOPES, Scope
from gateway.reaper import KEEP, Reaper
from persistence.api_keys import lock_api_keys
from persistence.database import Database
from tests.app.serving import Api, BankLine, mutation, serving, settings_for

FIELDS = "id name prefix mode scopes createdAt expiresAt allowedNetworks lastUsedAt revokedAt replacedBy"
LIST = f"""query ($first: Int, $after: String) {{
    apiKeys(first: $first, after: $after) {{ edges {{ cursor }} nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }}
}}"""
VIEWER = "{ viewer { apiKey { id } } }"


def change(verb: str) -> str:
    """A mutation's document."""
    name, extra = f"{verb[0].upper()}{verb[1:]}ApiKey", "" if verb == "revoke" else " secret"
    extra += f" replaced {{ {FIELDS} }}" if verb == "rotate" else ""
    return f"""mutation ($input: {name}Input!) {{ {verb}ApiKey(input: $input) {{
        __typename
        ... on {name}Payload {{ replayed apiKey {{ {FIELDS} }}{extra} }}
        ... on UserError {{ code message path }}
        ... on InvalidInputError {{ problems {{ path message }} }}
        {"... on InsufficientScopeError { scopes }" if verb == "rotate" else ""}
        {"... on LimitReachedError { limit }" if verb == "create" else ""}
    }} }}"""


async def do(api: Api, verb: str, **wish: Any) -> Any:
    """The answer of `create`, `rotate` or `revoke`."""
    usual = {"name": "till", "scopes": ["PAYMENTS_READ"]} if verb == "create" else {}
    given = {"idempotencyKey": api.fresh("key"), **usual, **wish}
    return (await api.ask(change(verb), input=given))[f"{verb}ApiKey"]


async def keys_of(api: Api) -> list[Any]:
    """All keys, newest first."""
    return (await api.ask(LIST))["apiKeys"]["nodes"]


async def as_it_is(api: Api, key: Any) -> Any:
    """A key as it is now."""
    return (await api.ask(f"query ($id: ID!) {{ node(id: $id) {{ ... on ApiKey {{ {FIELDS} }} }} }}", id=key["id"]))["node"]


def with_key(api: Api, secret: str) -> Api:
    """The API with another key of the same partner."""
    return api.as_somebody(api.tenant, secret)


async def status(api: Api, secret: str) -> tuple[int, str | None]:
    """How a key is received."""
    response = await with_key(api, secret).post({"query": VIEWER})
    errors = response.json().get("errors")
    return response.status_code, errors[0]["extensions"]["reason"] if errors else None


async def test_a_new_key_is_shown_once_and_works(api: Api) -> None:
    wish = {
        "idempotencyKey": api.fresh("key"),
        "name": "warehouse",
        "scopes": ["PAYMENTS_READ", "EVENTS_READ"],
        "expiresAt": "2027-01-01T00:00:00Z",
        "allowedNetworks": ["127.0.0.0/8", "2001:db8::/32"],
    }

    made = await do(api, "create", **wish)
    again = await do(api, "create", **wish)

    assert is_well_formed(made["secret"])
    assert made["apiKey"] == {
        **made["apiKey"],
        "name": "warehouse",
        "prefix": made["secret"][:12],
        "mode": "LIVE",
        "scopes": ["PAYMENTS_READ", "EVENTS_READ"],
        "expiresAt": "2027-01-01T00:00:00Z",
        "allowedNetworks": ["127.0.0.0/8", "2001:db8::/32"],
        "lastUsedAt": None,
        "revokedAt": None,
        "replacedBy": None,
    }
    assert again == {**made, "secret": None, "replayed": True}
    assert await as_it_is(api, made["apiKey"]) == made["apiKey"]
    assert len(await keys_of(api)) == 2
    assert await status(api, made["secret"]) == (200, None)


async def test_no_secret_is_in_the_database(api: Api, owner: Database) -> None:
    secrets = [(await do(api, "create"))["secret"]]
    made = await do(api, "create")
    secrets += [made["secret"], (await do(api, "rotate", apiKeyId=made["apiKey"]["id"]))["secret"]]

    connection = await owner.engine.raw_connection()
    driver: Any = connection.driver_connection
    rows = [
        row["row"]
        for table in ("api_keys", "remembered_answers")
        for row in await driver.fetch(f"select {table}::text as row from {table}")
    ]
    connection.close()

    assert len(rows) >= 6
    assert not [row for row in rows for secret in secrets if secret[12:] in row]


async def test_a_test_key_makes_test_keys(
    database_urls: Any, bank_line: BankLine, here: Any, tenant: UUID, make_key: Callable[..., Awaitable[str]]
) -> None:
    sandbox = tenant_of(tenant, Mode.TEST)
    settings = settings_for(database_urls.app, sandbox_bank_url="http://sandbox")
    async with serving(settings, here.world, bank_line, bank_line) as (app, http):
        tester = Api(http, app, await make_key(sandbox), sandbox)
        api = tester.as_somebody(tenant, await make_key(tenant))

        made = await do(tester, "create")
        live = await keys_of(api)

    assert made["secret"].startswith("gp_test_")
    assert made["apiKey"]["mode"] == "TEST"
    assert made["apiKey"]["id"] not in str(live)


BAD = {
    "no scope": ({"scopes": []}, ["input", "scopes"]),
    "a scope not held": ({"scopes": ["KEYS_READ", "REFUNDS_WRITE"]}, ["input", "scopes", "1"]),
    "an expiry in the past": ({"expiresAt": "2026-05-01T00:00:00Z"}, ["input", "expiresAt"]),
    "no network": ({"allowedNetworks": ["203.0.113.0/24", "10.0.0.0/33"]}, ["input", "allowedNetworks", "1"]),
    "a network with bits behind its prefix": ({"allowedNetworks": ["203.0.113.7/24"]}, ["input", "allowedNetworks", "0"]),
    "a name": ({"allowedNetworks": ["example.com"]}, ["input", "allowedNetworks", "0"]),
    "too many networks": ({"allowedNetworks": ["10.0.0.1/32"] * (MAX_NETWORKS + 1)}, ["input", "allowedNetworks"]),
    "no name": ({"name": ""}, ["input", "name"]),
    "no idempotency key": ({"idempotencyKey": ""}, ["input", "idempotencyKey"]),
}


@pytest.mark.parametrize(("wish", "path"), BAD.values(), ids=BAD.keys())
async def test_a_bad_wish_is_refused_with_its_place(
    api: Api, make_key: Callable[..., Awaitable[str]], wish: dict[str, Any], path: list[str]
) -> None:
    scopes = frozenset({Scope.KEYS_READ, Scope.KEYS_WRITE, Scope.PAYMENTS_READ})
    keeper = with_key(api, await make_key(api.tenant, scopes=scopes))

    answer = await do(keeper, "create", **wish)

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", path)
    assert [each["path"] for each in answer["problems"]] == [path]
    assert len(await keys_of(api)) == 2


async def test_an_unknown_scope_is_an_error_that_names_its_place(api: Api) -> None:
    wish = {"idempotencyKey": "x", "name": "x", "scopes": ["MONEY_TAKE"]}

    (error,) = await api.errors(change("create"), input=wish)

    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert "MONEY_TAKE" not in str(error)


async def test_what_was_refused_does_not_use_its_idempotency_key_up(api: Api) -> None:
    key = api.fresh("key")
    await do(api, "create", idempotencyKey=key, scopes=[])
    await do(api, "rotate", idempotencyKey=key, apiKeyId="key_nobodys")

    made = await do(api, "create", idempotencyKey=key)

    assert made["__typename"] == "CreateApiKeyPayload"


async def test_the_same_key_with_other_input_is_a_mismatch_and_nothing_is_done(api: Api) -> None:
    key = api.fresh("key")
    made = await do(api, "create", idempotencyKey=key)

    answers = [
        await do(api, "create", idempotencyKey=key, name="another"),
        await do(api, "create", idempotencyKey=key, scopes=["KEYS_READ"]),
        await do(api, "create", idempotencyKey=key, allowedNetworks=["10.0.0.0/8"]),
        await do(api, "rotate", idempotencyKey=key, apiKeyId=made["apiKey"]["id"]),
        await do(api, "revoke", idempotencyKey=key, apiKeyId=made["apiKey"]["id"]),
    ]

    assert {each["__typename"] for each in answers} == {"IdempotencyMismatchError"}
    assert await as_it_is(api, made["apiKey"]) == made["apiKey"]


async def test_one_idempotency_key_serves_a_payment_or_a_key_and_never_both(api: Api) -> None:
    paid, made, third = api.fresh("key"), api.fresh("key"), api.fresh("key")
    payment = await api.payment(idempotencyKey=paid)
    await do(api, "create", idempotencyKey=made)
    await do(api, "create", idempotencyKey=third)

    key_by_payments = await do(api, "create", idempotencyKey=paid)
    wish = api.wish(idempotencyKey=made)
    payment_by_keys = (await api.ask(mutation("authorizePayment"), input=wish))["authorizePayment"]
    capture_by_keys = await api.operate("capture", payment["id"], third)

    assert key_by_payments["__typename"] == "IdempotencyMismatchError"
    assert payment_by_keys["__typename"] == "IdempotencyMismatchError"
    assert capture_by_keys["__typename"] == "IdempotencyMismatchError"
    assert len(await keys_of(api)) == 3
    again = await api.authorize(orderId=wish["orderId"])
    assert again["__typename"] == "PaymentPayload", "the refused one left no payment behind"


async def test_twenty_at_once_with_one_idempotency_key_make_one_key(api: Api) -> None:
    key = api.fresh("key")

    answers = await asyncio.gather(*(do(api, "create", idempotencyKey=key) for _ in range(20)))

    assert len({each["apiKey"]["id"] for each in answers}) == 1
    assert sorted(each["replayed"] for each in answers) == [False] + [True] * 19
    assert len([each for each in answers if each["secret"]]) == 1
    assert len(await keys_of(api)) == 2


async def test_a_rotation_overlaps_for_a_day_and_hands_everything_over(api: Api, here: Any) -> None:
    old = await do(api, "create", allowedNetworks=["127.0.0.1/32"], scopes=["PAYMENTS_READ", "KEYS_READ"])
    wish = {"idempotencyKey": api.fresh("key"), "apiKeyId": old["apiKey"]["id"]}

    rotated = await do(api, "rotate", **wish)
    again = await do(api, "rotate", **wish)

    new, replaced = rotated["apiKey"], rotated["replaced"]
    same = ("name", "mode", "scopes", "allowedNetworks", "expiresAt")
    assert {field: new[field] for field in same} == {field: old["apiKey"][field] for field in same}
    assert replaced == {
        **old["apiKey"],
        "replacedBy": new["id"],
        "expiresAt": (here.time + timedelta(seconds=DEFAULT_OVERLAP_S)).isoformat().replace("+00:00", "Z"),
    }
    assert again == {**rotated, "secret": None, "replayed": True}
    assert [await as_it_is(api, each) for each in (new, replaced)] == [new, replaced]
    assert await status(api, old["secret"]) == await status(api, rotated["secret"]) == (200, None)
    here.pass_by(DEFAULT_OVERLAP_S)
    assert await status(api, rotated["secret"]) == (200, None)


@pytest.mark.parametrize(("overlap_s", "left_s"), [(0, 0), (60, 60), (MAX_OVERLAP_S, 3600)])
async def test_an_overlap_never_outlives_the_old_keys_own_end(api: Api, here: Any, overlap_s: int, left_s: int) -> None:
    end = here.time + timedelta(hours=1)
    old = await do(api, "create", expiresAt=end.isoformat())

    rotated = await do(api, "rotate", apiKeyId=old["apiKey"]["id"], overlapS=overlap_s)

    assert datetime.fromisoformat(rotated["replaced"]["expiresAt"]) == here.time + timedelta(seconds=left_s)
    assert datetime.fromisoformat(rotated["apiKey"]["expiresAt"]) == end


@pytest.mark.parametrize("overlap_s", [-1, MAX_OVERLAP_S + 1])
async def test_an_overlap_has_bounds(api: Api, overlap_s: int) -> None:
    old = await do(api, "create")

    answer = await do(api, "rotate", apiKeyId=old["apiKey"]["id"], overlapS=overlap_s)

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", ["input", "overlapS"])


async def test_a_key_that_ended_or_has_a_successor_is_not_rotated(api: Api, here: Any) -> None:
    revoked, rotated = await do(api, "create"), await do(api, "create")
    expired = await do(api, "create", expiresAt=(here.time + timedelta(seconds=5)).isoformat())
    await do(api, "revoke", apiKeyId=revoked["apiKey"]["id"])
    await do(api, "rotate", apiKeyId=rotated["apiKey"]["id"])
    here.pass_by(5)

    answers = [await do(api, "rotate", apiKeyId=each["apiKey"]["id"]) for each in (revoked, rotated, expired)]

    assert {each["__typename"] for each in answers} == {"ApiKeyNotUsableError"}
    assert [each["message"].split(".")[0] for each in answers] == [
        "This key has been revoked",
        "This key has a successor already: see its `replacedBy`",
        "This key has expired",
    ]


async def test_two_rotations_at_once_make_one_successor(api: Api) -> None:
    old = await do(api, "create")

    answers = await asyncio.gather(*(do(api, "rotate", apiKeyId=old["apiKey"]["id"]) for _ in range(5)))

    assert sorted(each["__typename"] for each in answers) == ["ApiKeyNotUsableError"] * 4 + ["RotateApiKeyPayload"]
    assert len(await keys_of(api)) == 3


async def test_changes_of_a_partners_keys_are_made_one_after_the_other(api: Api, owner: Database) -> None:
    """Else two that come at once would both count 99 keys, and one that is being revoked could make another."""
    waiting = text("""
        select count(*) from pg_locks
        where not granted and pid in (select pid from pg_stat_activity where datname = current_database())
    """)
    async with owner.tenant(api.tenant) as tx:
        await lock_api_keys(tx, api.tenant)
        change_of_another = asyncio.ensure_future(do(api, "create"))
        async with owner.without_tenant() as looking:
            while (await looking.execute(waiting)).scalar_one() == 0:
                assert not change_of_another.done(), "it did not wait"
        meanwhile = change_of_another.done()

    assert not meanwhile
    assert (await change_of_another)["__typename"] == "CreateApiKeyPayload"


async def test_nobody_gets_scopes_by_rotating_a_key_that_has_them(api: Api, make_key: Callable[..., Awaitable[str]]) -> None:
    keeper = with_key(api, await make_key(api.tenant, scopes=ALL_SCOPES - {Scope.REFUNDS_WRITE}))
    powerful = await do(api, "create", scopes=["REFUNDS_WRITE", "PAYMENTS_READ"])

    answer = await do(keeper, "rotate", apiKeyId=powerful["apiKey"]["id"])

    assert (answer["__typename"], answer["scopes"]) == ("InsufficientScopeError", ["REFUNDS_WRITE"])
    assert await as_it_is(api, powerful["apiKey"]) == powerful["apiKey"]


async def test_a_revoked_key_stays_revoked_as_it_was(api: Api, here: Any) -> None:
    made = await do(api, "create")

    revoked = await do(api, "revoke", apiKeyId=made["apiKey"]["id"])
    here.pass_by(60)
    again = await do(api, "revoke", apiKeyId=made["apiKey"]["id"])

    assert revoked["apiKey"]["revokedAt"]
    assert again == revoked, "another request, the same end"
    assert await status(api, made["secret"]) == (401, "REVOKED_KEY")


async def test_a_revoked_key_makes_no_other_though_it_is_remembered_as_good(api: Api) -> None:
    """What a process knows of a key may be five seconds old; whoever stole one must not use them to stay."""
    stolen = await do(api, "create", scopes=["KEYS_WRITE"])
    thief = with_key(api, stolen["secret"])
    await thief.post({"query": VIEWER})
    authentication = api.app.state.graphql._authentication
    known = dict(authentication._known)

    await do(api, "revoke", apiKeyId=stolen["apiKey"]["id"])
    authentication._known.update(known)
    answer = await do(thief, "create", scopes=["KEYS_WRITE"])

    assert answer["__typename"] == "ApiKeyNotUsableError"


async def test_keys_of_nobody_and_ids_of_other_things_are_not_found(api: Api) -> None:
    payment = await api.payment()

    answers = [
        await do(api, verb, apiKeyId=each)
        for verb in ("rotate", "revoke")
        for each in ("key_00000000000000000000000005", payment["id"], "x", "")
    ]

    assert {(each["__typename"], *each["path"]) for each in answers} == {("NotFoundError", "input", "apiKeyId")}


async def test_the_number_of_usable_keys_is_bounded_and_a_rotation_needs_no_room(
    api: Api, make_key: Callable[..., Awaitable[str]]
) -> None:
    for _ in range(MAX_KEYS - 2):
        await make_key(api.tenant)
    last = await do(api, "create")

    refused = await do(api, "create")
    rotated = await do(api, "rotate", apiKeyId=last["apiKey"]["id"])
    await do(api, "revoke", apiKeyId=rotated["apiKey"]["id"])
    made = await do(api, "create")

    assert (refused["__typename"], refused["limit"]) == ("LimitReachedError", MAX_KEYS)
    assert rotated["__typename"] == "RotateApiKeyPayload"
    assert made["__typename"] == "CreateApiKeyPayload"


async def test_keys_come_in_pages_newest_first(api: Api, here: Any) -> None:
    made = []
    for _ in range(4):
        here.pass_by(1)
        made.append((await do(api, "create"))["apiKey"]["id"])

    first = (await api.ask(LIST, first=2))["apiKeys"]
    second = (await api.ask(LIST, first=9, after=first["pageInfo"]["endCursor"]))["apiKeys"]

    assert [each["id"] for each in first["nodes"] + second["nodes"]][:4] == made[::-1]
    assert len(second["nodes"]) == 3
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


async def test_an_idempotency_key_is_forgotten_when_its_time_has_come(api: Api, here: Any, watch: Database) -> None:
    key = api.fresh("key")
    made = await do(api, "create", idempotencyKey=key)
    reaper = Reaper(api.app.state.house.parts, watch)
    here.pass_by(timedelta(days=30).total_seconds())

    await reaper.run_once()
    kept = await do(api, "create", idempotencyKey=key)
    here.pass_by(KEEP.total_seconds())
    await reaper.run_once()
    forgotten = await do(api, "create", idempotencyKey=key)

    assert kept["apiKey"]["id"] == made["apiKey"]["id"]
    assert forgotten["apiKey"]["id"] != made["apiKey"]["id"]


# --- Events -----------------------------------------------------------------------------------------------------------


async def test_each_change_of_a_key_is_one_event_without_the_secret(api: Api, owner: Database, here: Any) -> None:
    made = await do(api, "create")
    wish = {"apiKeyId": made["apiKey"]["id"], "idempotencyKey": api.fresh("key")}
    rotated = await do(api, "rotate", **wish)
    again = await do(api, "rotate", **wish)
    for _ in range(2):
        await do(api, "revoke", apiKeyId=made["apiKey"]["id"])
        here.pass_by(1)
    await do(api, "revoke", apiKeyId="key_00000000000000000000000005")

    told = (await api.ask("{ events { nodes { sequence type subjectId payment { id } request { idempotencyKey } } } }"))["events"]
    async with owner.tenant(api.tenant) as tx:
        documents = (await tx.execute(text("select subject from events where tenant_id = :t"), {"t": api.tenant})).scalars().all()

    assert again["replayed"]
    assert [(each["sequence"], each["type"]) for each in told["nodes"]] == [
        (1, "API_KEY_CREATED"),
        (2, "API_KEY_ROTATED"),
        (3, "API_KEY_REVOKED"),
    ]
    assert {each["subjectId"] for each in told["nodes"]} == {made["apiKey"]["id"]}
    assert told["nodes"][1]["request"] == {"idempotencyKey": wish["idempotencyKey"]}
    assert documents[1]["replaced_by"] == rotated["apiKey"]["id"]
    assert made["secret"] not in str(documents)
    assert made["apiKey"]["prefix"] not in str(documents)
