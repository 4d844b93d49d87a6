"""What partners may ask about webhooks, checked: raw values come in, a request or all its problems come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.answer import InvalidInput
from domain.event import EventType
from domain.ids import IdKind, decode_id_of
from domain.request import Problems
from domain.webhook_url import read_url

MAX_DOCUMENT_LENGTH = 10_000  # characters of a shaping document; all fields that there are take a fifth of that
MAX_NAMED = 100  # deliveries of a replay that are named one by one: a page of them

_KEY, _URL, _TYPES, _DOCUMENT = ("input", "idempotencyKey"), ("input", "url"), ("input", "types"), ("input", "document")
_WHICH = ("input", "which")


class Keep:
    """What a change leaves as it is."""


KEEP = Keep()


@dataclass(frozen=True, slots=True)
class CreateEndpoint:
    """A checked wish for an endpoint."""

    idempotency_key: str
    url: str
    description: str
    types: frozenset[EventType] | None
    shape: str | None

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        types = None if self.types is None else sorted(self.types)
        return {"url": self.url, "description": self.description, "types": types, "document": self.shape}


@dataclass(frozen=True, slots=True)
class UpdateEndpoint:
    """A checked wish to change an endpoint; KEEP for what stays. `endpoint_id` is None when no endpoint can have that id."""

    idempotency_key: str
    endpoint_id: UUID | None
    url: str | Keep
    description: str | Keep
    types: frozenset[EventType] | Keep | None
    shape: str | Keep | None
    enabled: bool | Keep

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        given: dict[str, Any] = {
            "url": self.url,
            "description": self.description,
            "types": sorted(self.types) if isinstance(self.types, frozenset) else self.types,
            "document": self.shape,
            "enabled": self.enabled,
        }
        changes = {name: value for name, value in given.items() if not isinstance(value, Keep)}
        return {"endpoint": str(self.endpoint_id), "changes": changes}


@dataclass(frozen=True, slots=True)
class AskEndpoint:
    """A checked wish to delete an endpoint, to rotate its secret or to send it a test."""

    idempotency_key: str
    endpoint_id: UUID | None

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"endpoint": str(self.endpoint_id)}


@dataclass(frozen=True, slots=True)
class Replay:
    """A checked wish to deliver again: these, or what was made in a span of time (`failed_only`: and is dead)."""

    idempotency_key: str
    endpoint_id: UUID | None
    delivery_ids: tuple[UUID, ...] | None
    since: datetime | None
    until: datetime | None
    failed_only: bool

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {
            "endpoint": str(self.endpoint_id),
            "deliveries": None if self.delivery_ids is None else sorted(map(str, self.delivery_ids)),
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "failed": self.failed_only,
        }


WebhookRequest = CreateEndpoint | UpdateEndpoint | AskEndpoint | Replay


@dataclass(frozen=True, slots=True)
class RawEndpoint:
    """The input of createWebhookEndpoint and updateWebhookEndpoint as the client sent it. `problems` are those of the document."""

    idempotency_key: str
    url: str | Keep
    description: str | Keep | None
    types: Sequence[EventType] | Keep | None
    document: str | Keep | None
    problems: Sequence[str] = ()


def parse_create(raw: RawEndpoint, *, development: bool) -> CreateEndpoint | InvalidInput:
    """The request, or each problem with its path."""
    problems = Problems()
    key = problems.name(_KEY, raw.idempotency_key)
    url, description, types, shape = _parse_endpoint(problems, raw, development=development)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    assert not isinstance(url, Keep), "a new endpoint has a URL"
    return CreateEndpoint(
        key,
        url,
        "" if isinstance(description, Keep) else description,
        None if isinstance(types, Keep) else types,
        None if isinstance(shape, Keep) else shape,
    )


def parse_update(raw: RawEndpoint, endpoint_id: str, enabled: bool | Keep, *, development: bool) -> UpdateEndpoint | InvalidInput:
    """The request, or each problem with its path."""
    problems = Problems()
    key = problems.name(_KEY, raw.idempotency_key)
    url, description, types, shape = _parse_endpoint(problems, raw, development=development)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    found = decode_id_of(IdKind.WEBHOOK_ENDPOINT, endpoint_id)
    return UpdateEndpoint(key, found, url, description, types, shape, enabled)


def _parse_endpoint(
    problems: Problems, raw: RawEndpoint, *, development: bool
) -> tuple[str | Keep, str | Keep, frozenset[EventType] | Keep | None, str | Keep | None]:
    if not isinstance(raw.url, Keep) and isinstance(problem := read_url(raw.url, development=development), str):
        problems.add(_URL, problem)
    description: str | Keep = "" if raw.description is None else raw.description
    if isinstance(description, str) and description:
        description = problems.name(("input", "description"), description)
    if not isinstance(raw.types, Keep) and raw.types is not None and not raw.types:
        problems.add(_TYPES, "It is empty: the endpoint would never get anything. Leave it out for events of all types.")
    types = frozenset(raw.types) if raw.types is not None and not isinstance(raw.types, Keep) else raw.types
    for problem in raw.problems:
        problems.add(_DOCUMENT, problem)
    return raw.url, description, types, raw.document


def parse_ask(idempotency_key: str, endpoint_id: str) -> AskEndpoint | InvalidInput:
    """The request, or what is wrong with its idempotency key."""
    problems = Problems()
    key = problems.name(_KEY, idempotency_key)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return AskEndpoint(key, decode_id_of(IdKind.WEBHOOK_ENDPOINT, endpoint_id))


def parse_replay(
    idempotency_key: str,
    endpoint_id: str,
    *,
    delivery_ids: Sequence[str] | None = None,
    span: tuple[datetime, datetime | None] | None = None,
    failed_only: bool = False,
) -> Replay | InvalidInput:
    """The request, or each problem with its path. Ids that are none of a delivery are left out: nobody has such a delivery."""
    problems = Problems()
    key = problems.name(_KEY, idempotency_key)
    endpoint = decode_id_of(IdKind.WEBHOOK_ENDPOINT, endpoint_id)
    if delivery_ids is not None and not 0 < len(delivery_ids) <= MAX_NAMED:
        problems.add((*_WHICH, "deliveryIds"), f"Give 1 to {MAX_NAMED} deliveries, or a span of time.")
    if span is not None and span[1] is not None and span[1] <= span[0]:
        problems.add((*_WHICH, "between", "until"), "It is not after the beginning.")
    if problems.found:
        return InvalidInput(tuple(problems.found))
    if delivery_ids is not None:
        found = [decode_id_of(IdKind.WEBHOOK_DELIVERY, each) for each in delivery_ids]
        return Replay(key, endpoint, tuple(each for each in found if each), None, None, failed_only=False)
    assert span is not None, "a replay is of some deliveries or of a span"
    return Replay(key, endpoint, None, span[0], span[1], failed_only)
