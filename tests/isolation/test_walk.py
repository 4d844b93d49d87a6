"""Another tenant's ids, names, cursors and filters are answered as those that nobody has; by the code, and by the database alone."""

from typing import Any

import pytest
from graphql import extend_schema, parse
from sqlalchemy import text

from app.graphql import build_schema
from domain.partner import Mode, mode_of
from persistence.database import Database
from resolvers import payments
from tests.databases import execute
from tests.isolation.conftest import Town, forgetting_the_tenant
from tests.isolation.examples import NOT_A_NAME
from tests.isolation.probes import probes
from tests.isolation.walk import all_probes, walk, without_example


@pytest.mark.parametrize("sandbox", [False, True], ids=["another partner", "the partner's own sandbox"])
async def test_whatever_names_something_of_another_tenant_is_answered_as_if_nobody_had_it(
    town: Town, sandbox: bool, record_property: Any
) -> None:
    async with town(sandbox=sandbox) as (victim, asker):
        assert (mode_of(asker.api.tenant) is Mode.TEST) == sandbox
        assert without_example(all_probes(), victim, asker) == set(), "give these an example in tests/isolation/examples.py"

        found = await walk(victim, asker)

    assert found.leaks == []
    record_property(
        "figure",
        f"isolation: {found.probes} of {len(all_probes())} places for an id, a name, a cursor or a filter were given another tenant's "
        f"({'its own sandbox asks' if sandbox else 'another partner asks'}; {found.requests} requests)",
    )


async def test_the_database_keeps_tenants_apart_when_every_statement_forgets_to(town: Town) -> None:
    async with town() as (victim, asker):
        with forgetting_the_tenant(victim.api.app.state.house.parts.database) as changed:
            found = await walk(victim, asker)

    assert len(set(changed)) > 10, "most statements have such a condition"
    assert found.leaks == []


async def test_the_statements_keep_tenants_apart_when_the_database_does_not(town: Town, monkeypatch: Any) -> None:
    monkeypatch.setattr(Database, "check_login", _not_at_all)

    async with town(login="owner") as (victim, asker):
        found = await walk(victim, asker)

    assert found.leaks == []


async def _not_at_all(_: Database) -> None:
    """Lets a login in that bypasses row-level security."""


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ("payments", "payment, Query.payment(id:)"),
        ("attempts", "capturePayment, CapturePaymentInput.idempotencyKey"),
        ("reconciliation_runs", "node, Query.node(id:)"),
    ],
)
async def test_the_walk_finds_a_dropped_policy(town: Town, database_urls: Any, table: str, place: str) -> None:
    async with town() as (victim, asker):
        with forgetting_the_tenant(victim.api.app.state.house.parts.database):
            await execute(database_urls.owner, f"alter table {table} disable row level security")
            try:
                found = await walk(victim, asker, only=place.partition(", ")[2])
            finally:
                await execute(database_urls.owner, f"alter table {table} enable row level security")

    assert any(leak.startswith(place) for leak in found.leaks), found.leaks


async def test_the_walk_finds_a_resolver_that_asks_as_nobody_in_particular(town: Town, owner: Database, monkeypatch: Any) -> None:
    async def of_anybody(_tx: Any, _tenant_id: Any, order_ids: list[str]) -> Any:
        async with owner.without_tenant() as tx:
            query = text("select tenant_id from payments where order_id = any(:orders)")
            whose = (await tx.execute(query, {"orders": order_ids})).scalars().all()
            return await original(tx, whose[0], order_ids) if whose else []

    original = payments.get_standings_of_orders
    monkeypatch.setattr(payments, "get_standings_of_orders", of_anybody)

    async with town() as (victim, asker):
        found = await walk(victim, asker)

    assert {leak.partition(":")[0] for leak in found.leaks} == {"orderPayment, Query.orderPayment(orderId"}


async def test_a_new_place_for_a_name_needs_an_example(town: Town) -> None:
    grown = extend_schema(
        build_schema()._schema,
        parse("""
            input WidgetFilter { isShiny: Boolean }
            type Widget { part(id: ID!): Boolean }
            extend type Query { widget(serial: String!): Boolean widgets(first: Int, filter: WidgetFilter): Widget }
        """),
    )

    async with town() as (victim, asker):
        missing = without_example(probes(grown), victim, asker)

    assert missing - NOT_A_NAME.keys() == {"Query.widget(serial:)", "WidgetFilter.isShiny", "Widget.part(id:)"}
