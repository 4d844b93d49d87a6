"""How deep a document may be nested, and how often it may ask for the same thing under another name.

Each fragment is measured once, however many paths lead through it: a document of 2 kB can have more paths than a process has hours.
"""

from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

MAX_DEPTH = 15  # our deepest useful query has 7; introspection's own fields are not counted
MAX_ALIASES = 50  # a dashboard's page has a handful; each one repeats the work of a field


class Extent(NamedTuple):
    """How many levels are below, and how many aliases they have."""

    depth: int
    aliases: int


class DocumentLimits(ValidationRule):
    """The validation rule. What is wrong with fragments themselves, unknown ones and circles, is for other rules to say."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments = _fragments(context.document)
        self._measured: dict[str, Extent] = {}

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Measure each operation."""
        extent = self._measure(node.selection_set)
        if extent.depth > MAX_DEPTH:
            self._refuse(node, f"The operation is nested more than {MAX_DEPTH} levels deep.")
        if extent.aliases > MAX_ALIASES:
            self._refuse(node, f"The operation has more than {MAX_ALIASES} aliases. Send several operations.")

    def _refuse(self, node: OperationDefinitionNode, message: str) -> None:
        self.report_error(GraphQLError(message, node))

    def _measure(self, selection_set: SelectionSetNode | None) -> Extent:
        depth, aliases = 0, 0
        for selection in selection_set.selections if selection_set else ():
            match selection:
                case FieldNode(name=name) if name.value.startswith("__"):
                    below = Extent(0, 0)
                case FieldNode(selection_set=None):
                    below = Extent(0, 0)
                case FieldNode():
                    inner = self._measure(selection.selection_set)
                    below = Extent(inner.depth + 1, inner.aliases)
                case FragmentSpreadNode():
                    below = self._measure_fragment(selection.name.value)
                case _:
                    below = self._measure(getattr(selection, "selection_set", None))
            depth = max(depth, below.depth)
            aliases += below.aliases + (isinstance(selection, FieldNode) and selection.alias is not None)
        # More than too many is not counted: the numbers would grow as the paths do.
        return Extent(min(depth, MAX_DEPTH + 1), min(aliases, MAX_ALIASES + 1))

    def _measure_fragment(self, name: str) -> Extent:
        if name not in self._measured:
            self._measured[name] = Extent(0, 0)  # what a circle finds; another rule refuses it
            fragment = self._fragments.get(name)
            self._measured[name] = self._measure(fragment.selection_set if fragment else None)
        return self._measured[name]


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
