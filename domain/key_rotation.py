"""What becomes of a key: when it ends, and what its successor takes over."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.answer import KeyNotUsable
from domain.api_key import ApiKey, network_of
from domain.event import Event, EventType, Subject
from domain.ids import IdKind, encode_id
from domain.scope import Scope


def why_not_rotated(key: ApiKey, now: datetime) -> KeyNotUsable | None:
    """Why a key can have no successor, or None when it can."""
    if key.revoked_at is not None:
        message = "This key has been revoked. Make a new one instead."
    elif key.replaced_by is not None:
        message = "This key has a successor already: see its `replacedBy`. Rotate that one."
    elif key.expires_at is not None and key.expires_at <= now:
        message = "This key has expired. Make a new one instead."
    else:
        return None
    return KeyNotUsable(key.id, message)


def successor(key: ApiKey, *, new_id: UUID, shown: str, created_by: UUID, now: datetime) -> ApiKey:
    """The key that comes after: it may do the same, from the same networks, and ends when the first one was to end."""
    return ApiKey(
        id=new_id,
        tenant_id=key.tenant_id,
        name=key.name,
        shown=shown,
        scopes=key.scopes,
        created_at=now,
        created_by=created_by,
        expires_at=key.expires_at,
        networks=key.networks,
    )


def replaced(key: ApiKey, new_id: UUID, now: datetime, overlap: timedelta) -> ApiKey:
    """The key that goes: good for the overlap, and never longer than it was to be."""
    end = now + overlap
    return replace(key, replaced_by=new_id, expires_at=end if key.expires_at is None else min(key.expires_at, end))


def key_to_document(key: ApiKey) -> dict[str, Any]:
    """Plain JSON values: how stored answers keep a key as it was. Of the secret it has what is shown in lists."""
    return {
        "id": str(key.id),
        "name": key.name,
        "shown": key.shown,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "created_by": str(key.created_by) if key.created_by else None,
        "expires_at": _text(key.expires_at),
        "networks": [str(each) for each in key.networks],
        "last_used_at": _text(key.last_used_at),
        "revoked_at": _text(key.revoked_at),
        "replaced_by": str(key.replaced_by) if key.replaced_by else None,
    }


def key_from_document(tenant_id: UUID, document: dict[str, Any]) -> ApiKey:
    """The inverse of `key_to_document`."""
    return ApiKey(
        id=UUID(document["id"]),
        tenant_id=tenant_id,
        name=document["name"],
        shown=document["shown"],
        scopes=frozenset(map(Scope, document["scopes"])),
        created_at=datetime.fromisoformat(document["created_at"]),
        created_by=UUID(document["created_by"]) if document["created_by"] else None,
        expires_at=_time(document["expires_at"]),
        networks=tuple(map(network_of, document["networks"])),
        last_used_at=_time(document["last_used_at"]),
        revoked_at=_time(document["revoked_at"]),
        replaced_by=UUID(document["replaced_by"]) if document["replaced_by"] else None,
    )


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def event_of_key(event_id: UUID, happened: EventType, key: ApiKey, at: datetime, idempotency_key: str) -> Event:
    """What the log tells of a key: which one, what it may do, until when, and what came after it. Nothing that could be presented."""
    told = {
        "scopes": sorted(key.scopes),
        "expires_at": _text(key.expires_at),
        "replaced_by": encode_id(IdKind.API_KEY, key.replaced_by) if key.replaced_by else None,
    }
    return Event(event_id, happened, at, Subject(IdKind.API_KEY, key.id, told), None, idempotency_key)
