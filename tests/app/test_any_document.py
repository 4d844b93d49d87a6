"""Documents made from the schema itself by schemathesis's generator: none of them brings out a bug."""

import asyncio
import json
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, NameNode, ObjectFieldNode, build_schema, parse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from app.graphql import build_schema as build_api
from tests.app.serving import Api

SCHEMA: GraphQLSchema = build_schema(build_api().as_str())


def metadata(entries: dict[str, Any]) -> Any:
    """An object of texts, or of what is none."""
    return nodes.Object([ObjectFieldNode(name=NameNode(value=name), value=value) for name, value in entries.items()])


CODES = {"COST_EXCEEDED", "INVALID_INPUT", "BAD_REQUEST"}
SCALARS = {
    "MinorUnits": st.one_of(
        st.integers(-(2**65), 2**65).map(nodes.Int),
        st.sampled_from(["1999", "1.5", "", "-1", "9223372036854775808"]).map(nodes.String),
        st.sampled_from([1.0, 1.5, 1e300]).map(nodes.Float),
    ),
    "CurrencyCode": st.sampled_from([nodes.String("USD"), nodes.String("EUR"), nodes.Enum("USD"), nodes.String("")]),
    "Metadata": st.dictionaries(
        st.sampled_from(["tier", "note", "born"]),
        st.one_of(st.text(max_size=9).map(nodes.String), st.integers(0, 9).map(nodes.Int)),
        max_size=3,
    ).map(metadata),
    "Date": st.one_of(
        st.dates().map(lambda day: nodes.String(day.isoformat())),
        st.sampled_from(["2026-02-30", "20260101", "", "today"]).map(nodes.String),
    ),
    "DateTime": st.one_of(
        st.datetimes().map(lambda moment: nodes.String(f"{moment.isoformat()}Z")),
        st.sampled_from(["0001-01-01T00:00:00+01:00", "2026-02-30T00:00:00Z", "now"]).map(nodes.String),
    ),
}


def checked(kind: GraphQLObjectType, answer: Any, selections: Any) -> None:
    """Each field that was asked for is there, under its alias; null only where the schema allows it."""
    for selection in selections:
        if selection.kind == "field" and answer is not None:
            name = selection.alias.value if selection.alias else selection.name.value
            assert name in answer
            field = kind.fields.get(selection.name.value)
            assert answer[name] is not None or field is None or not str(field.type).endswith("!")


@pytest.mark.parametrize("make", [queries, mutations], ids=["queries", "mutations"])
async def test_any_document_is_answered_without_a_bug(api: Api, make: Any) -> None:
    loop, answers = asyncio.get_running_loop(), {"data": 0, "errors": 0}

    @settings(
        max_examples=200,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(make(SCHEMA, custom_scalars=SCALARS))
    def check(document: str) -> None:
        tree = parse(document)
        body = json.dumps({"query": document}).encode()

        response = asyncio.run_coroutine_threadsafe(api.post(body), loop).result(timeout=10)

        answer = response.json()
        assert response.status_code < 500, (document, answer)
        assert set(answer) <= {"data", "errors", "extensions"}
        for error in answer.get("errors", []):
            assert error["message"]
            assert error["extensions"]["code"] in CODES, (document, error)
        if "errors" not in answer:
            operation: Any = tree.definitions[0]
            root = SCHEMA.query_type if make is queries else SCHEMA.mutation_type
            assert root
            checked(root, answer["data"], operation.selection_set.selections)
        answers["errors" if "errors" in answer else "data"] += 1

    await asyncio.to_thread(check)

    assert answers["data"] >= 5, "some of them have to get through"
