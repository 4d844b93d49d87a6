"""Section 7: the traps that a gateway must survive, without sockets; see test_real_sockets.py for the same with."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from bank.mock import AnswerDropped, Bank, VirtualTime
from bank.mock.timestamps import from_rfc3339

VISA = {"card_number": "4111111111111111", "cvv": "123", "amount": 5000}
WINDOW_S = 0.5

HangUp = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def post_and_hang_up(bank: Bank, time: VirtualTime) -> HangUp:
    """POST over bare ASGI, and disconnect when the bank sleeps for `during_s`; answers what was sent."""

    async def post(path: str, body: Any, *, key: str, during_s: float | None) -> list[Any]:
        left, sent = asyncio.Event(), []
        messages = [{"type": "http.request", "body": orjson.dumps(body), "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        time.on_sleep = lambda seconds: left.set() if seconds == during_s else None
        headers = [(b"idempotency-key", key.encode())]
        scope = {"type": "http", "method": "POST", "path": f"/api/v1/{path}", "headers": headers}
        await bank.app(scope, receive, send)  # type: ignore[arg-type]
        time.on_sleep = lambda _: None
        return sent

    return post


async def test_a_hang_up_between_commit_and_storing_does_the_work_and_loses_the_key(till: Any, post_and_hang_up: HangUp) -> None:
    """Trap 1 for authorizations: the same key, tried again, is a second hold."""
    await till.chaos(commit_to_key_delay_ms=WINDOW_S * 1000)

    await post_and_hang_up("authorizations", VISA, key="k", during_s=WINDOW_S)
    retry = await till.authorize(key="k")

    ledger = await till.ledger()
    assert "x-idempotent-replayed" not in retry.headers
    assert [hold["idempotency_key"] for hold in ledger["authorizations"]] == ["k", "k"]
    assert len(ledger["idempotency_keys"]) == 1


@pytest.mark.parametrize(
    ("verb", "code"),
    [("capture", "authorization_already_used"), ("void", "authorization_already_used"), ("refund", "already_refunded")],
)
async def test_after_a_hang_up_the_same_key_answers_already(till: Any, post_and_hang_up: HangUp, verb: str, code: str) -> None:
    """Trap 1 for the rest: our own success comes back as a refusal, and its id can't be had."""
    made = {"authorization_id": await till.hold(), "capture_id": await till.captured(), "amount": 5000}
    await till.chaos(commit_to_key_delay_ms=WINDOW_S * 1000)

    await post_and_hang_up(f"{verb}s", made, key="k", during_s=WINDOW_S)
    retry = await till.post(f"{verb}s", made, key="k")

    assert (retry.status_code, retry.json()["error"]) == (400, code)


async def test_a_client_that_stays_keeps_its_key(till: Any, post_and_hang_up: HangUp) -> None:
    await till.chaos(commit_to_key_delay_ms=WINDOW_S * 1000)

    sent = await post_and_hang_up("authorizations", VISA, key="k", during_s=None)

    assert (await till.authorize(key="k")).content == sent[-1]["body"]


async def test_a_hang_up_before_the_transaction_does_nothing(till: Any, post_and_hang_up: HangUp) -> None:
    """The transaction is on the request's context too, which is what makes the window a window."""
    await till.chaos(min_latency_ms=700, max_latency_ms=700)

    await post_and_hang_up("authorizations", VISA, key="k", during_s=0.7)

    ledger = await till.ledger()
    assert ledger["authorizations"] == ledger["idempotency_keys"] == []


async def test_the_window_is_a_real_point_where_others_run_even_without_delay(till: Any, time: VirtualTime) -> None:
    await till.authorize()

    assert time.slept == [0.0, 0.0]  # the latency, and the window


async def test_a_down_database_refuses_posts_with_400_internal_error(till: Any) -> None:
    """Trap 3, and even for a stored key."""
    authorization_id = await till.hold(key="k")
    capture_id = await till.captured()
    await till.chaos(database_down=True)

    answers = [
        await till.authorize(key="k"),
        await till.authorize(),
        await till.capture(authorization_id),
        await till.void(authorization_id),
        await till.refund(capture_id),
    ]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(400, "internal_error")] * 5


async def test_a_down_database_makes_gets_404_and_health_503(till: Any) -> None:
    """Trap 3: a 404 proves nothing."""
    authorization_id = await till.hold()
    await till.chaos(database_down=True)

    found, health = await till.get(f"authorizations/{authorization_id}"), await till.client.get("/health")

    assert (found.status_code, found.json()["error"]) == (404, "not_found")
    assert (health.status_code, health.json()) == (503, {"status": "unhealthy"})


async def test_a_down_database_leaves_validation_and_stored_keys_as_they_were(till: Any) -> None:
    first = await till.authorize(key="k")
    await till.chaos(database_down=True)
    invalid = await till.authorize(card_number="1")
    await till.chaos(database_down=False)

    assert invalid.json()["error"] == "invalid_card"
    assert (await till.authorize(key="k")).content == first.content


async def test_a_database_error_in_the_locking_read_looks_permanent(till: Any) -> None:
    """Trap 4: for an id that the bank itself gave us, "not found" means unknown."""
    authorization_id, capture_id = await till.hold(), await till.captured()
    before = await till.money()
    await till.chaos(misleading_errors=True)

    answers = [
        await till.authorize(),
        await till.capture(authorization_id),
        await till.void(authorization_id),
        await till.refund(capture_id),
    ]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [
        (400, "invalid_card"),
        (400, "authorization_not_found"),
        (400, "authorization_not_found"),
        (400, "capture_not_found"),
    ]
    assert answers[0].json()["message"] == "card not found or invalid"
    assert await till.money() == before


async def test_expires_at_is_shifted_when_the_bank_does_not_run_in_utc(till: Any) -> None:
    """Trap 5: created_at isn't."""
    honest = (await till.authorize()).json()
    await till.chaos(utc_offset_hours=-5)

    shifted = (await till.authorize()).json()
    found = (await till.get(f"authorizations/{shifted['authorization_id']}")).json()

    assert from_rfc3339(honest["expires_at"]) - from_rfc3339(shifted["expires_at"]) == 5 * 3600 * 10**9
    assert found["expires_at"][:19] == shifted["expires_at"][:19]
    assert honest["created_at"] == shifted["created_at"]


@pytest.mark.parametrize("latency_ms", [15_000, 20_000])
async def test_at_15_seconds_the_answer_is_dropped_though_committed_and_stored(till: Any, latency_ms: int) -> None:
    """Trap 6: a retry replays."""
    await till.chaos(min_latency_ms=latency_ms, max_latency_ms=latency_ms)

    with pytest.raises(AnswerDropped):
        await till.authorize(key="k")
    retry = await till.authorize(key="k")

    assert (retry.status_code, retry.headers["x-idempotent-replayed"]) == (200, "true")
    assert len((await till.ledger())["authorizations"]) == 1


async def test_below_15_seconds_the_answer_arrives(till: Any) -> None:
    await till.chaos(min_latency_ms=14_999, max_latency_ms=14_999)

    assert (await till.authorize()).status_code == 200
