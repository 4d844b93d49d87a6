"""API keys: what is shown of them, and what changing them answers. The secret is shown once."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain.api_key import ApiKey as DomainApiKey
from domain.ids import IdKind, encode_id
from domain.partner import Mode, mode_of
from domain.scope import Scope
from schema.connection import PageInfo
from schema.errors import (
    ApiKeyNotUsableError,
    IdempotencyMismatchError,
    InsufficientScopeError,
    InvalidInputError,
    LimitReachedError,
    NotFoundError,
)
from schema.node import Node

_SHOWN_ONCE = (
    "The key itself, `gp_live_…` or `gp_test_…`. Shown this once: on a replay it is null, for we keep only a hash. "
    "Whoever lost the answer revokes that key and makes another."
)
_REPLAYED = "Whether this answers a request that was made before with the same key."


@strawberry.type(description="An API key, without its secret.")
class ApiKey(Node):
    name: str = strawberry.field(description="What you called it.")
    prefix: str = strawberry.field(description="How the key begins, to tell it from your others.")
    mode: Mode = strawberry.field(description="Whether money moves.")
    scopes: list[Scope] = strawberry.field(description="What it may do.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(description="From when on it is refused; null: it does not expire.")
    allowed_networks: list[str] = strawberry.field(description="From where it is good, in CIDR notation; empty: from anywhere.")
    last_used_at: datetime | None = strawberry.field(
        description="When it was used last, to the minute or so; null if it never was."
    )
    revoked_at: datetime | None = strawberry.field(description="Since when it is refused; null unless it was revoked.")
    replaced_by: strawberry.ID | None = strawberry.field(description="The key that came of its rotation; null without one.")


@strawberry.type(description="An API key and its place in the list.")
class ApiKeyEdge:
    cursor: str = strawberry.field(description="Opaque; give it as `after`.")
    node: ApiKey = strawberry.field(description="The key.")


@strawberry.type(description="A page of API keys, newest first; revoked and expired ones too.")
class ApiKeyConnection:
    edges: list[ApiKeyEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends.")

    @strawberry.field(description="The same page without the cursors.")
    def nodes(self) -> list[ApiKey]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="The key that was made.")
class CreateApiKeyPayload:
    api_key: ApiKey = strawberry.field(description="As it was when it was made.")
    secret: str | None = strawberry.field(description=_SHOWN_ONCE)
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="A key's successor, and the key that goes.")
class RotateApiKeyPayload:
    api_key: ApiKey = strawberry.field(description="The new key: name, scopes, networks and expiry are those of the old one.")
    replaced: ApiKey = strawberry.field(description="The old key; it is good until its `expiresAt`.")
    secret: str | None = strawberry.field(description=_SHOWN_ONCE)
    replayed: bool = strawberry.field(description=_REPLAYED)


@strawberry.type(description="The key that was revoked.")
class RevokeApiKeyPayload:
    api_key: ApiKey = strawberry.field(description="It is refused from now on; everywhere within five seconds.")
    replayed: bool = strawberry.field(description=_REPLAYED)


CreateApiKeyResult = Annotated[
    CreateApiKeyPayload | InvalidInputError | LimitReachedError | ApiKeyNotUsableError | IdempotencyMismatchError,
    strawberry.union("CreateApiKeyResult", description="The new key, or why none was made."),
]
RotateApiKeyResult = Annotated[
    RotateApiKeyPayload
    | InvalidInputError
    | NotFoundError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | IdempotencyMismatchError,
    strawberry.union("RotateApiKeyResult", description="The new key, or why none was made."),
]
RevokeApiKeyResult = Annotated[
    RevokeApiKeyPayload | InvalidInputError | NotFoundError | ApiKeyNotUsableError | IdempotencyMismatchError,
    strawberry.union("RevokeApiKeyResult", description="The revoked key, or why none was revoked."),
]


def api_key_of(key: DomainApiKey) -> ApiKey:
    """A key as the schema shows it."""
    return ApiKey(
        id=_id(key),
        name=key.name,
        prefix=key.shown,
        mode=mode_of(key.tenant_id),
        scopes=[scope for scope in Scope if scope in key.scopes],
        created_at=key.created_at,
        expires_at=key.expires_at,
        allowed_networks=[str(each) for each in key.networks],
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        replaced_by=strawberry.ID(encode_id(IdKind.API_KEY, key.replaced_by)) if key.replaced_by else None,
    )


def api_key_edge(key: DomainApiKey) -> ApiKeyEdge:
    """A key in a list: its id says its place, for ids are in the order of time."""
    return ApiKeyEdge(cursor=_id(key), node=api_key_of(key))


def _id(key: DomainApiKey) -> strawberry.ID:
    return strawberry.ID(encode_id(IdKind.API_KEY, key.id))
