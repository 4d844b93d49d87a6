"""What an operation costs, known before it runs. docs/limits.md tells partners the same.

A document is compiled once into what its operations cost as a function of their variables: page sizes, `@include` and `@skip`. It is
an upper bound: a field that two fragments ask for is counted twice, and a page is counted as full. Each fragment is weighed once,
however many paths lead through it, and nothing is counted beyond MAX_COST: see app/document_limits.py for why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    value_from_ast_untyped,
)

from resolvers.pages import DEFAULT_PAGE, MAX_PAGE

MAX_COST = 5_000  # of one operation: fifty pages of a hundred rows, some seconds of the database's time
LEAST = 1  # even an operation that loads nothing is read, checked and answered
LOADED = 1  # an object, or a page of them, that the database has to be asked for; and each row of a page
MUTATION = 10  # two transactions and a call to the bank
STREAM = 10  # the start of a subscription, and its first event
EVENT = 1  # each further event: it is read once for all who follow, and sent to each
COUNTED = 10  # `totalCount` reads everything that matches, not a page of it
INTROSPECTION = 10  # the whole schema is some hundreds of objects, though none of them has to be loaded
BEYOND = MAX_COST + 1  # "too much"; how much more is not counted

Variables = Mapping[str, Any]


class UnknownOperation(Exception):
    """The document has no such operation, or several and none is named."""


@dataclass(frozen=True)
class Weights:
    """The parts of a cost: what is always paid, what hangs on variables, and by which factor the whole is paid."""

    fixed: int = 0
    parts: tuple["Weights", ...] = ()
    times: "int | PageSize" = 1
    conditions: tuple[tuple[str, bool], ...] = ()  # variables, and what each has to be for this to be asked for

    @cached_property
    def is_fixed(self) -> bool:
        """Whether no variable matters."""
        return isinstance(self.times, int) and not self.conditions and all(part.is_fixed for part in self.parts)

    def cost(self, variables: Variables, known: dict[int, int]) -> int:
        """The points for these variables. `known` has what was weighed already: a fragment is in many places."""
        cost = known.get(id(self))
        if cost is None:
            if any(bool(variables.get(name)) is not wanted for name, wanted in self.conditions):
                cost = 0
            else:
                times = self.times if isinstance(self.times, int) else self.times.of(variables)
                cost = min(times * (self.fixed + sum(part.cost(variables, known) for part in self.parts)), BEYOND)
            known[id(self)] = cost
        return cost


@dataclass(frozen=True)
class PageSize:
    """How many rows a page has at most, where variables say so."""

    names: tuple[str, ...]

    def of(self, variables: Variables) -> int:
        """The first that is given."""
        for name in self.names:
            size = variables.get(name)
            if size is not None:
                return _rows(size)
        return DEFAULT_PAGE


class OperationCost:
    """What one operation of a document costs."""

    def __init__(self, kind: OperationType, weights: Weights, defaults: Variables) -> None:
        self.kind = kind
        self._weights = weights
        self._defaults = defaults
        self._fixed = self._bounded(weights.cost({}, {})) if weights.is_fixed else None

    def of(self, variables: Variables | None) -> int:
        """The points for these variables, between LEAST and BEYOND."""
        if self._fixed is not None:
            return self._fixed
        return self._bounded(self._weights.cost({**self._defaults, **(variables or {})}, {}))

    @staticmethod
    def _bounded(cost: int) -> int:
        return max(cost, LEAST)


class DocumentCost:
    """What the operations of a valid document cost."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        weigher = _Weigher(schema, document)
        self._operations = {
            each.name.value if each.name else None: weigher.operation(each)
            for each in document.definitions
            if isinstance(each, OperationDefinitionNode)
        }

    def operation(self, name: str | None) -> OperationCost:
        """The operation that is meant. Raises UnknownOperation."""
        if name is None and len(self._operations) == 1:
            return next(iter(self._operations.values()))
        if name is None or name not in self._operations:
            raise UnknownOperation
        return self._operations[name]


class _Weigher:
    """Walks one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
        self._weighed: dict[tuple[str, str, int | PageSize], Weights] = {}

    def operation(self, node: OperationDefinitionNode) -> OperationCost:
        root = self._schema.get_root_type(node.operation)
        assert root is not None, "a valid document asks for what the schema has"
        defaults = {
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in node.variable_definitions or ()
            if each.default_value is not None
        }
        return OperationCost(node.operation, self._selections(node.selection_set, root, 1), defaults)

    def _selections(self, selection_set: SelectionSetNode, parent: GraphQLNamedType, page: "int | PageSize") -> Weights:
        """`page`: how many rows each list of the parent has, where the parent is a connection."""
        parts: list[Weights] = []
        for selection in selection_set.selections:
            conditions = _conditions(selection.directives)
            if conditions is None:
                continue
            match selection:
                case FieldNode():
                    weights = self._field(selection, parent, page)
                case FragmentSpreadNode():
                    weights = self._fragment(selection.name.value, page)
                case InlineFragmentNode():
                    condition = selection.type_condition
                    on = self._schema.get_type(condition.name.value) if condition else parent
                    assert on is not None, "a valid document names types of the schema"
                    weights = self._selections(selection.selection_set, on, page)
                case _:
                    raise AssertionError("there is no other kind of selection")
            parts.append(Weights(parts=(weights,), conditions=conditions) if conditions else weights)
        return _sum(parts)

    def _fragment(self, name: str, page: "int | PageSize") -> Weights:
        fragment = self._fragments[name]
        on = self._schema.get_type(fragment.type_condition.name.value)
        assert on is not None, "a valid document names types of the schema"
        place = (name, on.name, page)
        if place not in self._weighed:
            self._weighed[place] = self._selections(fragment.selection_set, on, page)
        return self._weighed[place]

    def _field(self, node: FieldNode, parent: GraphQLNamedType, page: "int | PageSize") -> Weights:
        name = node.name.value
        if name.startswith("__"):
            return Weights(0 if name == "__typename" else INTROSPECTION)
        assert isinstance(parent, GraphQLObjectType | GraphQLInterfaceType), "only these have fields"
        field = parent.fields[name]
        returned = get_named_type(field.type)
        own = cost_of_field(self._schema, parent, name)
        if node.selection_set is None:
            return Weights(own)
        below = self._selections(node.selection_set, returned, _page_size(node) if is_connection(returned) else 1)
        if is_connection(returned):
            return _sum([Weights(own), below, Weights(LOADED, times=_page_size(node))])
        if is_connection(parent) and _is_list(field):
            return Weights(own, (below,), times=page) if page != 1 else _sum([Weights(own), below])
        return _sum([Weights(own), below])


def cost_of_field(schema: GraphQLSchema, parent: GraphQLNamedType, name: str) -> int:
    """What a field costs by itself, without what is selected below it and without the rows of a page.

    It is a rule and not a list, so that no field can be forgotten: what is loaded or done costs, what comes along with it doesn't.
    """
    assert isinstance(parent, GraphQLObjectType | GraphQLInterfaceType), "only these have fields"
    field = parent.fields[name]
    if parent is schema.mutation_type:
        return MUTATION
    if parent is schema.subscription_type:
        return STREAM
    if name == "totalCount" and is_connection(parent):
        return COUNTED
    if parent is schema.query_type or is_connection(get_named_type(field.type)):
        return LOADED
    if is_connection(parent) or not is_composite_type(get_named_type(field.type)):
        return 0
    resolver = getattr(field.extensions.get("strawberry-definition"), "base_resolver", None)
    return LOADED if resolver is not None and resolver.is_async else 0  # what is at hand already needs no waiting


def is_connection(kind: GraphQLNamedType) -> bool:
    """Whether this is a page with its rows."""
    return kind.name.endswith("Connection")


def _is_list(field: GraphQLField) -> bool:
    kind = field.type
    return is_list_type(kind.of_type if is_non_null_type(kind) else kind)


def _page_size(node: FieldNode) -> "int | PageSize":
    given = {each.name.value: each.value for each in node.arguments or () if each.name.value in ("first", "last")}
    names = tuple(value.name.value for value in given.values() if isinstance(value, VariableNode))
    sizes = [_rows(int(value.value)) for value in given.values() if isinstance(value, IntValueNode)]
    if sizes:
        return max(sizes)
    return PageSize(names) if names else DEFAULT_PAGE


def _rows(size: object) -> int:
    """The rows of a page of this size. What is no size is refused before anything is loaded, so it has none; 5.0 is 5 in JSON."""
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    return size if isinstance(size, int) and 0 <= size <= MAX_PAGE else 0


def _conditions(directives: tuple[DirectiveNode, ...] | None) -> tuple[tuple[str, bool], ...] | None:
    """What variables have to be for this to be asked for; None: it never is."""
    conditions: list[tuple[str, bool]] = []
    for directive in directives or ():
        wanted = {"include": True, "skip": False}.get(directive.name.value)
        if wanted is None:
            continue
        assert directive.arguments, "a valid document says when"
        value: ValueNode = directive.arguments[0].value
        if isinstance(value, VariableNode):
            conditions.append((value.name.value, wanted))
        elif isinstance(value, BooleanValueNode) and value.value is not wanted:
            return None
    return tuple(conditions)


def _sum(parts: list[Weights]) -> Weights:
    """All of these together; what hangs on no variable is added up now."""
    fixed = min(sum(part.cost({}, {}) for part in parts if part.is_fixed), BEYOND)
    return Weights(fixed, tuple(part for part in parts if not part.is_fixed))
