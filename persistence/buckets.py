"""Token buckets in Redis, which all processes share: one script charges the key's bucket and its partner's, or neither.

The script has the rules of `domain/token_bucket.py` in Lua, whose numbers are exact up to 2^53. Redis's own clock decides, so that no
two processes need to agree about the time. A bucket is forgotten when it is full again, for then it equals a new one. Everything of
a tenant has its id as a hash tag: a cluster keeps it in one place.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from domain.tier import TIERS, Rate, Tier
from domain.usage import Counter
from persistence.counters import counters_of

ANSWER_TIMEOUT_S = 2.0  # a Redis that does not answer in this time is away
CONNECT_TIMEOUT_S = 15.0  # generous, for the reason that `persistence/wakeups.py` has

WEATHER = (RedisError, OSError, TimeoutError)  # what a Redis that is away looks like

# KEYS: the partner's bucket, its counters, then the buckets of its keys.
# ARGV: whole, points and unit of the partner's rate, the same of a key's; how many requests there are; for each request which key, its
# cost, and as what it counts; the ids of the keys; then counters and what to add to them. What is admitted counts for Redis's day.
# Answer: for each request whether it is admitted, and what is missing in its key's bucket and in the partner's afterwards.
CHARGE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function rate(from)
  return {whole = tonumber(ARGV[from]), points = tonumber(ARGV[from + 1]), unit = tonumber(ARGV[from + 2])}
end
local of_partner, of_key = rate(1), rate(4)

local buckets = {}
for index, name in ipairs(KEYS) do
  if index ~= 2 then
    local rate = index == 1 and of_partner or of_key
    local kept = redis.call('HMGET', name, 'missing', 'at')
    local missing, at = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
    local from = math.max(now, at)
    missing = math.max(0, math.min(missing, rate.whole) - (from - at) * rate.points)
    buckets[index] = {name = name, rate = rate, missing = missing, at = from, cost = 0, counts = {}}
  end
end

local function fits(bucket, cost)
  return bucket.missing + cost * bucket.rate.unit <= bucket.rate.whole
end
local function take(bucket, cost, counter)
  bucket.missing = bucket.missing + cost * bucket.rate.unit
  bucket.counts[counter] = (bucket.counts[counter] or 0) + 1
  bucket.cost = bucket.cost + cost
end

local answer = {}
local behind = 8 + 3 * tonumber(ARGV[7])
for index = 8, behind - 1, 3 do
  local partner, key, cost = buckets[1], buckets[tonumber(ARGV[index]) + 2], tonumber(ARGV[index + 1])
  local admitted = fits(partner, cost) and fits(key, cost)
  if admitted and cost > 0 then
    take(partner, cost, ARGV[index + 2])
    take(key, cost, ARGV[index + 2])
  end
  table.insert(answer, admitted and 1 or 0)
  table.insert(answer, key.missing)
  table.insert(answer, partner.missing)
end

for _, bucket in pairs(buckets) do
  if bucket.cost > 0 then
    redis.call('HSET', bucket.name, 'missing', string.format('%.0f', bucket.missing), 'at', string.format('%.0f', bucket.at))
    local full_in_ms = math.ceil((bucket.at - now + bucket.missing / bucket.rate.points) / 1000) + 1
    redis.call('PEXPIRE', bucket.name, string.format('%.0f', full_in_ms))
  end
end

local day = math.floor(time[1] / 86400)
for index = 3, #KEYS do
  local bucket, name = buckets[index], string.format('%d:%s:', day, ARGV[behind + index - 3])
  for counter, count in pairs(bucket.counts) do
    redis.call('HINCRBY', KEYS[2], name .. counter, count)
  end
  if bucket.cost > 0 then
    redis.call('HINCRBY', KEYS[2], name .. 'cost', bucket.cost)
  end
end
for index = behind + #KEYS - 2, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[2], ARGV[index], ARGV[index + 1])
end
return answer
"""

Notes = Mapping[UUID, Mapping[str, int]]  # what to add to counters, by tenant: see `persistence/counters.py` for their names
NO_NOTES: Notes = {}


class Ask(NamedTuple):
    """One request's wish to be admitted: `cost` points out of its key's bucket and its partner's."""

    tenant_id: UUID
    key_id: UUID
    tier: Tier
    cost: int
    counter: Counter = Counter.REQUESTS  # what it is, for usage


class Taken(NamedTuple):
    """Whether it was admitted, and what is missing in the two buckets now, in the units of their rates."""

    admitted: bool
    key_missing: int
    partner_missing: int


class RedisBuckets:
    """The buckets of all partners. Every method raises one of WEATHER when Redis is away."""

    def __init__(self, url: str, script: str = CHARGE) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_keepalive=True,
            protocol=3,
            retry=Retry(NoBackoff(), 0),  # a charge whose answer was lost may have been made: never twice
        )
        self._script, self._hash = script, ""

    async def connect(self) -> None:
        """Redis answers and knows the script."""
        self._hash = await self._redis.script_load(self._script)

    async def charge(self, asks: Sequence[Ask], notes: Notes = NO_NOTES) -> list[Taken]:
        """Charge these in their order, and add the notes: one round trip, one script for each partner. The clock is Redis's."""
        groups: dict[tuple[UUID, Tier], list[int]] = defaultdict(list)
        for index, ask in enumerate(asks):
            groups[ask.tenant_id, ask.tier].append(index)
        calls = [_call(tenant_id, tier, [asks[index] for index in members], {}) for (tenant_id, tier), members in groups.items()]
        calls += [_call(tenant_id, NO_TIER, (), counts) for tenant_id, counts in notes.items()]
        answers = await self._run(calls)
        taken: dict[int, Taken] = {}
        for members, answer in zip(groups.values(), answers, strict=False):  # those of notes say nothing
            for position, index in enumerate(members):
                admitted, key_missing, partner_missing = answer[3 * position : 3 * position + 3]
                taken[index] = Taken(bool(admitted), key_missing, partner_missing)
        return [taken[index] for index in range(len(asks))]

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()

    async def _run(self, calls: list["_Call"]) -> list[list[int]]:
        answers = await self._send(calls)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # it was flushed; these did nothing
            await self.connect()
            for index, answer in zip(unknown, await self._send([calls[index] for index in unknown]), strict=True):
                answers[index] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _send(self, calls: list["_Call"]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for call in calls:
            pipeline.evalsha(self._hash, len(call.keys), *call.keys, *call.arguments)
        return await pipeline.execute(raise_on_error=False)


class _Call(NamedTuple):
    keys: list[str]
    arguments: list[int | str]


NO_TIER = next(iter(TIERS.values()))  # any will do where nothing is charged


def _call(tenant_id: UUID, tier: Tier, asks: Sequence[Ask], counts: Mapping[str, int]) -> _Call:
    places: dict[UUID, int] = {}
    arguments: list[int | str] = [*_numbers(tier.partner), *_numbers(tier.key), len(asks)]
    for ask in asks:
        place = places.setdefault(ask.key_id, len(places) + 1)
        arguments += (place, ask.cost, ask.counter)
    arguments += map(str, places)
    for name, count in counts.items():
        arguments += (name, count)
    tag = f"limit:{{{tenant_id}}}"
    names = [_name(tag, "partner", tier.partner), counters_of(tenant_id), *(_name(tag, str(key), tier.key) for key in places)]
    return _Call(names, arguments)


def _name(tag: str, whose: str, rate: Rate) -> str:
    """What is missing is counted in the rate's unit: with another unit it is another bucket."""
    return f"{tag}:{whose}:{rate.every_s}"


def _numbers(rate: Rate) -> tuple[int, int, int]:
    return rate.whole, rate.points, rate.unit
