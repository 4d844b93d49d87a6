"""All errors that leave the house, over whatever wire. Bugs of ours show nothing but an id to find them by."""

import logging
from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from app.scrubbing import scrub
from gateway.gateway import OVERLOADED_RETRY_S, Overloaded
from persistence.database import Crowded, DatabaseAway

DATABASE_RETRY_S = 2  # a restart or a failover of Postgres takes some seconds; asking every two costs nothing
WEATHER = (DatabaseAway, Overloaded)

log = logging.getLogger(__name__)


class PublicErrors:
    """Called with an error, gives what the client may see of it. `new_error_id` makes the ids that masked errors are found by."""

    def __init__(self, new_error_id: Callable[[], str]) -> None:
        self._new_error_id = new_error_id

    def __call__(self, error: GraphQLError) -> dict[str, Any]:
        """An error as the client may see it. Bugs of ours are logged under an id and show nothing else."""
        original = error.original_error
        if isinstance(original, WEATHER):
            message = "This part could not be done just now. Repeat it in a moment."
            extensions: dict[str, Any] = {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": retry_after_s(original) * 1000}
        elif is_ours(error):
            error_id = self._new_error_id()
            log.error("error %s", error_id, exc_info=original)
            message = f"Something went wrong on our side. Quote {error_id} and we will find out what."
            extensions = {"code": "INTERNAL_ERROR", "errorId": error_id}
        else:
            message, path = scrub(error.message)
            extensions = {"code": "INVALID_INPUT", **({"path": path} if path else {}), **(error.extensions or {})}
        formatted: dict[str, Any] = {"message": message}
        if error.locations:
            formatted["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
        if error.path is not None:
            formatted["path"] = error.path
        return formatted | {"extensions": extensions}


def is_ours(error: GraphQLError) -> bool:
    """Whether an error is a bug: an exception that is neither a refusal nor weather.

    An exception about a literal in the document has nodes, and no path yet: that is the client's.
    """
    original = error.original_error
    if original is None or isinstance(original, (GraphQLError, *WEATHER)):
        return False
    return error.path is not None or not error.nodes


def retry_after_s(weather: BaseException) -> int:
    """When to try again."""
    return OVERLOADED_RETRY_S if isinstance(weather, Overloaded | Crowded) else DATABASE_RETRY_S
