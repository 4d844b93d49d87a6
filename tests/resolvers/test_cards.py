"""Stored cards by API: added once, whatever is repeated; as many as a user may have; found in pages, below users, and in events."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import text

from app.limits import Charged
from app.operation import Operation
from domain.ids import IdKind, decode_id_of, encode_id
from domain.scope import ALL_SCOPES, Scope
from persistence.card_numbers import get_card_numbers
from persistence.database import Database
from persistence.partners import set_cards_per_user
from tests.app.serving import Api
from tests.persistence.everything import everything_on_record
from tests.resolvers.cards import CARD, HISTORY, add, card_by, do, number
from tests.resolvers.users import change, make

NUMBER, OTHER = "4111111111111111", "5555555555554444"
LIST = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: CardFilter) {
    cards(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        nodes { id lastFour } totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}"""
EVENTS = f"""{{ events(first: 100) {{ nodes {{
    type subjectId previousState previousCardState card {{ {CARD} }} user {{ id name }} payment {{ id }} request {{ idempotencyKey }}
}} }} }}"""
LOG = "query ($subject: ID) { auditLog(filter: { subject: $subject }) { nodes { action note idempotencyKey } } }"


async def events_of(api: Api, *kinds: str) -> list[Any]:
    """What happened, oldest first; to cards unless said otherwise."""
    found = (await api.ask(EVENTS))["events"]["nodes"]
    return [each for each in found if each["type"].startswith(kinds or ("CARD",))]


async def cards_of(api: Api, user_id: str, **where: Any) -> list[str]:
    """The ids of a user's cards, newest first."""
    return [each["id"] for each in (await api.ask(LIST, filter={"userId": user_id, **where}))["cards"]["nodes"]]


async def test_a_card_is_added_once_and_shown_without_its_number(api: Api, here: Any) -> None:
    user = await make(api)
    wish = {"idempotencyKey": api.fresh("key"), "userId": user["id"], "number": "4111-1111 1111 1111"}

    added = await do(api, "add", **wish)
    again = await do(api, "add", **wish)

    now = here.time.isoformat().replace("+00:00", "Z")
    card = added["card"]
    assert card == {
        "id": card["id"],
        "userId": user["id"],
        "kind": "ADDED",
        "brand": "VISA",
        "lastFour": "1111",
        "expiryMonth": 12,
        "expiryYear": 2030,
        "state": "ACTIVE",
        "reason": None,
        "createdAt": now,
        "stateSince": now,
        "limits": {"perTransaction": None, "perDay": None, "perMonth": None},
        "history": [{"before": None, "after": "ACTIVE", "reason": None, "actor": "test", "at": now}],
    }
    assert card["id"].startswith("card_")
    assert (added["alreadyThere"], added["replayed"]) == (False, False)
    assert again == {**added, "replayed": True}
    assert await card_by(api, card["id"]) == card
    node = (await api.ask(f"query ($id: ID!) {{ node(id: $id) {{ ... on Card {{ {CARD} {HISTORY} }} }} }}", id=card["id"]))[
        "node"
    ]
    assert node == card


async def test_no_number_is_on_record_and_the_vault_opens_it(api: Api, owner: Database) -> None:
    secret = number(987_654_321)
    wish = {"idempotencyKey": api.fresh("key"), "userId": (await make(api))["id"], "number": secret}
    card = (await do(api, "add", **wish))["card"]

    on_record = await everything_on_record(owner)

    card_id = decode_id_of(IdKind.CARD, card["id"])
    assert card_id is not None
    async with owner.tenant(api.tenant) as tx:
        sealed = (await get_card_numbers(tx, api.tenant, [card_id]))[card_id]
    assert sealed.hex() in on_record, "the search finds what there is"
    assert not [each for each in (secret, secret.encode().hex(), secret[:12]) if each in on_record]
    assert await api.app.state.house.parts.vault.open_number(api.tenant, card_id, sealed) == secret


BAD = {
    "a number that fails the Luhn check": ({"number": "4111111111111112"}, ["input", "number"]),
    "too few digits": ({"number": "411111"}, ["input", "number"]),
    "no number": ({"number": ""}, ["input", "number"]),
    "a month that is over": ({"expiryMonth": 5, "expiryYear": 2026}, ["input", "expiryMonth"]),
    "a year that is over": ({"expiryYear": 2025}, ["input", "expiryYear"]),
    "no month": ({"expiryMonth": 13}, ["input", "expiryMonth"]),
    "two digits of a year": ({"expiryYear": 30}, ["input", "expiryYear"]),
    "no idempotency key": ({"idempotencyKey": ""}, ["input", "idempotencyKey"]),
}


@pytest.mark.parametrize(("wish", "path"), BAD.values(), ids=BAD.keys())
async def test_a_bad_card_is_refused_with_its_place(api: Api, wish: dict[str, Any], path: list[str]) -> None:
    user = await make(api)

    answer = await do(api, "add", userId=user["id"], **wish)

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", path)
    assert "41111" not in str(answer)
    assert await cards_of(api, user["id"]) == []


async def test_a_card_is_good_in_its_last_month(api: Api, here: Any) -> None:
    card = await add(api, expiryMonth=here.time.month, expiryYear=here.time.year)

    assert card["state"] == "ACTIVE"


async def test_users_of_others_and_ids_of_other_things_are_not_found(api: Api, other: Api) -> None:
    theirs = await make(other)
    ids = [theirs["id"], encode_id(IdKind.USER, api.tenant), encode_id(IdKind.CARD, api.tenant), "x", ""]

    answers = [await do(api, "add", userId=each) for each in ids]

    assert {(each["__typename"], *each["path"]) for each in answers} == {("NotFoundError", "input", "userId")}
    assert await cards_of(other, theirs["id"]) == []


async def test_the_same_number_twice_is_one_card(api: Api) -> None:
    user = await make(api)
    card = await add(api, userId=user["id"])

    again = await do(api, "add", userId=user["id"], number="4111 1111 1111 1111")

    assert again == {"__typename": "AddCardPayload", "alreadyThere": True, "replayed": False, "card": card}
    assert await cards_of(api, user["id"]) == [card["id"]]
    assert [each["type"] for each in await events_of(api)] == ["CARD_ADDED"]


async def test_the_same_number_of_two_users_is_two_cards(api: Api, other: Api) -> None:
    answers = [await do(each, "add", userId=(await make(each))["id"]) for each in (api, api, other)]

    assert len({each["card"]["id"] for each in answers}) == 3
    assert [each["alreadyThere"] for each in answers] == [False] * 3


async def test_another_expiry_renews_the_card(api: Api, here: Any) -> None:
    user = await make(api)
    card = await add(api, userId=user["id"], expiryMonth=6, expiryYear=2026)
    await do(api, "freeze", cardId=card["id"])
    here.pass_by(60)

    renewed = await do(api, "add", userId=user["id"], expiryMonth=7, expiryYear=2031)

    after = renewed["card"]
    assert (after["id"], renewed["alreadyThere"]) == (card["id"], True)
    assert (after["expiryMonth"], after["expiryYear"], after["state"]) == (7, 2031, "FROZEN")
    assert [step["after"] for step in after["history"]] == ["ACTIVE", "FROZEN"]
    told = (await events_of(api))[-1]
    assert (told["type"], told["previousCardState"], told["card"]["expiryYear"]) == ("CARD_RENEWED", "FROZEN", 2031)


@pytest.mark.parametrize("reason", ["LOST", "STOLEN", "FRAUD"])
async def test_a_compromised_number_never_comes_back_for_its_user(api: Api, reason: str) -> None:
    user = await make(api)
    card = await add(api, userId=user["id"])
    await do(api, "close", cardId=card["id"], reason=reason)

    refused = await do(api, "add", userId=user["id"], expiryYear=2031)
    elsewhere = await add(api)

    assert (refused["__typename"], refused["path"]) == ("CardNotUsableError", ["input", "number"])
    assert (refused["cardId"], refused["cardState"]) == (card["id"], "CLOSED")
    assert reason in refused["message"]
    assert elsewhere["state"] == "ACTIVE", "another user's card with this number is not theirs to judge"


async def test_a_number_that_was_closed_on_request_comes_back_as_another_card(api: Api) -> None:
    user = await make(api)
    first = await add(api, userId=user["id"])
    await do(api, "close", cardId=first["id"], reason="CUSTOMER_REQUEST")

    second = await add(api, userId=user["id"])

    assert second["id"] != first["id"]
    assert (await card_by(api, first["id"]))["state"] == "CLOSED"


@pytest.mark.parametrize(("verb", "state"), [("deactivate", "DEACTIVATED"), ("erase", "ERASED")])
async def test_no_card_is_added_for_a_user_who_is_gone(api: Api, verb: str, state: str) -> None:
    user = await make(api)
    await change(api, verb, userId=user["id"])

    answer = await do(api, "add", userId=user["id"])

    assert (answer["__typename"], answer["path"]) == ("UserNotUsableError", ["input", "userId"])
    assert (answer["userId"], answer["userState"]) == (user["id"], state)
    assert await cards_of(api, user["id"]) == []


async def test_twenty_cards_at_once_become_five(api: Api) -> None:
    user = await make(api)

    answers = await asyncio.gather(*(do(api, "add", userId=user["id"], number=number(each)) for each in range(20)))

    added = [each for each in answers if each["__typename"] == "AddCardPayload"]
    refused = [each for each in answers if each["__typename"] == "LimitReachedError"]
    assert (len(added), len(refused)) == (5, 15)
    assert {each["limit"] for each in refused} == {5}
    assert len(await cards_of(api, user["id"])) == len(await events_of(api)) == 5


async def test_one_number_twenty_times_at_once_is_one_card(api: Api) -> None:
    user = await make(api)

    answers = await asyncio.gather(*(do(api, "add", userId=user["id"]) for _ in range(20)))

    assert len({each["card"]["id"] for each in answers}) == 1
    assert sorted(each["alreadyThere"] for each in answers) == [False] + [True] * 19
    assert len(await events_of(api)) == 1


async def test_a_closed_card_makes_room_and_a_known_one_needs_none(api: Api, owner: Database) -> None:
    user = await make(api)
    async with owner.without_tenant() as tx:
        await set_cards_per_user(tx, [api.tenant], 2)
    first = await add(api, userId=user["id"], number=number(1))
    await add(api, userId=user["id"], number=number(2))

    known = await do(api, "add", userId=user["id"], number=number(2))
    third = await do(api, "add", userId=user["id"], number=number(3))
    await do(api, "close", cardId=first["id"], reason="CUSTOMER_REQUEST")
    again = await do(api, "add", userId=user["id"], number=number(3))

    assert (known["alreadyThere"], third["__typename"], third["limit"]) == (True, "LimitReachedError", 2)
    assert again["__typename"] == "AddCardPayload"


async def test_the_same_key_with_another_card_is_a_mismatch_and_nothing_is_done(api: Api) -> None:
    key, user, somebody = api.fresh("key"), await make(api), await make(api)
    card = await add(api, idempotencyKey=key, userId=user["id"])

    answers = [
        await do(api, "add", idempotencyKey=key, userId=user["id"], number=OTHER),
        await do(api, "add", idempotencyKey=key, userId=user["id"], expiryYear=2031),
        await do(api, "add", idempotencyKey=key, userId=somebody["id"]),
        await do(api, "freeze", idempotencyKey=key, cardId=card["id"]),
    ]

    assert {each["__typename"] for each in answers} == {"IdempotencyMismatchError"}
    assert await cards_of(api, user["id"]) == [card["id"]]


async def test_a_repetition_shows_the_card_as_it_was_then(api: Api) -> None:
    wish = {"idempotencyKey": api.fresh("key"), "userId": (await make(api))["id"]}
    added = await do(api, "add", **wish)
    await do(api, "close", cardId=added["card"]["id"], reason="LOST")

    again = await do(api, "add", **wish)

    assert (again["replayed"], again["card"]["state"]) == (True, "ACTIVE")


async def test_cards_come_in_pages_newest_first_and_filtered(api: Api, here: Any) -> None:
    user = await make(api)
    made = []
    for index in range(4):
        here.pass_by(1)
        made.append((await add(api, userId=user["id"], number=number(index)))["id"])
    stranger = await add(api)
    await do(api, "freeze", cardId=made[0])

    first = (await api.ask(LIST, first=2))["cards"]
    rest = (await api.ask(LIST, first=9, after=first["pageInfo"]["endCursor"]))["cards"]
    last = (await api.ask(LIST, last=1))["cards"]

    ids = [each["id"] for each in first["nodes"] + rest["nodes"]]
    assert sorted(ids[:2]) == sorted([stranger["id"], made[3]])
    assert ids[2:] == made[2::-1]
    assert [each["id"] for each in last["nodes"]] == made[:1]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (5, True, False)
    assert await cards_of(api, user["id"]) == made[::-1]
    assert await cards_of(api, user["id"], states=["FROZEN"]) == made[:1]
    assert await cards_of(api, "usr_nobodys") == []


async def test_cards_stand_below_their_users_and_users_above_their_cards(api: Api, here: Any) -> None:
    user = await make(api, name="Ada")
    ids = []
    for index in range(3):
        here.pass_by(1)
        ids.append((await add(api, userId=user["id"], number=number(index)))["id"])
    document = """query ($id: ID!, $first: Int, $after: String) { user(id: $id) { cards(first: $first, after: $after) {
        nodes { id user { name cards { totalCount } } } totalCount pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""

    first = (await api.ask(document, id=user["id"], first=2))["user"]["cards"]
    rest = (await api.ask(document, id=user["id"], after=first["pageInfo"]["endCursor"]))["user"]["cards"]

    assert [each["id"] for each in first["nodes"] + rest["nodes"]] == ids[::-1]
    assert first["nodes"][0]["user"] == {"name": "Ada", "cards": {"totalCount": 3}}
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]) == (3, True, True)


async def test_a_key_sees_below_only_what_it_may_look_at(api: Api, make_key: Callable[..., Awaitable[str]]) -> None:
    card = await add(api)
    of_users = api.as_somebody(api.tenant, await make_key(api.tenant, scopes=frozenset({Scope.USERS_READ})))
    of_cards = api.as_somebody(api.tenant, await make_key(api.tenant, scopes=frozenset({Scope.CARDS_READ})))
    below = "query ($id: ID!) { user(id: $id) { id cards { nodes { id } } } }"
    above = "query ($id: ID!) { card(id: $id) { id user { id } } }"

    users = (await of_users.post({"query": below, "variables": {"id": card["userId"]}})).json()
    cards = (await of_cards.post({"query": above, "variables": {"id": card["id"]}})).json()

    assert users["data"] == {"user": {"id": card["userId"], "cards": None}}
    assert cards["data"] == {"card": {"id": card["id"], "user": None}}
    assert [each["extensions"] for each in users["errors"]] == [{"code": "FORBIDDEN", "scope": "cards:read"}]
    assert [each["extensions"] for each in cards["errors"]] == [{"code": "FORBIDDEN", "scope": "users:read"}]


async def test_an_event_tells_of_the_card_as_it_was_and_of_the_user_as_now(api: Api) -> None:
    user = await make(api, name="Ada")
    card = await add(api, userId=user["id"])
    frozen = (await do(api, "freeze", cardId=card["id"], reason="LOST"))["card"]
    await change(api, "update", userId=user["id"], name="Grace")

    added, froze = await events_of(api)
    (made, renamed) = await events_of(api, "USER")

    as_it_was = {name: value for name, value in card.items() if name != "history"}
    assert added["card"] == as_it_was
    assert froze["card"] == {**as_it_was, "state": "FROZEN", "reason": "LOST", "stateSince": frozen["stateSince"]}
    assert [each["previousCardState"] for each in (added, froze)] == [None, "ACTIVE"]
    assert {each["user"]["name"] for each in (added, froze, made, renamed)} == {"Grace"}
    assert {each["payment"] for each in (added, froze, made)} == {each["previousState"] for each in (froze, made)} == {None}
    assert (made["card"], made["previousCardState"], made["subjectId"]) == (None, None, user["id"])


async def test_an_event_shows_a_key_no_card_and_no_user_that_it_may_not_look_at(
    api: Api, make_key: Callable[..., Awaitable[str]]
) -> None:
    await do(api, "freeze", cardId=(await add(api))["id"])
    blind = api.as_somebody(api.tenant, await make_key(api.tenant, scopes=ALL_SCOPES - {Scope.USERS_READ, Scope.CARDS_READ}))

    events = await events_of(blind, "CARD", "USER")

    assert [each["type"] for each in events] == ["USER_CREATED", "CARD_ADDED", "CARD_FROZEN"]
    assert {(each["card"], each["previousCardState"], each["user"]) for each in events} == {(None, None, None)}


async def test_each_change_of_a_card_has_its_entry_in_the_audit_log(api: Api) -> None:
    key = api.fresh("key")
    card = await add(api, idempotencyKey=key)
    await do(api, "close", cardId=card["id"], reason="STOLEN")

    entries = (await api.ask(LOG, subject=card["id"]))["auditLog"]["nodes"][::-1]

    assert [(each["action"], each["note"]) for each in entries] == [("card.added", ""), ("card.closed", "STOLEN")]
    assert entries[0]["idempotencyKey"] == key


async def test_an_erasure_closes_the_users_cards_and_forgets_their_numbers(api: Api, owner: Database) -> None:
    user = await make(api)
    cards = [await add(api, userId=user["id"], number=number(index)) for index in range(3)]
    await do(api, "close", cardId=cards[0]["id"], reason="LOST")
    stranger = await add(api, number=number(1))

    await change(api, "erase", userId=user["id"])

    after = [await card_by(api, each["id"]) for each in cards]
    assert [(each["state"], each["reason"]) for each in after] == [
        ("CLOSED", "LOST"),
        ("CLOSED", "CUSTOMER_REQUEST"),
        ("CLOSED", "CUSTOMER_REQUEST"),
    ]
    assert [each["type"] for each in (await events_of(api, "CARD", "USER"))[-3:]] == ["CARD_CLOSED", "CARD_CLOSED", "USER_ERASED"]
    async with owner.tenant(api.tenant) as tx:
        ids = [decode_id_of(IdKind.CARD, each["id"]) for each in (*cards, stranger)]
        kept = await get_card_numbers(tx, api.tenant, [each for each in ids if each])
        left = text(
            "select count(*) from cards where tenant_id = :t and user_id = :u and fingerprint <> decode(repeat('00', 32), 'hex')"
        )
        fingerprints = (await tx.execute(left, {"t": api.tenant, "u": decode_id_of(IdKind.USER, user["id"])})).scalar_one()
    assert list(kept) == ids[3:]
    assert fingerprints == 0


async def test_two_who_follow_the_same_event_each_see_what_their_key_may_look_at(
    api: Api, make_key: Callable[..., Awaitable[str]]
) -> None:
    """An event is made once for all who follow it: what is withheld from one must not hang on who came first."""
    blind = await make_key(api.tenant, scopes=frozenset({Scope.EVENTS_READ}))
    card = await add(api)
    (first,) = (await api.ask("{ events(first: 1) { nodes { id } } }"))["events"]["nodes"]
    connections = api.app.state.connections
    document = "subscription ($after: String) { transactionEvents(after: $after) { type card { id } user { id } } }"

    seen = []
    async with AsyncExitStack() as streams:
        for key in (api.key, blind, api.key):
            caller = await connections.authentication.caller(f"Bearer {key}", ip_address("127.0.0.1"))
            operation, charged = Operation(document, {"after": first["id"]}, None), Charged({}, {}, is_dry=False)
            stream = connections.results.of(caller, connections.context_of(caller), operation, charged)
            await streams.enter_async_context(aclosing(stream))
            first_of_all = await anext(stream)
            event = first_of_all if first_of_all.body else await anext(stream)
            seen.append(json.loads(event.body)["data"]["transactionEvents"])

    everything = {"type": "CARD_ADDED", "card": {"id": card["id"]}, "user": {"id": card["userId"]}}
    assert seen == [everything, {"type": "CARD_ADDED", "card": None, "user": None}, everything]
