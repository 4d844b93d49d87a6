"""Section 1: idempotency lookup, chaos, routing, key, decoding, validation, transaction, answer, key stored."""

from typing import Any

import pytest

from bank.mock import VirtualTime


async def test_a_replay_skips_latency_and_failures(till: Any, time: VirtualTime) -> None:
    """While every other call fails, a stored key is answered at once."""
    first = await till.authorize(key="k")
    await till.chaos(failure_rate=1, min_latency_ms=1000, max_latency_ms=1000)
    time.slept.clear()

    replay = await till.authorize(key="k")
    other = await till.authorize()

    assert (replay.status_code, replay.content) == (200, first.content)
    assert other.status_code == 500
    assert time.slept == [1.0]


async def test_latency_comes_before_the_failure(till: Any, time: VirtualTime) -> None:
    await till.chaos(failure_rate=1, min_latency_ms=250, max_latency_ms=250)

    answer = await till.authorize()

    assert answer.status_code == 500
    assert time.slept == [0.25]


async def test_latency_is_uniform_between_its_bounds(till: Any, time: VirtualTime) -> None:
    await till.chaos(min_latency_ms=100, max_latency_ms=300)

    for _ in range(200):
        await till.get("captures/nothing")

    assert all(0.1 <= seconds <= 0.3 for seconds in time.slept)
    assert 0.18 < sum(time.slept) / len(time.slept) < 0.22


async def test_failures_come_at_their_rate(till: Any) -> None:
    await till.chaos(failure_rate=0.3)

    statuses = [(await till.get("captures/nothing")).status_code for _ in range(400)]

    assert 90 <= statuses.count(500) <= 150
    assert set(statuses) == {500, 404}


async def test_an_injected_failure_has_this_body(till: Any) -> None:
    await till.chaos(failure_rate=1)

    answer = await till.authorize()

    assert answer.content == b'{"error":"internal_error","message":"Random failure injection"}\n'
    assert answer.headers["content-type"] == "application/json"


async def test_an_injected_failure_does_and_stores_nothing(till: Any) -> None:
    """A retry with the same key is safe, and is a first call."""
    await till.chaos(failure_rate=1)
    assert (await till.authorize(key="k")).status_code == 500
    ledger = await till.ledger()
    await till.chaos(failure_rate=0)

    retry = await till.authorize(key="k")

    assert ledger["authorizations"] == ledger["idempotency_keys"] == []
    assert retry.status_code == 200
    assert "x-idempotent-replayed" not in retry.headers
    assert len((await till.ledger())["authorizations"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/authorizations/auth_x"),
        ("GET", "/nowhere"),
        ("GET", "/"),
        ("DELETE", "/api/v1/captures"),
        ("POST", "/api/v1/voids/"),
    ],
)
async def test_chaos_covers_gets_and_unknown_routes(till: Any, method: str, path: str) -> None:
    await till.chaos(failure_rate=1)

    assert (await till.client.request(method, path)).status_code == 500


@pytest.mark.parametrize("path", ["/health", "/healthy-or-not", "/docs", "/docs/openapi", "/docsomething"])
async def test_paths_that_start_with_health_or_docs_are_spared(till: Any, time: VirtualTime, path: str) -> None:
    await till.chaos(failure_rate=1, min_latency_ms=500, max_latency_ms=500)

    answer = await till.client.get(path)

    assert answer.status_code in {200, 404}
    assert time.slept == []


async def test_chaos_comes_before_the_missing_key(till: Any) -> None:
    await till.chaos(failure_rate=1)

    assert (await till.client.post("/api/v1/voids", json={})).status_code == 500


async def test_routing_comes_before_the_missing_key(till: Any) -> None:
    assert (await till.client.post("/api/v1/nothing")).status_code == 404
    assert (await till.client.put("/api/v1/voids")).status_code == 405


async def test_the_key_comes_before_decoding(till: Any) -> None:
    answer = await till.client.post("/api/v1/voids", content=b"not json")

    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.text


async def test_decoding_comes_before_validation(till: Any) -> None:
    answer = await till.authorize(card_number="not a card", expiry_month="twelve")

    assert answer.headers["content-type"].startswith("text/plain")
