"""No query's number of SQL statements grows with the number of rows that it returns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from persistence.database import Database
from tests.app.serving import Api

ROWS = (1, 10, 100)
OF_THE_DOOR = ("api_keys", "usage_by_day")  # who asks, and how much they may: looked up now and then, whatever is asked
DOCUMENTS = {
    "users { cards { history } }": """query ($first: Int) { users(first: $first) { nodes {
        id name cards(first: 3) { nodes { id state history { after actor } } }
    } } }""",
    "users { cards { totalCount user } }": """query ($first: Int) { users(first: $first) { nodes {
        id cards(first: 3) { totalCount nodes { id user { id email } limits { perDay { minorUnits } } } }
    } } }""",
    "cards { user { cards } }": """query ($first: Int) { cards(first: $first) { nodes {
        id user { id cards(first: 2) { nodes { id } } } history { reason at }
    } } }""",
    "events { user card { user history } }": """query ($first: Int) { events(first: $first) { nodes {
        id user { id cards(first: 1) { nodes { id } } } card { id user { name } history { at } }
    } } }""",
}
# As many users as rows are asked for at most, three cards each, with two steps; and an event of each card.
_FURNITURE = (
    """
    insert into users (tenant_id, id, external_id, metadata, state, created_at, updated_at)
    select :tenant, gen_random_uuid(), 'customer ' || number, '{}', 'ACTIVE', :now, :now from generate_series(1, 100) as number
    """,
    """
    insert into cards (tenant_id, id, user_id, kind, brand, last_four, expiry_month, expiry_year, fingerprint, state, reason,
                       created_at, state_since)
    select :tenant, gen_random_uuid(), users.id, 'ADDED', 'VISA', '1111', 12, 2030, sha256(number::text::bytea), 'FROZEN', 'LOST',
           :now, :now
    from users, generate_series(1, 3) as number where tenant_id = :tenant
    """,
    """
    insert into card_transitions (tenant_id, card_id, number, before, after, reason, actor, at)
    select :tenant, cards.id, step.number, step.before, step.after, step.reason, 'test', :now
    from cards, (values (1, null, 'ACTIVE', null), (2, 'ACTIVE', 'FROZEN', 'LOST')) as step (number, before, after, reason)
    where tenant_id = :tenant
    """,
    """
    insert into events (tenant_id, sequence, id, type, occurred_at, previous_state, subject_kind, subject_id, subject)
    select :tenant, row_number() over (), gen_random_uuid(), 'card.frozen', :now, 'ACTIVE', 'card', cards.id, jsonb_build_object(
        'id', cards.id, 'user', cards.user_id, 'kind', 'ADDED', 'brand', 'VISA', 'last_four', '1111', 'expiry', '[12, 2030]'::jsonb,
        'state', 'FROZEN', 'reason', 'LOST', 'created_at', '2026-06-01T00:00:00+00:00', 'state_since', '2026-06-01T00:00:00+00:00',
        'limits', '[null, null, null]'::jsonb)
    from cards where tenant_id = :tenant
    """,
)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that go to the database meanwhile."""
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not any(name in statement for name in OF_THE_DOOR):
            statements.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", count)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
async def test_the_number_of_statements_does_not_grow_with_the_rows(
    api: Api, owner: Database, here: Any, document: str, record_property: Any, request: Any
) -> None:
    async with owner.tenant(api.tenant) as tx:
        for statement in _FURNITURE:
            await tx.execute(text(statement), {"tenant": api.tenant, "now": here.time})

    counts = {}
    for rows in ROWS:
        with counted(api.app.state.house.parts.database) as statements:
            answer = await api.ask(document, first=rows)
        (page,) = answer.values()
        assert len(page["nodes"]) == rows
        counts[rows] = len(statements)

    assert len(set(counts.values())) == 1, counts
    assert 2 <= counts[1] <= 8
    record_property("figure", f"{request.node.callspec.id}: {counts[1]} statements of SQL for 1, 10 and 100 rows")
