"""Webhooks: endpoints of partners, what is to be delivered to them, and what came of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.event import EventType, Subject
from domain.ids import IdKind, encode_id, time_in
from domain.scope import Scope
from domain.webhook_health import Health, slots_from_document, slots_to_document
from domain.webhook_schedule import pause_s

MAX_ENDPOINTS = 20  # of a tenant: each event is written once for each of them, in the transaction that it happens in
SECRET_OVERLAP = timedelta(hours=24)  # of two secrets after a rotation: as long as the specification's own example
DELIVERIES_KEPT = timedelta(days=30)  # after their end; whoever has not looked by then reads `events`
MAX_ANSWER_CHARACTERS = 256  # of a receiver's answer in the log: enough for an error's first line
MAX_BODY_BYTES = 256 * 1024  # of a message; what is larger is no notification. The default payload has some 2 kB
MAX_LOGGED = 50  # attempts of a delivery, the newest: five replays to their end
MAX_REPLAYED = 10_000  # deliveries of one wish: a fraction of a second's work for the database
TEST_TYPE = "webhook.test"  # of test events, which are in nobody's log


class DisabledWhy(StrEnum):
    """Why an endpoint gets nothing any more; the value is its name in tables and in the schema."""

    BY_PARTNER = "BY_PARTNER"
    GONE = "GONE"
    FAILING = "FAILING"


class DeliveryState(StrEnum):
    """Where a delivery stands; the value is its name in tables and in the schema."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"


class DeadWhy(StrEnum):
    """Why a delivery is not tried again by itself."""

    EXHAUSTED = "EXHAUSTED"
    GONE = "GONE"
    ENDPOINT_DISABLED = "ENDPOINT_DISABLED"
    UNSENDABLE = "UNSENDABLE"


class Failure(StrEnum):
    """What went wrong with an attempt."""

    STATUS = "STATUS"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    NOT_CONNECTED = "NOT_CONNECTED"
    TLS_FAILED = "TLS_FAILED"
    TIMED_OUT = "TIMED_OUT"
    BROKEN_OFF = "BROKEN_OFF"
    NOT_SENT = "NOT_SENT"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where events go. Its secrets are elsewhere: see `gateway/webhook_secrets.py`.

    `types`: None for all. `shape`: a GraphQL document that says what is sent of an event; None: the default payload. `scopes` are
    those of the key that saved it, `saved_by`: it shows that document what it may show that key.
    """

    id: UUID
    url: str = field(repr=False)  # may have a token of the partner's in it
    description: str
    types: frozenset[EventType] | None
    shape: str | None
    scopes: frozenset[Scope]
    saved_by: UUID
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None
    disabled_why: DisabledWhy | None = None
    overlap_until: datetime | None = None  # of the secret before
    health: Health = field(default_factory=Health)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one attempt. `answer` is the beginning of what the receiver said, for people."""

    status: int | None
    failure: Failure | None
    duration_ms: int
    answer: str = ""
    retry_after_s: float | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing any more (RFC 9110 §15.5.11)."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt in the log."""

    number: int
    at: datetime
    reply: Reply


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event for one endpoint. A test has neither event nor type.

    `attempts` were made ever, `tries` since it began or was replayed: the schedule counts those. `log` has the newest attempts.
    """

    id: UUID
    endpoint_id: UUID
    event_id: UUID | None
    type: EventType | None
    state: DeliveryState
    due_at: datetime
    attempts: int
    tries: int
    ended_at: datetime | None = None
    dead_why: DeadWhy | None = None
    log: tuple[Attempt, ...] = ()

    @property
    def created_at(self) -> datetime:
        """When its event happened, to the millisecond: its id begins with that."""
        return time_in(self.id)

    @property
    def message_id(self) -> str:
        """`webhook-id`: the event's, on every attempt, at every endpoint and after every replay, so that a receiver knows it again."""
        if self.event_id is None:
            return encode_id(IdKind.WEBHOOK_DELIVERY, self.id)
        return encode_id(IdKind.EVENT, self.event_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt: its state, and when it is due again while it is PENDING."""

    state: DeliveryState
    due_at: datetime
    dead_why: DeadWhy | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, if it has."""
        return None if self.state is DeliveryState.PENDING else self.due_at


def verdict_of(reply: Reply, tries: int, now: datetime, random: float) -> Verdict:
    """After the `tries`th try since it began. `random` is uniform in [0, 1)."""
    if reply.failure is None:
        return Verdict(DeliveryState.DELIVERED, now)
    if reply.failure is Failure.NOT_SENT:
        return Verdict(DeliveryState.DEAD, now, DeadWhy.UNSENDABLE)
    if reply.is_gone:
        return Verdict(DeliveryState.DEAD, now, DeadWhy.GONE)
    pause = pause_s(tries, random, reply.retry_after_s)
    if pause is None:
        return Verdict(DeliveryState.DEAD, now, DeadWhy.EXHAUSTED)
    return Verdict(DeliveryState.PENDING, now + timedelta(seconds=pause))


def attempt_to_document(attempt: Attempt) -> dict[str, Any]:
    """Plain JSON: how a delivery keeps it."""
    reply = attempt.reply
    return {
        "number": attempt.number,
        "at": attempt.at.isoformat(),
        "status": reply.status,
        "failure": reply.failure,
        "ms": reply.duration_ms,
        "answer": reply.answer,
    }


def attempt_from_document(document: dict[str, Any]) -> Attempt:
    """The inverse of `attempt_to_document`."""
    failure = Failure(document["failure"]) if document["failure"] else None
    reply = Reply(document["status"], failure, document["ms"], document["answer"])
    return Attempt(document["number"], datetime.fromisoformat(document["at"]), reply)


def shown(answer: bytes) -> str:
    """The beginning of an answer as text that is safe to keep and to show: no control characters, and no more than a line or two."""
    text = answer.decode(errors="replace")
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_ANSWER_CHARACTERS]


def subject_of(endpoint: WebhookEndpoint) -> Subject:
    """What an event tells of an endpoint: not its URL, which may have a token in it."""
    return Subject(
        IdKind.WEBHOOK_ENDPOINT,
        endpoint.id,
        {
            "types": None if endpoint.types is None else sorted(endpoint.types),
            "is_shaped": endpoint.shape is not None,
            "disabled_why": endpoint.disabled_why,
            "trips": endpoint.health.trips,
        },
    )


def endpoint_to_document(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Plain JSON: how stored answers keep it as it was."""
    return {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "description": endpoint.description,
        "types": None if endpoint.types is None else sorted(endpoint.types),
        "shape": endpoint.shape,
        "scopes": sorted(endpoint.scopes),
        "saved_by": str(endpoint.saved_by),
        "created_at": endpoint.created_at.isoformat(),
        "updated_at": endpoint.updated_at.isoformat(),
        "disabled_at": endpoint.disabled_at.isoformat() if endpoint.disabled_at else None,
        "disabled_why": endpoint.disabled_why,
        "overlap_until": endpoint.overlap_until.isoformat() if endpoint.overlap_until else None,
        "slots": slots_to_document(endpoint.health),
        "trips": endpoint.health.trips,
        "open_until": endpoint.health.open_until.isoformat() if endpoint.health.open_until else None,
        "is_probing": endpoint.health.is_probing,
    }


def endpoint_from_document(document: dict[str, Any]) -> WebhookEndpoint:
    """The inverse of `endpoint_to_document`."""
    return WebhookEndpoint(
        id=UUID(document["id"]),
        url=document["url"],
        description=document["description"],
        types=None if document["types"] is None else frozenset(map(EventType, document["types"])),
        shape=document["shape"],
        scopes=frozenset(map(Scope, document["scopes"])),
        saved_by=UUID(document["saved_by"]),
        created_at=datetime.fromisoformat(document["created_at"]),
        updated_at=datetime.fromisoformat(document["updated_at"]),
        disabled_at=_time(document["disabled_at"]),
        disabled_why=DisabledWhy(document["disabled_why"]) if document["disabled_why"] else None,
        overlap_until=_time(document["overlap_until"]),
        health=Health(
            slots_from_document(document["slots"]), document["trips"], _time(document["open_until"]), document["is_probing"]
        ),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
