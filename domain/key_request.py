"""What partners may ask about API keys, checked: raw values come in, a request or all its problems come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.answer import InvalidInput
from domain.api_key import ApiKey, Network, network_of
from domain.ids import IdKind, decode_id_of
from domain.request import Problems
from domain.scope import Scope

MAX_KEYS = 100  # usable keys of a tenant: some for each program and place; more of them nobody keeps track of
MAX_NETWORKS = 50  # of a key: each request is compared with all of them
MAX_OVERLAP_S = 7 * 86_400  # a week: by then every program has been restarted with the new key
DEFAULT_OVERLAP_S = 86_400  # a day: a deployment in the morning, a look at `lastUsedAt` in the evening

_SCOPES, _NETWORKS = ("input", "scopes"), ("input", "allowedNetworks")


@dataclass(frozen=True, slots=True)
class CreateKey:
    """A checked wish for a key. All its scopes are held by the key that asks."""

    idempotency_key: str
    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None
    networks: tuple[Network, ...]

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {
            "name": self.name,
            "scopes": sorted(self.scopes),
            "expires": None if self.expires_at is None else self.expires_at.isoformat(),
            "networks": sorted(map(str, self.networks)),
        }


@dataclass(frozen=True, slots=True)
class RotateKey:
    """A checked wish for a key's successor. `key_id` is None when no key can have that id."""

    idempotency_key: str
    key_id: UUID | None
    overlap: timedelta

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"key": str(self.key_id), "overlap": self.overlap.total_seconds()}


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """A checked wish to end a key at once. `key_id` is None when no key can have that id."""

    idempotency_key: str
    key_id: UUID | None

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"key": str(self.key_id)}


@dataclass(frozen=True, slots=True)
class RawCreateKey:
    """The input of createApiKey as the client sent it."""

    idempotency_key: str
    name: str
    scopes: Sequence[Scope]
    expires_at: datetime | None
    networks: Sequence[str]


def parse_create_key(raw: RawCreateKey, asking: ApiKey, now: datetime) -> CreateKey | InvalidInput:
    """The request, or each problem with its path. A key gives only scopes that it has itself."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), raw.idempotency_key)
    name = problems.name(("input", "name"), raw.name)
    if not raw.scopes:
        problems.add(_SCOPES, "It is empty; give at least one scope: a key without any can do nothing.")
    for index, scope in enumerate(raw.scopes):
        if scope not in asking.scopes:
            problems.add((*_SCOPES, str(index)), f"The key of this request lacks `{scope}`, and can't give what it lacks.")
    if raw.expires_at is not None and raw.expires_at <= now:
        problems.add(("input", "expiresAt"), "It is in the past: the key would never be good.")
    networks = _parse_networks(problems, raw.networks)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return CreateKey(key, name, frozenset(raw.scopes), raw.expires_at, networks)


def _parse_networks(problems: Problems, raw: Sequence[str]) -> tuple[Network, ...]:
    if len(raw) > MAX_NETWORKS:
        problems.add(_NETWORKS, f"There are {len(raw)} networks; at most {MAX_NETWORKS} are allowed.")
        return ()
    networks: list[Network] = []
    for index, each in enumerate(raw):
        network = as_network(each)
        if network is None:
            problems.add(
                (*_NETWORKS, str(index)),
                "It is not a network in CIDR notation, such as 203.0.113.0/24 or 2001:db8::/32; all bits behind the prefix are 0.",
            )
        elif network not in networks:
            networks.append(network)
    return tuple(networks)


def as_network(text: str) -> Network | None:
    """A network in CIDR notation; a single address is one, too. None for anything else."""
    try:
        return network_of(text)
    except ValueError:
        return None


def parse_rotate_key(idempotency_key: str, key_id: str, overlap_s: int) -> RotateKey | InvalidInput:
    """The request, or each problem with its path."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    if not 0 <= overlap_s <= MAX_OVERLAP_S:
        problems.add(("input", "overlapS"), f"Both keys work for 0 to {MAX_OVERLAP_S} seconds.")
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return RotateKey(key, decode_id_of(IdKind.API_KEY, key_id), timedelta(seconds=overlap_s))


def parse_revoke_key(idempotency_key: str, key_id: str) -> RevokeKey | InvalidInput:
    """The request, or what is wrong with its idempotency key."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return RevokeKey(key, decode_id_of(IdKind.API_KEY, key_id))
