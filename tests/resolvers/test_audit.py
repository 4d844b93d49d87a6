"""The audit log over GraphQL: each mutation of the schema has one entry, which says who did it, from where, and by which request."""

from typing import Any

import pytest
from graphql import build_schema

from app.auditing import check_chain
from app.graphql import build_schema as build_api
from domain.ids import IdKind, decode_id_of
from domain.payment import ReviewReason
from domain.settlement import Acknowledge
from gateway.parts import Desk
from gateway.settlement import Word, Written, settle_payment
from persistence.database import Database
from tests.app.serving import CARD, Api
from tests.conftest import LocalWakeups
from tests.isolation.examples import base_of

SCHEMA = build_schema(build_api().as_str())
MUTATIONS = sorted(SCHEMA.mutation_type.fields) if SCHEMA.mutation_type else []
LOG = """
query ($first: Int, $after: String, $filter: AuditFilter) {
  auditLog(first: $first, after: $after, filter: $filter) {
    edges { cursor }
    nodes { id sequence at actor { kind apiKeyId name } address requestId action subject idempotencyKey note hash }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def log_of(api: Api, **of: Any) -> Any:
    """A page of the log."""
    return (await api.ask(LOG, **of))["auditLog"]


def document(name: str) -> str:
    """A mutation that asks for nothing."""
    return f"mutation ($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{ __typename }} }}"


@pytest.mark.parametrize("name", MUTATIONS)
async def test_each_mutation_of_the_schema_has_one_entry_and_its_repetition_none(api: Api, owner: Database, name: str) -> None:
    wish = await base_of(name, api)
    before = [each["sequence"] for each in (await log_of(api, first=1))["nodes"]] or [0]

    response = await api.post({"query": document(name), "variables": wish}, X_Request_Id="4111111111111111")
    await api.post({"query": document(name), "variables": wish})
    await api.errors(document(name), input={})

    (entry,) = (await log_of(api, first=1))["nodes"]
    viewer = (await api.ask("{ viewer { apiKey { id name } } }"))["viewer"]["apiKey"]
    assert response.json()["data"][name]["__typename"].endswith("Payload"), response.json()
    assert entry["sequence"] == before[0] + 1
    assert entry["actor"] == {"kind": "API_KEY", "apiKeyId": viewer["id"], "name": viewer["name"]}
    assert entry["address"] == "127.0.0.1"
    assert entry["requestId"] == response.headers["x-request-id"]
    assert entry["requestId"].startswith("req_")
    assert entry["idempotencyKey"] == wish["input"]["idempotencyKey"]
    assert entry["subject"]
    assert (await check_chain(owner, api.tenant)).broken is None


async def test_a_mutation_that_did_nothing_has_no_entry(api: Api) -> None:
    payment = await api.payment()
    count = len((await log_of(api))["nodes"])

    await api.authorize(orderId=payment["orderId"])
    await api.operate("refund", payment["id"])
    await api.operate("capture", "pay_0")

    assert len((await log_of(api))["nodes"]) == count


async def test_pages_meet_every_entry_once_newest_first(api: Api) -> None:
    for _ in range(5):
        await api.payment()

    met, after = [], None
    while True:
        page = await log_of(api, first=2, after=after)
        met += [each["sequence"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert met == [5, 4, 3, 2, 1]


async def test_the_log_of_one_subject(api: Api) -> None:
    payment = await api.payment()
    await api.payment()
    await api.operate("capture", payment["id"])

    found = (await log_of(api, filter={"subject": payment["id"]}))["nodes"]
    nothing = (await log_of(api, filter={"subject": "no id at all"}))["nodes"]

    assert [each["action"] for each in found] == ["payment.capture_requested", "payment.requested"]
    assert {each["subject"] for each in found} == {payment["id"]}
    assert nothing == []


async def test_a_key_that_is_made_is_logged_with_what_it_may_do(api: Api) -> None:
    wish = await base_of("createApiKey", api)
    wish["input"] |= {"scopes": ["PAYMENTS_READ"], "allowedNetworks": ["192.0.2.0/24"]}

    await api.ask(document("createApiKey"), **wish)

    (entry,) = (await log_of(api, first=1))["nodes"]
    assert entry["action"] == "key.created"
    assert decode_id_of(IdKind.API_KEY, entry["subject"])
    assert entry["note"] == "1 scopes: payments:read; from 192.0.2.0/24"


async def test_an_entry_is_a_node(api: Api) -> None:
    await api.payment()
    (entry,) = (await log_of(api))["nodes"]

    found = await api.ask("query ($id: ID!) { node(id: $id) { ... on AuditEntry { id hash } } }", id=entry["id"])

    assert found["node"] == {"id": entry["id"], "hash": entry["hash"]}


async def test_an_operator_is_named_without_the_login_of_our_machine(api: Api, here: Any, owner: Database) -> None:
    payment = await api.payment()
    payment_id = decode_id_of(IdKind.PAYMENT, payment["id"])
    assert payment_id
    async with owner.tenant(api.tenant) as tx:
        await tx.exec_driver_sql(
            f"update payments set review_reasons = '{{BANK_DISAGREES}}' where tenant_id = '{api.tenant}' and id = '{payment_id}'"
        )
    desk = Desk(database=owner, world=here.world, wakeups=LocalWakeups())

    word = Word(Acknowledge(ReviewReason.BANK_DISAGREES), "ada (login root)", "ticket 4711")
    answer = await settle_payment(desk, api.tenant, payment_id, word)

    assert isinstance(answer, Written)
    (entry,) = (await log_of(api, first=1))["nodes"]
    assert entry["actor"] == {"kind": "OPERATOR", "apiKeyId": None, "name": "ada"}
    assert (entry["subject"], entry["note"]) == (payment["id"], "ticket 4711")


async def test_no_card_and_no_key_gets_into_the_log(api: Api, owner: Database) -> None:
    payment = await api.payment()
    await api.operate("capture", payment["id"])
    made = await api.ask(
        "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeyPayload { secret } } }",
        **await base_of("createApiKey", api),
    )

    async with owner.tenant(api.tenant) as tx:
        rows = (await tx.exec_driver_sql(f"select * from audit_log where tenant_id = '{api.tenant}'")).all()

    text = " ".join(str(value) for row in rows for value in row)
    assert len(rows) == 3
    for secret in (CARD["number"], api.key, made["createApiKey"]["secret"], f"'{CARD['cvv']}'"):
        assert secret not in text


@pytest.mark.parametrize("cursor", ["", "AAAA", "not a cursor", "AAAAAAAAAAE"])
async def test_a_cursor_that_is_none_is_refused(api: Api, cursor: str) -> None:
    (error,) = await api.errors(LOG, after=cursor)

    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["path"] == ["after"]


async def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    answers = [
        await api.post({"query": "{ viewer { partner { id } } }"}),
        await api.post({"query": "{ viewer { partner { id } } }"}, X_Request_Id="mine"),
        await api.post(b"nonsense"),
        await api.post({"query": "{ viewer { partner { id } } }"}, Authorization=""),
        await api.http.get("/healthz"),
    ]

    ids = [each.headers["x-request-id"] for each in answers]
    assert len(set(ids)) == len(ids)
    assert all(each.startswith("req_") for each in ids)


async def test_another_partners_entries_are_not_here(api: Api, other: Api) -> None:
    payment = await api.payment()
    (entry,) = (await log_of(api))["nodes"]

    assert (await log_of(other))["nodes"] == []
    assert (await log_of(other, filter={"subject": payment["id"]}))["nodes"] == []
    assert (await other.ask("query ($id: ID!) { node(id: $id) { id } }", id=entry["id"]))["node"] is None
