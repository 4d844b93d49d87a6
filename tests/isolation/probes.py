"""Every argument that takes an id, a text or a filter, found by introspection, and a document for each that uses it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from graphql import (
    GraphQLAbstractType,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

INSISTS = {"user"}  # fields that need one of their optional arguments: they are no way to what is below
APART = "Apart"  # ends the names of fragments whose fields may need aliases, of which an operation may have but a few
ROWS = 1  # of pages below pages: an operation may cost only so much
ROWS_OF_PAGE = 5  # of the page below, where nothing else is said
ROWS_ON_THE_WAY = 3  # to a page below: the newest ones are those that the estates were furnished with
NAMES = {"ID", "String"}  # what could name something of somebody; whatever is in a filter could as well, whatever its type


@dataclass(frozen=True)
class Probe:
    """One place in the schema for a value. `coordinate` names it; `path` leads to it among the arguments of the field."""

    coordinate: str
    operation: str  # query, mutation or subscription
    steps: tuple[str, ...]  # the fields that lead to the one with the argument, that one included
    path: tuple[str, ...]
    document: str

    @property
    def field(self) -> str:
        """The field's name for people."""
        return ".".join(self.steps)


def probes(schema: GraphQLSchema) -> list[Probe]:
    """All there are. Raises AssertionError for a field that no document can reach without an argument on the way."""
    writer = _Documents(schema)
    found = []
    for parent in schema.type_map.values():
        if not isinstance(parent, GraphQLObjectType) or parent.name.startswith("__"):
            continue
        for name, field in parent.fields.items():
            for argument, path, coordinate in _places(parent.name, name, field):
                operation, steps = writer.way_to(parent)
                document = writer.document(operation, (*steps, name), field)
                found.append(Probe(coordinate, operation, (*steps, name), (argument, *path), document))
    return found


def _places(parent: str, name: str, field: GraphQLField) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The argument, the path inside it, and the coordinate of each place that could name something."""
    for argument, given in field.args.items():
        yield from ((argument, path, at) for path, at in _within(given.type, f"{parent}.{name}({argument}:)"))


def _within(of: GraphQLInputType, coordinate: str) -> Iterator[tuple[tuple[str, ...], str]]:
    named = get_named_type(of)
    if not isinstance(named, GraphQLInputObjectType):
        if named.name in NAMES:
            yield (), coordinate
        return
    for name, field in named.fields.items():
        inner = get_named_type(field.type)
        if named.name.endswith("Filter") and not isinstance(inner, GraphQLInputObjectType):
            yield (), f"{named.name}.{name}"  # the whole filter is tried out, with this in it
        else:
            yield from (((name, *path), at) for path, at in _within(field.type, f"{named.name}.{name}"))


class _Documents:
    """Writes documents that ask for everything: what leaks may leak in any field."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._ways = self._find_ways()
        self._aliased = _ambiguous(schema)

    def way_to(self, parent: GraphQLObjectType) -> tuple[str, tuple[str, ...]]:
        """The operation and the fields that lead to a type, none of which needs an argument."""
        assert parent.name in self._ways, f"no way to {parent.name} without an argument: tell the walk of one"
        return self._ways[parent.name]

    def document(self, operation: str, steps: tuple[str, ...], field: GraphQLField) -> str:
        """The operation, with a variable for each argument of its last field."""
        fragments: dict[str, str] = {}
        selection = self._selection(field.type, fragments)
        outer = steps[:-1]
        way = [f"{steps[-1]}{_arguments(field.args)}", *reversed(outer)]
        root = self._schema.query_type.fields.get(steps[0]) if self._schema.query_type else None
        if len(steps) > 1 and root is not None and "first" in root.args:
            way[-1] += f"(first: {ROWS_ON_THE_WAY})"
        for step in way:
            selection = f"{{ {step} {selection} }}"
        few = {"first": f" = {ROWS_OF_PAGE}"} if outer else {}
        variables = ", ".join(f"${name}: {argument.type}{few.get(name, '')}" for name, argument in field.args.items())
        return f"{operation} ({variables}) {selection} {' '.join(fragments.values())}"

    def _selection(self, of: GraphQLOutputType, fragments: dict[str, str]) -> str:
        named = get_named_type(of)
        if is_leaf_type(named):
            return ""
        if isinstance(named, GraphQLInterfaceType | GraphQLUnionType):
            possible = [self._fragment(each.name, fragments, apart=True) for each in self._schema.get_possible_types(named)]
        else:
            possible = [self._fragment(named.name, fragments)]
        return f"{{ __typename {' '.join(f'...{name}' for name in possible)} }}"

    def _fragment(self, name: str, fragments: dict[str, str], *, apart: bool = False) -> str:
        """The name of a fragment of everything in a type; `apart` from the other types that may stand in the same place."""
        fragment = f"{name}{APART}" if apart else name
        if fragment in fragments:
            return fragment
        fragments[fragment] = ""  # under way: what leads back to it is not asked for again
        of = self._schema.type_map[name]
        assert isinstance(of, GraphQLObjectType)
        fields = []
        for each, field in of.fields.items():
            inner = get_named_type(field.type)
            if any(map(is_required_argument, field.args.values())) or _is_under_way(inner.name, fragments):
                continue
            if each == "nodes" and "edges" in of.fields:  # the same once more
                continue
            alias = f"{name}_{each}: " if apart and (name, each) in self._aliased else ""
            page = f"(first: {ROWS})" if "first" in field.args else ""
            fields.append(f"{alias}{each}{page} {self._selection(field.type, fragments)}")
        fragments[fragment] = f"fragment {fragment} on {name} {{ {' '.join(fields)} }}"
        return fragment

    def _find_ways(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        schema = self._schema
        roots = {"query": schema.query_type, "mutation": schema.mutation_type, "subscription": schema.subscription_type}
        ways: dict[str, tuple[str, tuple[str, ...]]] = {root.name: (name, ()) for name, root in roots.items() if root}
        waiting = deque(["Query"])
        while waiting:
            operation, steps = ways[name := waiting.popleft()]
            of = self._schema.type_map[name]
            for step, field in of.fields.items() if isinstance(of, GraphQLObjectType) else ():
                inner = get_named_type(field.type)
                if inner.name not in ways and step not in INSISTS and not any(map(is_required_argument, field.args.values())):
                    ways[inner.name] = operation, (*steps, step)
                    waiting.append(inner.name)
        return ways


def _is_under_way(name: str, fragments: dict[str, str]) -> bool:
    return "" in (fragments.get(name), fragments.get(f"{name}{APART}"))


def _arguments(arguments: dict[str, GraphQLArgument]) -> str:
    return f"({', '.join(f'{name}: ${name}' for name in arguments)})" if arguments else ""


def _ambiguous(schema: GraphQLSchema) -> set[tuple[str, str]]:
    """Fields of the same name and of other types in one union: they need aliases (specification §5.3.2)."""
    found: set[tuple[str, str]] = set()
    for each in schema.type_map.values():
        if isinstance(each, GraphQLAbstractType):
            types: dict[str, list[tuple[str, str]]] = {}
            for possible in schema.get_possible_types(each):
                for name, field in possible.fields.items():
                    types.setdefault(name, []).append((str(field.type), possible.name))
            for name, of in types.items():
                if any(one[0] != other[0] for one, other in pairwise(of)):
                    found |= {(parent, name) for _, parent in of}
    return found


def with_value(arguments: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The arguments with a value at a place."""
    first, *rest = path
    inner = arguments.get(first) or {}
    return {**arguments, first: with_value(inner, tuple(rest), value) if rest else value}
