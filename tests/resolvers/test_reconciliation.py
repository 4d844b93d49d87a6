"""Reports of the reconciliation, as a partner reads them."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from domain.ids import IdKind, decode_id_of
from domain.reconciliation import Trigger
from gateway.reconciliation import Finished, Reconciliation
from tests.app.serving import Api

Run = Callable[..., Awaitable[str]]
REPORT = """
query ($first: Int, $after: String, $lines: Int, $behind: String) {
  reconciliation(first: $first, after: $after) {
    edges { cursor node { id } }
    nodes {
      id trigger startedAt finishedAt
      counts { checked agreed repaired flagged unanswered }
      discrepancies(first: $lines, after: $behind) {
        edges { cursor node { kind payment { id } } }
        nodes { kind done ours theBanks foundAt payment { id state needsReview reviewReasons } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


@pytest.fixture
def reconcile(api: Api, here: Any) -> Run:
    """A run, a second later; its id."""

    async def make(of: Api = api, trigger: Trigger = Trigger.SCHEDULE) -> str:
        here.pass_by(1)
        ending = await Reconciliation(api.app.state.house.parts, repair_limit_minor=100_000).reconcile(of.tenant, trigger)
        assert isinstance(ending, Finished)
        return str(ending.run.id)

    return make


@pytest.fixture
def expired(api: Api, control: httpx.AsyncClient, here: Any) -> Callable[..., Awaitable[str]]:
    """Makes a payment whose hold has run out at the bank; its id."""

    async def make(of: Api = api, **changes: Any) -> str:
        here.pass_by(1)
        payment = await of.payment(**changes)
        await control.post(f"/authorizations/{payment['bankReferences']['authorization']}/expire")
        return str(payment["id"])

    return make


async def test_a_report_has_its_counts_and_each_discrepancy(api: Api, reconcile: Run, expired: Any, here: Any) -> None:
    payment = await expired(amount=500_000)
    await api.payment()
    started = f"{here.time.replace(microsecond=0):%Y-%m-%dT%H:%M}"
    await reconcile(trigger=Trigger.OPERATOR)

    (run,) = (await api.ask(REPORT))["reconciliation"]["nodes"]

    assert decode_id_of(IdKind.RECONCILIATION, run["id"])
    assert run["trigger"] == "OPERATOR"
    assert run["startedAt"].startswith(started)
    assert run["finishedAt"] >= run["startedAt"]
    assert run["counts"] == {"checked": 4, "agreed": 3, "repaired": 1, "flagged": 0, "unanswered": 0}
    (found,) = run["discrepancies"]["nodes"]
    assert found["ours"].startswith("AUTHORIZED, hold auth_")
    assert {name: found[name] for name in ("kind", "done", "theBanks", "foundAt", "payment")} == {
        "kind": "HOLD_EXPIRED",
        "done": "REPAIRED",
        "theBanks": "the hold has run out, unused",
        "foundAt": run["startedAt"],
        "payment": {"id": payment, "state": "EXPIRED", "needsReview": True, "reviewReasons": ["RECONCILED"]},
    }


async def test_runs_come_newest_first_in_pages(api: Api, reconcile: Run) -> None:
    for _ in range(5):
        await reconcile()
    everything = (await api.ask(REPORT))["reconciliation"]

    pages, after = [], None
    for _ in range(3):
        pages.append((await api.ask(REPORT, first=2, after=after))["reconciliation"])
        after = pages[-1]["pageInfo"]["endCursor"]

    times = [node["startedAt"] for node in everything["nodes"]]
    assert times == sorted(times, reverse=True)
    assert [node for page in pages for node in page["nodes"]] == everything["nodes"]
    assert [edge["node"]["id"] for edge in everything["edges"]] == [node["id"] for node in everything["nodes"]]
    assert [page["pageInfo"]["hasNextPage"] for page in pages] == [True, True, False]
    assert [page["pageInfo"]["hasPreviousPage"] for page in pages] == [False, True, True]


async def test_discrepancies_come_the_oldest_payment_first_in_pages(api: Api, reconcile: Run, expired: Any) -> None:
    payments = [await expired(amount=100) for _ in range(5)]
    await reconcile()

    pages, after = [], None
    for _ in range(3):
        (run,) = (await api.ask(REPORT, lines=2, behind=after))["reconciliation"]["nodes"]
        pages.append(run["discrepancies"])
        after = pages[-1]["pageInfo"]["endCursor"]

    assert [node["payment"]["id"] for page in pages for node in page["nodes"]] == payments
    assert [edge["node"]["payment"]["id"] for page in pages for edge in page["edges"]] == payments
    assert [page["pageInfo"]["hasNextPage"] for page in pages] == [True, True, False]
    assert [page["pageInfo"]["hasPreviousPage"] for page in pages] == [False, True, True]


async def test_without_a_run_and_without_a_discrepancy_there_is_an_empty_page(api: Api, reconcile: Run) -> None:
    nothing = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    before = (await api.ask(REPORT))["reconciliation"]
    await reconcile()

    (run,) = (await api.ask(REPORT))["reconciliation"]["nodes"]

    assert (before["nodes"], before["pageInfo"]) == ([], nothing)
    assert (run["discrepancies"]["nodes"], run["discrepancies"]["pageInfo"]) == ([], nothing)


async def test_however_many_runs_and_payments_a_document_takes_three_statements(
    api: Api, reconcile: Run, expired: Any, statements: list[str]
) -> None:
    for _ in range(4):
        for _ in range(3):
            await expired(amount=100)
        await reconcile()
    statements.clear()

    report = (await api.ask(REPORT))["reconciliation"]

    assert [len(run["discrepancies"]["nodes"]) for run in report["nodes"]] == [3, 3, 3, 3]
    assert len(statements) == 3, "the runs, what they found, and the payments"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"first": 101}, "first"),
        ({"first": -1}, "first"),
        ({"after": "x"}, "after"),
        ({"after": ""}, "after"),
        ({"lines": 101}, "first"),
        ({"lines": -1}, "first"),
        ({"behind": "x"}, "after"),
        ({"behind": "AAAAAAAAAAAAAAAAAAAAAA=="}, "after"),
        ({"behind": "☃"}, "after"),
    ],
    ids=str,
)
async def test_a_page_that_can_not_be_is_refused_with_its_path(
    api: Api, reconcile: Run, arguments: dict[str, Any], path: str
) -> None:
    await reconcile()

    (error,) = await api.errors(REPORT, **arguments)

    assert error["extensions"] == {"code": "INVALID_INPUT", "path": [path]}


async def test_a_run_is_a_node_and_null_for_another_partner(api: Api, other: Api, reconcile: Run, expired: Any) -> None:
    await expired(amount=100)
    await reconcile()
    mine = (await api.ask(REPORT))["reconciliation"]
    document = (
        "query ($id: ID!) { node(id: $id) { __typename id ... on ReconciliationRun { discrepancies { nodes { kind } } } } }"
    )
    run_id, cursor = mine["nodes"][0]["id"], mine["pageInfo"]["endCursor"]
    line_cursor = mine["nodes"][0]["discrepancies"]["pageInfo"]["endCursor"]

    own = (await api.ask(document, id=run_id))["node"]
    foreign = (await other.ask(document, id=run_id))["node"]
    await reconcile(other)
    (theirs,) = (await other.ask(REPORT))["reconciliation"]["nodes"]

    assert own == {"__typename": "ReconciliationRun", "id": run_id, "discrepancies": {"nodes": [{"kind": "HOLD_EXPIRED"}]}}
    assert foreign is None
    assert theirs["counts"]["checked"] == 0
    assert theirs["discrepancies"]["nodes"] == []
    for arguments in ({"after": cursor}, {"behind": line_cursor}):
        seen = (await other.ask(REPORT, **arguments))["reconciliation"]
        assert all(not node["discrepancies"]["nodes"] for node in seen["nodes"])
        assert run_id not in str(seen)
