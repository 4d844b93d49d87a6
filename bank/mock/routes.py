"""Where requests go (contract §2). A table of our own, because a Go mux differs from Starlette's router:
no redirect for a trailing slash (404), 404 and 405 as text/plain, and HEAD wherever there is GET."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from bank.mock import handlers
from bank.mock.answers import HTML, Answer, json_answer, plain_answer
from bank.mock.handlers import Circumstances
from bank.mock.issuing import CARDS, DETAILS, issue, issued_details
from bank.mock.ledger import Ledger
from bank.mock.openapi import DOCS_PAGE, DOCUMENT


class Creation(NamedTuple):
    """A POST that does something."""

    handle: Callable[[Ledger, bytes, Circumstances], Answer]


class Lookup(NamedTuple):
    """A GET of one thing by its id."""

    handle: Callable[[Ledger, str, Circumstances], Answer]
    text: str = ""


class Page(NamedTuple):
    """A GET that needs no ledger."""

    handle: Callable[[Circumstances], Answer]


Route = Creation | Lookup | Page | Answer

_TO_DOCS: Final = Answer(301, b'<a href="/docs">Moved Permanently</a>.\n\n', (HTML, (b"location", b"/docs")))
_DOCS: Final = Answer(200, DOCS_PAGE, (HTML,))
_OPENAPI: Final = json_answer(200, DOCUMENT)
_HEALTHY: Final = json_answer(200, {"status": "healthy"})
_UNHEALTHY: Final = json_answer(503, {"status": "unhealthy"})

CREATIONS: Final[Mapping[str, Creation]] = {
    "/api/v1/authorizations": Creation(handlers.authorize),
    "/api/v1/captures": Creation(handlers.capture),
    "/api/v1/voids": Creation(handlers.void),
    "/api/v1/refunds": Creation(handlers.refund),
}
ISSUING: Final[Mapping[str, Creation]] = {CARDS: Creation(issue)}
# No voids: the contract has no GET for them.
LOOKUPS: Final[Mapping[str, Lookup]] = {
    "/api/v1/authorizations": Lookup(handlers.find_authorization),
    "/api/v1/captures": Lookup(handlers.find_capture),
    "/api/v1/refunds": Lookup(handlers.find_refund),
}
PAGES: Final[Mapping[str, Page]] = {
    "/": Page(lambda _: _TO_DOCS),
    "/docs": Page(lambda _: _DOCS),
    "/docs/openapi": Page(lambda _: _OPENAPI),
    "/health": Page(lambda at: _UNHEALTHY if at.database_down else _HEALTHY),
}
_GET_METHODS: Final = ("GET", "HEAD")
_UNKNOWN: Final = plain_answer(404, "404 page not found")


def find_route(method: str, path: str, *, issuing: bool) -> Route:
    """What serves this method and path; an `Answer` when nothing does: 404, or 405 with Allow (§2).

    `issuing`: whether there is the extension of `bank.mock.issuing`. Without it its paths are like any unknown one.
    """
    creation = CREATIONS.get(path) or (ISSUING.get(path) if issuing else None)
    if creation is not None:
        return creation if method == "POST" else _wrong_method("POST")
    page = PAGES.get(path)
    if page is not None:
        return page if method in _GET_METHODS else _wrong_method(*_GET_METHODS)
    collection, _, text = path.rpartition("/")
    lookup = LOOKUPS.get(collection)
    if issuing and path.startswith(CARDS + "/") and path.endswith(DETAILS):
        lookup, text = Lookup(issued_details), path[len(CARDS) + 1 : -len(DETAILS)]
    if lookup is None or not text:
        return _UNKNOWN
    return lookup._replace(text=text) if method in _GET_METHODS else _wrong_method(*_GET_METHODS)


def _wrong_method(*allowed: str) -> Answer:
    return plain_answer(405, "Method Not Allowed", (b"allow", ", ".join(allowed).encode()))
