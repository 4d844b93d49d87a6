"""One operation's results, whatever wire they go over: executed, paced and encoded. WebSocket and event streams have this in common.

An event is executed and encoded once for all who follow the same tenant with the same document, variables and scopes: a thousand
dashboards of one partner show the same. What each of them pays, and when each of them gets it, is its own.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    create_source_event_stream,
    get_operation_ast,
    visit,
)
from graphql.execution import Executor, execute_subscription_event
from strawberry.types.execution import ExecutionResult as Answer
from strawberry.types.graphql import OperationType

from app.graphql import CACHED_DOCUMENTS, is_kept, parsed
from app.limits import Charged, Limits
from app.operation import Operation
from app.public_errors import WEATHER, PublicErrors
from domain.caller import Caller
from resolvers.context import Context

ANY_KIND = set(OperationType)  # what is left of subscriptions here is what can't be executed, and is told so
SHOWN_S = 1.0  # for this long an encoded event is kept for others: they are all told within milliseconds of each other
MAX_SHOWN = 200  # encoded events of one audience, a kilobyte or two each


@dataclass(frozen=True, slots=True)
class Result:
    """One result of an operation: its JSON, `{data, errors, extensions}`; and which event it is about, where it is about one.

    Without a body it is no result yet: a stream begins, behind that event.
    """

    body: bytes
    event_id: str | None = None


class Broken(Exception):
    """An operation came to nothing, or a stream breaks off: with these errors, as clients may see them."""

    def __init__(self, errors: list[dict[str, Any]], *, is_weather: bool = False) -> None:
        super().__init__("broken")
        self.errors = errors
        self.is_weather = is_weather  # it can be asked again as it is, in a moment


class Results:
    """Executes operations that were admitted. `monotonic` in seconds."""

    def __init__(
        self,
        schema: strawberry.Schema,
        limits: Limits,
        public_error: PublicErrors,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schema = schema
        self._core = schema._schema  # graphql-core's own
        self._limits = limits
        self._public_error = public_error
        self._monotonic = monotonic
        self._audiences: dict[object, _Audience] = {}

    async def of(self, caller: Caller, context: Context, operation: Operation, charged: Charged) -> AsyncGenerator[Result, None]:
        """Its results, the first with what it cost. Raises Broken, in the middle of a stream too."""
        is_stream = self._limits.is_stream(operation.query, operation.operation_name)
        results = self._events(context, operation) if is_stream else self._answer(context, operation)
        failed, extensions = False, b',"extensions":' + orjson.dumps(charged.extensions) + b"}"
        try:
            async with aclosing(results):
                async for result in results:
                    if not result.body:
                        yield result
                    elif extensions:  # the first one is in the price of the operation
                        yield Result(result.body[:-1] + extensions, result.event_id)
                        failed, extensions = b'"errors":' in result.body, b""
                    else:
                        await self._limits.pace(caller)
                        yield result
        except Broken:
            failed = True
            raise
        except Exception as error:
            failed = True
            refusal = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
            raise self._broken([refusal]) from error
        finally:
            self._limits.note(caller, failed=failed, payments=context.payments_made)

    async def _answer(self, context: Context, operation: Operation) -> AsyncGenerator[Result, None]:
        """The one result of a query or a mutation; and what is wrong with a document that can't be executed."""
        answer = await self._schema.execute(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
            allowed_operation_types=ANY_KIND,
        )
        if answer.data is None and answer.errors and all(each.path is None for each in answer.errors):
            raise self._broken(answer.errors)  # a query whose field failed has a path, and is an answer
        yield Result(self._encoded(answer))

    async def _events(self, context: Context, operation: Operation) -> AsyncGenerator[Result, None]:
        """The results of a subscription, one for each event."""
        source = create_source_event_stream(self._executor(context, operation, None))
        source = source if isinstance(source, ExecutionResult) or hasattr(source, "__aiter__") else await source
        if isinstance(source, ExecutionResult):
            raise self._broken(source.errors or [])
        if context.began_behind is not None:
            yield Result(b"", context.began_behind)
        with self._audience(context, operation) as audience:
            async with aclosing(source) as events:  # type: ignore[type-var]  # ours are generators
                async for event in events:
                    body = audience.shown(event.id, self._monotonic())
                    if body is None:
                        shown = execute_subscription_event(self._executor(replace(context), operation, event))
                        body = self._encoded(shown if isinstance(shown, ExecutionResult) else await shown)
                        audience.keep(event.id, body, self._monotonic())
                    yield Result(body, event.id)

    def _executor(self, context: Context, operation: Operation, event: Any) -> Executor[Any]:
        """For an event each has a context of its own, so that no loader outlives it."""
        made = Executor.build(self._core, parsed(operation.query), event, context, operation.variables, operation.operation_name)
        if isinstance(made, list):
            raise self._broken(made)
        return made

    def _encoded(self, result: ExecutionResult | Answer) -> bytes:
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [self._public_error(each) for each in result.errors]
        return orjson.dumps(body)

    def _broken(self, errors: list[GraphQLError]) -> Broken:
        is_weather = any(isinstance(each.original_error, WEATHER) for each in errors)
        return Broken([self._public_error(each) for each in errors], is_weather=is_weather)

    @contextmanager
    def _audience(self, context: Context, operation: Operation) -> Iterator["_Audience"]:
        """Those who are shown the same."""
        if not is_kept(operation.query):  # it may have a card in it, and is not remembered
            yield _Audience()
            return
        named = _variables_of_the_selection(operation.query, operation.operation_name)
        given = {name: value for name, value in (operation.variables or {}).items() if name in named}
        same = (
            context.tenant_id,
            context.caller.key.scopes,
            operation.query,
            operation.operation_name,
            orjson.dumps(given, option=orjson.OPT_SORT_KEYS),
        )
        audience = self._audiences.setdefault(same, _Audience())
        audience.size += 1
        try:
            yield audience
        finally:
            audience.size -= 1
            if not audience.size:
                del self._audiences[same]


class _Audience:
    """The newest events as those who ask for the same see them: encoded, by their ids, with when that was."""

    def __init__(self) -> None:
        self.size = 0
        self._shown: dict[str, tuple[float, bytes]] = {}

    def shown(self, event_id: str, now_s: float) -> bytes | None:
        """The event's result, if another one has had it just now."""
        kept = self._shown.get(event_id)
        return kept[1] if kept is not None and now_s - kept[0] < SHOWN_S else None

    def keep(self, event_id: str, body: bytes, now_s: float) -> None:
        """Keep it for the others."""
        self._shown.pop(event_id, None)
        if len(self._shown) >= MAX_SHOWN:
            del self._shown[next(iter(self._shown))]
        self._shown[event_id] = now_s, body


@lru_cache(CACHED_DOCUMENTS)
def _variables_of_the_selection(text: str, name: str | None) -> frozenset[str]:
    """The variables that make a difference to what is shown of an event; those of the field itself only say which events."""
    document = parsed(text)
    operation = get_operation_ast(document, name)
    assert operation is not None, "it was admitted"
    fragments = [each for each in document.definitions if not isinstance(each, OperationDefinitionNode)]
    inside: list[Node | None] = [*fragments, *(operation.directives or ())]
    for selection in operation.selection_set.selections:
        inside += [selection.selection_set, *(selection.directives or ())] if isinstance(selection, FieldNode) else [selection]
    found = _Variables()
    for node in inside:
        if node is not None:
            visit(node, found)
    return frozenset(found.names)


class _Variables(Visitor):
    """Collects the names of variables."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)
