"""End users by API: made once, found by either id, changed, deactivated and back; each change told, and nothing personal told."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from domain.ids import IdKind, encode_id
from persistence.database import Database
from tests.app.serving import Api
from tests.persistence.everything import everything_on_record
from tests.resolvers.users import USER, change, make, user_by

LIST = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: UserFilter) {
    users(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        edges { cursor } nodes { externalId } totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}"""
EVENTS = "{ events(first: 100) { nodes { type subjectId payment { id } previousState request { idempotencyKey } } } }"
LOG = "query ($subject: ID) { auditLog(filter: { subject: $subject }) { nodes { action note idempotencyKey } } }"
NAME, EMAIL, REMARK = "Ada 👩‍🔬 بایرون", "ada.byron@example.com", "likes engines"
PERSONAL = {"name": NAME, "email": EMAIL, "metadata": {"remark": REMARK, "tier": "gold"}}


async def events_of(api: Api) -> list[Any]:
    """What happened, oldest first."""
    return (await api.ask(EVENTS))["events"]["nodes"]


async def test_a_user_is_made_once_and_shown_as_given(api: Api, here: Any) -> None:
    wish = {"idempotencyKey": api.fresh("key"), "externalId": "customer-7", **PERSONAL}

    made = await change(api, "create", **wish)
    again = await change(api, "create", **wish)

    now = here.time.isoformat().replace("+00:00", "Z")
    assert made["user"] == {
        "id": made["user"]["id"],
        "externalId": "customer-7",
        **PERSONAL,
        "state": "ACTIVE",
        "createdAt": now,
        "updatedAt": now,
    }
    assert made["user"]["id"].startswith("usr_")
    assert (made["replayed"], again) == (False, {**made, "replayed": True})
    assert await user_by(api, externalId="customer-7") == await user_by(api, id=made["user"]["id"]) == made["user"]
    node = (await api.ask(f"query ($id: ID!) {{ node(id: $id) {{ ... on User {{ {USER} }} }} }}", id=made["user"]["id"]))["node"]
    assert node == made["user"]


async def test_metadata_comes_in_the_document_too(api: Api) -> None:
    document = """mutation { createUser(input: {
        idempotencyKey: "in the document", externalId: "in the document", metadata: { tier: "gold", note: "x" }
    }) { ... on UserPayload { user { metadata } } } }"""

    answer = await api.ask(document)

    assert answer["createUser"]["user"]["metadata"] == {"tier": "gold", "note": "x"}


@pytest.mark.parametrize("value", ["platinum", 1, ["platinum"], True])
async def test_metadata_that_is_no_object_is_an_error_that_does_not_repeat_it(api: Api, value: Any) -> None:
    wish = {"idempotencyKey": "key", "externalId": "x", "metadata": value}

    (error,) = await api.errors("mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }", input=wish)

    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["input", "metadata"]}
    assert "platinum" not in str(error)


BAD = {
    "no external id": ({"externalId": ""}, ["input", "externalId"]),
    "a name with a control character": ({"name": "Ada\x00"}, ["input", "name"]),
    "a name that reads backwards": ({"name": "\u202eadA"}, ["input", "name"]),
    "no e-mail address": ({"email": "ada"}, ["input", "email"]),
    "10,000 characters": ({"metadata": {"note": "x" * 10_000}}, ["input", "metadata", "note"]),
    "a number for a text": ({"metadata": {"age": 36}}, ["input", "metadata", "age"]),
    "a card number in a remark": ({"metadata": {"note": "pays by 4111-1111-1111-1111"}}, ["input", "metadata", "note"]),
    "no idempotency key": ({"idempotencyKey": ""}, ["input", "idempotencyKey"]),
}


@pytest.mark.parametrize(("wish", "path"), BAD.values(), ids=BAD.keys())
async def test_a_bad_wish_is_refused_with_its_place(api: Api, wish: dict[str, Any], path: list[str]) -> None:
    answer = await change(api, "create", **wish)

    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", path)
    assert "4111" not in str(answer)
    assert await events_of(api) == []


async def test_an_external_id_is_taken_for_ever_by_one_user(api: Api, other: Api) -> None:
    first = (await make(api, externalId="customer é"))["id"]

    second = await change(api, "create", externalId="customer e\u0301")
    elsewhere = await change(other, "create", externalId="customer é")
    await change(api, "erase", userId=first)
    after_erasure = await change(api, "create", externalId="customer é")

    assert (second["__typename"], second["userId"], second["userState"]) == ("ExternalIdTakenError", first, "ACTIVE")
    assert (after_erasure["userId"], after_erasure["userState"]) == (first, "ERASED")
    assert elsewhere["__typename"] == "UserPayload", "another partner's numbers are its own"


async def test_two_at_once_with_one_external_id_make_one_user(api: Api) -> None:
    answers = await asyncio.gather(*(change(api, "create", externalId="the same") for _ in range(10)))

    made = [each for each in answers if each["__typename"] == "UserPayload"]
    taken = [each for each in answers if each["__typename"] == "ExternalIdTakenError"]
    assert (len(made), len(taken)) == (1, 9)
    assert {each["userId"] for each in taken} == {made[0]["user"]["id"]}
    assert [each["type"] for each in await events_of(api)] == ["USER_CREATED"]


async def test_twenty_at_once_with_one_idempotency_key_make_one_user(api: Api) -> None:
    wish = {"idempotencyKey": api.fresh("key"), "externalId": "customer-1", **PERSONAL}

    answers = await asyncio.gather(*(change(api, "create", **wish) for _ in range(20)))

    assert len({each["user"]["id"] for each in answers}) == 1
    assert sorted(each["replayed"] for each in answers) == [False] + [True] * 19


async def test_what_is_left_out_stays_and_null_erases(api: Api, here: Any) -> None:
    user = await make(api, **PERSONAL)
    here.pass_by(60)

    renamed = (await change(api, "update", userId=user["id"], name="Ada Lovelace"))["user"]
    emptied = (await change(api, "update", userId=user["id"], email=None, metadata={"tier": "silver"}))["user"]

    later = here.time.isoformat().replace("+00:00", "Z")
    assert renamed == {**user, "name": "Ada Lovelace", "updatedAt": later}
    assert emptied == {**renamed, "email": None, "metadata": {"tier": "silver"}}


async def test_a_repetition_shows_the_user_as_it_is_now(api: Api) -> None:
    user = await make(api, **PERSONAL)
    wish = {"idempotencyKey": api.fresh("key"), "userId": user["id"], "name": "First"}
    await change(api, "update", **wish)
    second = await change(api, "update", userId=user["id"], name="Second")

    again = await change(api, "update", **wish)

    assert again == {**second, "replayed": True}


async def test_what_changes_nothing_is_told_to_nobody(api: Api, here: Any) -> None:
    user = await make(api, **PERSONAL)
    here.pass_by(60)

    answers = [
        await change(api, "update", userId=user["id"]),
        await change(api, "update", userId=user["id"], **PERSONAL),
        await change(api, "reactivate", userId=user["id"]),
    ]

    assert [each["user"] for each in answers] == [user] * 3
    assert [each["type"] for each in await events_of(api)] == ["USER_CREATED"]
    assert len((await api.ask(LOG, subject=user["id"]))["auditLog"]["nodes"]) == 1


async def test_a_deactivated_user_comes_back(api: Api) -> None:
    user = await make(api, **PERSONAL)

    away = (await change(api, "deactivate", userId=user["id"]))["user"]
    changed = (await change(api, "update", userId=user["id"], name="Ada"))["user"]
    back = (await change(api, "reactivate", userId=user["id"]))["user"]

    assert (away["state"], changed["state"], back["state"]) == ("DEACTIVATED", "DEACTIVATED", "ACTIVE")
    assert (back["name"], back["email"]) == ("Ada", EMAIL)


async def test_each_change_is_an_event_and_an_entry_of_the_audit_log(api: Api) -> None:
    keys = {verb: api.fresh("key") for verb in ("create", "update", "deactivate", "reactivate", "erase")}
    user = (await change(api, "create", idempotencyKey=keys["create"], externalId="customer-1", **PERSONAL))["user"]
    for verb in ("update", "deactivate", "reactivate", "erase"):
        extra = {"name": "Ada", "metadata": None} if verb == "update" else {}
        await change(api, verb, idempotencyKey=keys[verb], userId=user["id"], **extra)

    events, entries = await events_of(api), (await api.ask(LOG, subject=user["id"]))["auditLog"]["nodes"][::-1]

    told = ["created", "updated", "deactivated", "reactivated", "erased"]
    assert [each["type"] for each in events] == [f"USER_{each.upper()}" for each in told]
    assert {each["subjectId"] for each in events} == {user["id"]}
    assert [each["request"]["idempotencyKey"] for each in events] == list(keys.values())
    assert [each["action"] for each in entries] == [f"user.{each}" for each in told]
    assert [each["idempotencyKey"] for each in entries] == list(keys.values())
    assert entries[1]["note"] == "name, metadata", "which fields, and not what was in them"


async def test_after_an_erasure_nothing_personal_is_on_record_and_the_receipt_is(api: Api, owner: Database) -> None:
    planted = ["Grace 👩‍✈️ Hopper", "amazing.grace@example.com", "found a moth"]
    personal = {"name": planted[0], "email": planted[1], "metadata": {"remark": planted[2]}}
    wish = {"idempotencyKey": api.fresh("key"), "externalId": "customer-1", **personal}
    user = (await change(api, "create", **wish))["user"]
    payment = await api.payment(customerId="customer-1")
    await change(api, "update", userId=user["id"], name=f"{planted[0]} II")
    before = await everything_on_record(owner)

    erased = (await change(api, "erase", userId=user["id"]))["user"]
    again = await change(api, "create", **wish)

    after = await everything_on_record(owner)
    assert all(each in before for each in planted), "the search finds what there is"
    assert not [each for each in planted if each in after]
    assert erased == {**erased, "externalId": "customer-1", "name": None, "email": None, "metadata": {}, "state": "ERASED"}
    assert (again["replayed"], again["user"]) == (True, erased)
    receipt = (await api.ask("query ($id: ID!) { payment(id: $id) { customerId state } }", id=payment["id"]))["payment"]
    assert receipt == {"customerId": "customer-1", "state": "AUTHORIZED"}


@pytest.mark.parametrize("verb", ["update", "deactivate", "reactivate"])
async def test_an_erased_user_stays_erased(api: Api, verb: str) -> None:
    user = await make(api, **PERSONAL)
    erased = (await change(api, "erase", userId=user["id"]))["user"]

    refused = await change(api, verb, userId=user["id"], **({"name": "Ada"} if verb == "update" else {}))
    once_more = await change(api, "erase", userId=user["id"])

    assert (refused["__typename"], refused["path"]) == ("UserNotUsableError", ["input", "userId"])
    assert (refused["userId"], refused["userState"]) == (user["id"], "ERASED")
    assert once_more["user"] == erased, "another request, the same end"


async def test_an_erasure_and_an_update_at_once_leave_nothing_personal(api: Api) -> None:
    user = await make(api, **PERSONAL)

    await asyncio.gather(
        change(api, "erase", userId=user["id"]), *(change(api, "update", userId=user["id"], name=f"Ada {n}") for n in range(9))
    )

    after = await user_by(api, id=user["id"])
    assert (after["state"], after["name"], after["email"], after["metadata"]) == ("ERASED", None, None, {})
    assert (await events_of(api))[-1]["type"] == "USER_ERASED"


async def test_users_of_others_and_ids_of_other_things_are_not_found(api: Api, other: Api) -> None:
    theirs, payment = await make(other, **PERSONAL), await api.payment()
    ids = [theirs["id"], encode_id(IdKind.USER, api.tenant), payment["id"], "x", ""]

    answers = [await change(api, verb, userId=each) for verb in ("update", "deactivate", "reactivate", "erase") for each in ids]

    assert {(each["__typename"], *each["path"]) for each in answers} == {("NotFoundError", "input", "userId")}
    assert [await user_by(api, id=each) for each in ids] == [None] * 5
    assert await user_by(api, externalId=theirs["externalId"]) is None
    assert await user_by(other, id=theirs["id"]) == theirs


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, ["id"]),
        ({"id": None}, ["id"]),
        ({"id": "usr_x", "externalId": "x"}, ["externalId"]),
        ({"externalId": ""}, ["externalId"]),
        ({"externalId": "x" * 256}, ["externalId"]),
        ({"externalId": "a\x00"}, ["externalId"]),
    ],
)
async def test_a_user_is_asked_for_by_one_good_id(api: Api, arguments: dict[str, Any], path: list[str]) -> None:
    document = f"query ($id: ID, $externalId: String) {{ user(id: $id, externalId: $externalId) {{ {USER} }} }}"

    (error,) = await api.errors(document, **arguments)

    assert error["extensions"] == {"code": "INVALID_INPUT", "path": path}


async def test_users_come_in_pages_newest_first_from_either_end(api: Api, here: Any) -> None:
    for number in range(5):
        here.pass_by(1)
        await make(api, externalId=f"customer-{number}")

    first = (await api.ask(LIST, first=2))["users"]
    rest = (await api.ask(LIST, first=9, after=first["pageInfo"]["endCursor"]))["users"]
    last = (await api.ask(LIST, last=2))["users"]
    before = (await api.ask(LIST, last=2, before=last["pageInfo"]["startCursor"]))["users"]

    def numbers(page: Any) -> list[str]:
        return [each["externalId"].removeprefix("customer-") for each in page["nodes"]]

    assert (numbers(first), numbers(rest)) == (["4", "3"], ["2", "1", "0"])
    assert (numbers(last), numbers(before)) == (["1", "0"], ["3", "2"])
    assert [page["pageInfo"]["hasNextPage"] for page in (first, rest, last, before)] == [True, False, False, True]
    assert [page["pageInfo"]["hasPreviousPage"] for page in (first, rest, last, before)] == [False, True, True, True]
    assert first["totalCount"] == 5


async def test_users_are_filtered(api: Api, here: Any) -> None:
    for name in ("a", "b", "c"):
        here.pass_by(60)
        user = await make(api, externalId=name)
    await change(api, "deactivate", userId=user["id"])

    async def found(**where: Any) -> str:
        page = (await api.ask(LIST, filter=where))["users"]
        assert page["totalCount"] == len(page["nodes"])
        return "".join(each["externalId"] for each in page["nodes"])

    assert await found() == "cba"
    assert await found(externalId="b") == "b"
    assert await found(states=["ACTIVE"]) == "ba"
    assert await found(states=["DEACTIVATED", "ERASED"]) == "c"
    assert await found(states=[]) == ""
    assert await found(createdAfter=here.time.isoformat()) == "c"
    assert await found(createdBefore=here.time.isoformat(), states=["ACTIVE"]) == "ba"


async def test_first_and_last_together_are_refused(api: Api) -> None:
    (error,) = await api.errors(LIST, first=1, last=1)

    assert error["extensions"] == {"code": "INVALID_INPUT", "path": ["last"]}


async def test_one_idempotency_key_serves_one_change(api: Api) -> None:
    key = api.fresh("key")
    user = (await change(api, "create", idempotencyKey=key, externalId="customer-1"))["user"]

    answers = [
        await change(api, "create", idempotencyKey=key, externalId="customer-1", name="Ada"),
        await change(api, "create", idempotencyKey=key, externalId="customer-2"),
        await change(api, "deactivate", idempotencyKey=key, userId=user["id"]),
        await change(api, "erase", idempotencyKey=key, userId=user["id"]),
    ]

    assert {each["__typename"] for each in answers} == {"IdempotencyMismatchError"}
    assert await user_by(api, id=user["id"]) == user


async def test_what_was_refused_does_not_use_its_idempotency_key_up(api: Api) -> None:
    key, user = api.fresh("key"), await make(api, externalId="taken")
    await change(api, "create", idempotencyKey=key, externalId="taken")
    await change(api, "create", idempotencyKey=key, name="\x00")
    await change(api, "update", idempotencyKey=key, userId="usr_nobodys")

    made = await change(api, "update", idempotencyKey=key, userId=user["id"], name="Ada")

    assert made["user"]["name"] == "Ada"


async def test_the_database_keeps_an_erased_user_empty(owner: Database, api: Api) -> None:
    """What no statement of ours may do by mistake, the table itself refuses."""
    user = await make(api, **PERSONAL)
    await change(api, "erase", userId=user["id"])

    with pytest.raises(Exception, match="users_erased_are_nobody"):
        async with owner.tenant(api.tenant) as tx:
            await tx.execute(text("update users set name = 'Ada' where tenant_id = :tenant"), {"tenant": api.tenant})
