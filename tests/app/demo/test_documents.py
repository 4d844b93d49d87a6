"""What the demo sends is what the API publishes."""

import ast
from pathlib import Path

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse, validate

from app.demo import documents
from tests.app.demo.fake_api import published_schema

PACKAGE = Path(documents.__file__).parent
ROOMS = {"app", "resolvers", "gateway", "schema", "persistence", "bank", "domain"}
SCHEMA = published_schema()


@pytest.mark.parametrize("document", documents.ALL, ids=lambda text: text.split("(")[0].split("{")[0].strip())
def test_each_document_is_valid_against_the_published_schema(document: str) -> None:
    assert validate(SCHEMA, parse(document)) == []


def test_every_mutation_of_payments_is_played() -> None:
    """A shop pays. What else a partner does, such as making keys, is no part of its day."""
    operations = [node for text in documents.ALL for node in parse(text).definitions if isinstance(node, OperationDefinitionNode)]
    fields = [field for operation in operations for field in operation.selection_set.selections if isinstance(field, FieldNode)]

    assert SCHEMA.mutation_type is not None
    payments = {name for name in SCHEMA.mutation_type.fields if name.endswith("Payment")}
    assert len(payments) == 4
    assert payments <= {field.name.value for field in fields}


def test_the_demo_is_a_client_and_knows_no_room_but_the_domain_and_how_the_banks_ledger_is_read() -> None:
    imported = {
        name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }

    ours = {name for name in imported if name.split(".")[0] in ROOMS}
    assert {name for name in ours if not name.startswith(("domain", "app.demo"))} == {"bank.ledger"}
