"""What a request pays to be let in: its key, its cost, its tokens and its usage, beside what GraphQL alone does for a mutation.

    python -m bench.limits

Processor time of this process, in turns, with a Redis of its own. The mutation is refused by its input, so it asks neither database nor
bank: a real request takes longer, and the share is an upper bound.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import click
import strawberry

from app.embedded.ports import free_port
from app.embedded.redis import EmbeddedRedis
from app.graphql import build_schema
from app.limiter import Limiter
from app.limits import Charged, Limits
from app.quota import Quotas
from domain.access import why_refused
from domain.api_key import ApiKey, hash_api_key, is_well_formed, new_api_key
from domain.caller import Caller
from domain.partner import Mode, Partner
from domain.scope import ALL_SCOPES
from domain.tier import TierName
from gateway.world import real_world
from persistence.buckets import RedisBuckets
from persistence.database import Database
from resolvers.context import Context

ROUNDS, REQUESTS = 10, 1_024  # a round takes each side in turn
NOWHERE = "postgresql://nobody:nothing@127.0.0.1:1/nowhere"  # quotas look there in vain, once
DOCUMENT = (
    "mutation($input: AuthorizePaymentInput!) { authorizePayment(input: $input) "
    "{ __typename ... on PaymentPayload { replayed payment { id state } } ... on UserError { code message path } } }"
)
CARD = {"number": "4111111111111111", "cvv": "123", "expiryMonth": 12, "expiryYear": 2030}
WISH = {"idempotencyKey": "k", "orderId": "o", "customerId": "c", "source": {"card": CARD}}
REFUSED = {"input": WISH | {"amount": {"minorUnits": 0, "currency": "USD"}}}


@click.command()
def main() -> None:
    """Measure, and print a line for each number of requests at once."""
    claim = free_port()
    with tempfile.TemporaryDirectory(prefix="partner-api-bench-") as folder:
        server = EmbeddedRedis(Path(folder), port=claim.number)
        server.start()
        try:
            asyncio.run(_measure(server.url))
        finally:
            server.stop()
            claim.close()


async def _measure(url: str) -> None:
    schema, world = build_schema(), real_world()
    secret = new_api_key(Mode.LIVE, world.random_bits(256))
    tenant, now = world.new_uuid(), datetime.now(UTC)
    key = ApiKey(uuid4(), tenant, "bench", "gp_live_0000", ALL_SCOPES, now)
    caller = Caller(key, Partner(tenant, "bench", now, TierName.ENTERPRISE), ip_address("127.0.0.1"))
    # Only what a refused input reaches is there.
    nothing = cast(Any, None)
    context = Context(
        caller=caller,
        gateway=nothing,
        database=nothing,
        world=world,
        keyring=nothing,
        register=nothing,
        webhooks=nothing,
        wallet=nothing,
        issuing=nothing,
        request_id="req_bench",
        feed=nothing,
        bucket=nothing,
    )
    nowhere = Database(NOWHERE)
    quotas = Quotas(nowhere, world.now, time.monotonic)
    async with Limiter(RedisBuckets(url), time.monotonic, world.now, deadline_s=1.0) as limiter:
        limits = Limits(schema._schema, limiter, quotas, lambda: False)

        async def let_in() -> None:
            assert is_well_formed(secret) and hash_api_key(secret, b"p" * 32)
            assert why_refused(key, caller.partner, caller.address, now) is None
            with limits.place(caller) as full:
                assert full is None
                assert isinstance(await limits.admit(caller, DOCUMENT, None, REFUSED, is_dry=False), Charged)

        for at_once in (1, 16, 64):
            await _line(let_in, lambda: _execute(schema, context), at_once, limiter)
        assert limiter.is_shared and limiter.charged_here == 0, "Redis charged all of it"
        await quotas.settled()
    await nowhere.close()


async def _execute(schema: strawberry.Schema, context: Context) -> None:
    result = await schema.execute(DOCUMENT, variable_values=REFUSED, context_value=context)
    assert result.errors is None and result.data and result.data["authorizePayment"]["code"] == "INVALID_INPUT", result


async def _line(one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]], at_once: int, limiter: Limiter) -> None:
    sides: dict[int, list[float]] = {0: [], 1: []}
    calls, charged, took_s = limiter.calls, limiter.charged_shared, 0.0
    for _ in range(ROUNDS):
        for side, work in enumerate((one, other)):
            began, began_s = time.process_time(), time.perf_counter()
            await asyncio.gather(*(_repeat(work, REQUESTS // at_once) for _ in range(at_once)))
            sides[side].append((time.process_time() - began) / REQUESTS * 1e6)
            took_s += 0 if side else time.perf_counter() - began_s
    let_in, graphql = (statistics.median(sides[side]) for side in (0, 1))
    calls, charged = limiter.calls - calls, limiter.charged_shared - charged
    click.echo(
        f"{at_once:>2} at once: {let_in:.0f} µs to be let in, {graphql:.0f} µs of GraphQL: {let_in / (let_in + graphql):.0%} of both; "
        f"{charged / calls:.1f} requests a call, {calls / took_s:,.0f} calls/s"
    )


async def _repeat(work: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await work()


if __name__ == "__main__":
    main()
