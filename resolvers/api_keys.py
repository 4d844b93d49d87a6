"""API keys: three operations, and two ways to look at them."""

from typing import cast
from uuid import UUID

from domain.answer import InvalidInput
from domain.ids import IdKind, decode_id_of
from domain.key_request import (
    DEFAULT_OVERLAP_S,
    RawCreateKey,
    parse_create_key,
    parse_revoke_key,
    parse_rotate_key,
)
from gateway.keyring import KeyAnswer
from persistence.api_keys import find_api_key, page_of_api_keys
from resolvers.context import Info
from resolvers.given import given
from resolvers.pages import page_size, place
from schema import inputs
from schema.api_key import (
    ApiKey,
    ApiKeyConnection,
    CreateApiKeyPayload,
    CreateApiKeyResult,
    RevokeApiKeyPayload,
    RevokeApiKeyResult,
    RotateApiKeyPayload,
    RotateApiKeyResult,
    api_key_edge,
    api_key_of,
)
from schema.connection import PageInfo
from schema.errors import error_of


async def api_key(info: Info, key_id: UUID) -> ApiKey | None:
    """One key by its id."""
    context = info.context
    async with context.database.tenant(context.tenant_id) as tx:
        found = await find_api_key(tx, context.tenant_id, key_id)
    return api_key_of(found) if found else None


async def api_keys(info: Info, *, first: int | None, after: str | None) -> ApiKeyConnection:
    """A page of keys, newest first."""
    context = info.context
    limit, behind = page_size("first", first), place("after", after, lambda text: decode_id_of(IdKind.API_KEY, text))
    async with context.database.tenant(context.tenant_id) as tx:
        found = await page_of_api_keys(tx, context.tenant_id, limit=limit + 1, before=behind)  # one more tells of more
    edges = [api_key_edge(key) for key in found[:limit]]
    return ApiKeyConnection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=len(found) > limit,
            has_previous_page=behind is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


async def create_api_key(info: Info, input: inputs.CreateApiKeyInput) -> CreateApiKeyResult:  # noqa: A002
    """Make a key."""
    context = info.context
    raw = RawCreateKey(
        input.idempotency_key, input.name, input.scopes, given(input.expires_at), given(input.allowed_networks) or ()
    )
    request = parse_create_key(raw, context.caller.key, context.world.now())
    answer = (
        request if isinstance(request, InvalidInput) else await context.keyring.create(context.caller, request, context.origin)
    )
    if not isinstance(answer, KeyAnswer):
        return cast(CreateApiKeyResult, error_of(answer))
    return CreateApiKeyPayload(api_key=api_key_of(answer.key), secret=answer.secret, replayed=answer.replayed)


async def rotate_api_key(info: Info, input: inputs.RotateApiKeyInput) -> RotateApiKeyResult:  # noqa: A002
    """Make a key's successor."""
    overlap_s = given(input.overlap_s)
    request = parse_rotate_key(input.idempotency_key, input.api_key_id, DEFAULT_OVERLAP_S if overlap_s is None else overlap_s)
    context = info.context
    answer = (
        request if isinstance(request, InvalidInput) else await context.keyring.rotate(context.caller, request, context.origin)
    )
    if not isinstance(answer, KeyAnswer):
        return cast(RotateApiKeyResult, error_of(answer))
    assert answer.replaced is not None, "a rotation has an old key"
    return RotateApiKeyPayload(
        api_key=api_key_of(answer.key), replaced=api_key_of(answer.replaced), secret=answer.secret, replayed=answer.replayed
    )


async def revoke_api_key(info: Info, input: inputs.RevokeApiKeyInput) -> RevokeApiKeyResult:  # noqa: A002
    """End a key at once."""
    request = parse_revoke_key(input.idempotency_key, input.api_key_id)
    context = info.context
    answer = (
        request if isinstance(request, InvalidInput) else await context.keyring.revoke(context.caller, request, context.origin)
    )
    if not isinstance(answer, KeyAnswer):
        return cast(RevokeApiKeyResult, error_of(answer))
    return RevokeApiKeyPayload(api_key=api_key_of(answer.key), replayed=answer.replayed)
