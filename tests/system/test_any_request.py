"""schemathesis as any tester would point it at us: the address and a key, nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes
from schemathesis.specs.graphql.schemas import GraphQLSchema

EXAMPLES = 12  # of each operation; tests/app/test_any_document.py makes hundreds without sockets


@pytest.fixture(scope="module")
def system(started: Callable[..., Any]) -> Any:
    """The whole system."""
    return started()


@pytest.fixture(scope="module")
def operations(system: Any) -> GraphQLSchema:
    """What schemathesis learns of us by introspection."""
    schemathesis.graphql.scalar("MinorUnits", st.integers(-(2**65), 2**65).map(nodes.Int))
    schemathesis.graphql.scalar("CurrencyCode", st.sampled_from(["USD", "EUR", ""]).map(nodes.String))
    schemathesis.graphql.scalar("DateTime", st.sampled_from(["2026-06-01T12:00:00Z", "now"]).map(nodes.String))
    return schemathesis.graphql.from_url(system.ready["graphql"], headers=authorization(system))


def authorization(system: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {system.ready['api_key']}"}


def test_no_operation_that_schemathesis_tries_brings_out_a_bug(system: Any, operations: GraphQLSchema) -> None:
    tried = set()
    for found in operations.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers(case: Any) -> None:
            response = case.call(headers=authorization(system))

            assert response.status_code < 500, (case.body, response.text)
            assert "INTERNAL_ERROR" not in response.text, (case.body, response.text)

        answers()
        tried.add(operation.definition.field_name)

    assert {"payment", "payments", "orderPayment", "viewer", "node"} <= tried
    assert {"authorizePayment", "capturePayment", "voidPayment", "refundPayment"} <= tried
