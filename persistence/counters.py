"""Counters of usage in Redis, until a worker has written them down. A request is counted by the script that charges it.

A tenant's counters are taken out in three steps: they are renamed and given an id; they are added to the books, together with the id, in
one transaction; they are deleted. A worker that dies between two steps leaves them for the next one, and an id is never added twice.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import redis.asyncio
from redis.exceptions import RedisError

from domain.usage import Counter, Figures, Used

ANSWER_TIMEOUT_S = 2.0  # a Redis that does not answer in this time is away
EPOCH = date(1970, 1, 1)

_TAKE = """
if redis.call('EXISTS', KEYS[2]) == 0 then
  if redis.call('EXISTS', KEYS[1]) == 0 then
    return {}
  end
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], 'id', ARGV[1])
end
return redis.call('HGETALL', KEYS[2])
"""
_DROP = """
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""


class CountersAway(Exception):
    """Redis is away. Weather: what was counted stays there."""


class Drain(NamedTuple):
    """A tenant's counters that were taken out, under an id."""

    id: UUID
    used: list[Used]


def counters_of(tenant_id: UUID) -> str:
    """Where a tenant's counters are. Its fields are `counter_name`s."""
    return f"usage:{{{tenant_id}}}"


def counter_name(at: datetime, key_id: UUID, counter: Counter) -> str:
    """A counter of a key on a day, as the script that charges names it, too."""
    return f"{(at.astimezone(UTC).date() - EPOCH).days}:{key_id}:{counter}"


class RedisCounters:
    """The counters of all tenants. Every method raises CountersAway."""

    def __init__(self, url: str) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_connect_timeout=ANSWER_TIMEOUT_S, socket_timeout=ANSWER_TIMEOUT_S, protocol=3, decode_responses=True
        )

    async def waiting(self, tenant_ids: Sequence[UUID]) -> list[UUID]:
        """Which of these have counters to be written down."""
        pipeline = self._redis.pipeline(transaction=False)
        for tenant_id in tenant_ids:
            pipeline.exists(counters_of(tenant_id), _taken_from(tenant_id))
        try:
            found = await pipeline.execute()
        except (RedisError, OSError) as error:
            raise CountersAway(type(error).__name__) from error
        return [tenant_id for tenant_id, exists in zip(tenant_ids, found, strict=True) if exists]

    async def take(self, tenant_id: UUID, drain_id: UUID) -> Drain | None:
        """Take the tenant's counters out under this id, or those that were taken before and not dropped. None: there are none."""
        try:
            flat = await self._redis.eval(_TAKE, 2, counters_of(tenant_id), _taken_from(tenant_id), str(drain_id))
        except (RedisError, OSError) as error:
            raise CountersAway(type(error).__name__) from error
        fields = dict(flat) if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        return Drain(UUID(fields.pop("id")), _used(fields)) if fields else None

    async def drop(self, tenant_id: UUID, drain_id: UUID) -> None:
        """Delete what was taken out under this id: it is in the books."""
        try:
            await self._redis.eval(_DROP, 1, _taken_from(tenant_id), str(drain_id))
        except (RedisError, OSError) as error:
            raise CountersAway(type(error).__name__) from error

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()


def _taken_from(tenant_id: UUID) -> str:
    return f"usage:{{{tenant_id}}}:taken"


def _used(fields: dict[str, str]) -> list[Used]:
    counts: defaultdict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for name, count in fields.items():
        day, key_id, counter = name.split(":")
        counts[int(day), key_id][counter] = int(count)
    return [
        Used(EPOCH + timedelta(days=day), UUID(key_id), Figures(**{each: found.get(each, 0) for each in Counter}))
        for (day, key_id), found in sorted(counts.items())
    ]
