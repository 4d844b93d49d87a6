"""What operations cost: stated before they run, for every field there is, and never in exponential time."""

import pytest
from graphql import OperationType, get_introspection_query, parse, validate

from app.cost import (
    BEYOND,
    COUNTED,
    INTROSPECTION,
    LEAST,
    LOADED,
    MAX_COST,
    MUTATION,
    STREAM,
    DocumentCost,
    UnknownOperation,
    cost_of_field,
    is_connection,
)
from app.graphql import RULES, build_schema
from resolvers.pages import DEFAULT_PAGE, MAX_PAGE
from tests.app.serving import mutation

SCHEMA = build_schema()._schema
PAGE = "payments(first: 100) { nodes { id } }"


def cost(document, variables=None, name=None):
    """What a valid document's operation costs."""
    tree = parse(document)
    assert validate(SCHEMA, tree, RULES) == []
    return DocumentCost(SCHEMA, tree).operation(name).of(variables)


@pytest.mark.parametrize(
    ("document", "points"),
    [
        ("{ __typename }", LEAST),
        ("{ viewer { partner { name } apiKey { name } } }", LOADED),
        ('{ a: payment(id: "x") { id history { state } } b: payment(id: "y") { id } }', 2),
        ("{ payments { nodes { id } } }", 1 + DEFAULT_PAGE),
        ("{ payments(first: 5) { edges { cursor node { id amount { formatted } } } pageInfo { hasNextPage } } }", 1 + 5),
        ("{ payments(last: 7) { nodes { id } edges { node { id } } } }", 1 + 7),
        ("{ payments(first: 0) { totalCount } }", 1 + COUNTED),
        ("{ payments(first: 3) { totalCount nodes { id } } }", 1 + COUNTED + 3),
        (
            "{ reconciliation(first: 2) { nodes { discrepancies(first: 3) { nodes { payment { id } } } } } }",
            1 + 2 + 2 * (1 + 3 + 3 * LOADED),
        ),
        ("{ __schema { types { name fields { name } } } }", INTROSPECTION),
        (get_introspection_query(), INTROSPECTION),
        (mutation("authorizePayment"), MUTATION),
    ],
)
def test_a_cost_is_what_the_rules_say(document, points):
    assert cost(document) == points


@pytest.mark.parametrize(
    ("variables", "points"),
    [
        (None, 1 + 30),
        ({"n": 4}, 1 + 4),
        ({"n": None}, 1 + DEFAULT_PAGE),
        ({"n": 5.0}, 1 + 5),
        ({"n": MAX_PAGE}, 1 + MAX_PAGE),
        ({"n": -1}, 1),  # what is no size is refused before anything is loaded
        ({"n": 10**9}, 1),
        ({"n": float("inf")}, 1),
        ({"n": "many"}, 1),
    ],
)
def test_a_page_size_is_read_from_the_variables(variables, points):
    assert cost("query ($n: Int = 30) { payments(first: $n) { nodes { id } } }", variables) == points


def test_what_is_left_out_costs_nothing():
    document = (
        f"query ($all: Boolean!) {{ viewer {{ apiKey {{ id }} }} ...P @include(if: $all) }} fragment P on Query {{ {PAGE} }}"
    )

    assert cost(document, {"all": True}) == LOADED + 1 + MAX_PAGE
    assert cost(document, {"all": False}) == LOADED
    assert cost(f"{{ viewer {{ apiKey {{ id }} }} ... @skip(if: true) {{ {PAGE} }} }}") == LOADED


def test_an_operation_is_told_by_its_name():
    document = f"query One {{ viewer {{ apiKey {{ id }} }} }} query Other {{ {PAGE} }}"

    assert (cost(document, name="One"), cost(document, name="Other")) == (LOADED, 1 + MAX_PAGE)
    for name in (None, "Third"):
        with pytest.raises(UnknownOperation):
            cost(document, name=name)


def test_too_much_is_not_counted_further():
    aliases = " ".join(f"a{index}: {PAGE}" for index in range(50))

    assert cost(f"{{ {aliases} }}") == BEYOND > MAX_COST


def test_a_document_of_many_paths_is_weighed_once_a_fragment():
    """2^60 ways lead through these fragments; a walk over paths would not end."""
    chain = " ".join(f"fragment F{index} on Query {{ ...F{index + 1} ...F{index + 1} }}" for index in range(60))
    document = parse(f"query ($n: Int) {{ ...F0 }} {chain} fragment F60 on Query {{ payments(first: $n) {{ nodes {{ id }} }} }}")

    assert DocumentCost(SCHEMA, document).operation(None).of({"n": 1}) == BEYOND


def test_every_operation_has_a_cost_and_every_page_is_paid_by_its_rows():
    """Nothing that is loaded or done is free, whatever is added to the schema."""
    roots = {SCHEMA.query_type: LOADED, SCHEMA.mutation_type: MUTATION, SCHEMA.subscription_type: STREAM}
    seen = 0
    for root, least in roots.items():
        for name in root.fields if root else ():
            assert cost_of_field(SCHEMA, root, name) >= least, name
            seen += 1
    for kind in SCHEMA.type_map.values():
        if is_connection(kind):
            assert {"edges", "pageInfo"} <= set(kind.fields), f"{kind} is no page, and would be weighed as one"
            assert all("first" in field.args for field in fields_of(kind)), f"a page of {kind} has a size"
    assert seen >= 10


def fields_of(connection):
    """All fields that lead to this type."""
    owners = [kind for kind in SCHEMA.type_map.values() if hasattr(kind, "fields") and not hasattr(kind, "parse_literal")]
    return [
        field
        for kind in owners
        for field in kind.fields.values()
        if getattr(field.type, "of_type", field.type) is connection and hasattr(field, "args")
    ]


def test_the_kind_of_an_operation_is_told():
    assert DocumentCost(SCHEMA, parse(mutation("voidPayment"))).operation(None).kind is OperationType.MUTATION
