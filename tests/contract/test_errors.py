"""Section 4: two kinds of error bodies, and the codes."""

from typing import Any

import pytest


async def test_a_json_error_is_a_code_a_message_and_a_newline(till: Any) -> None:
    answer = await till.authorize(card_number="4000000000000002")

    assert answer.content == b'{"error":"invalid_card","message":"card not found or invalid"}\n'


@pytest.mark.parametrize("path", ["authorizations", "captures", "refunds"])
@pytest.mark.parametrize("text", ["nonsense", "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b"])
async def test_a_get_of_what_is_not_there_is_a_404_in_json(till: Any, path: str, text: str) -> None:
    prefix = {"authorizations": "auth", "captures": "cap", "refunds": "ref"}[path]

    answer = await till.get(f"{path}/{prefix}_{text}")

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_second_uses_of_a_hold_all_give_the_same_code(till: Any) -> None:
    """Capture after void, void after capture, double capture and double void."""
    captured, voided = await till.hold(), await till.hold()
    await till.capture(captured)
    await till.void(voided)

    answers = [
        await till.capture(voided),
        await till.void(captured),
        await till.capture(captured),
        await till.void(voided),
    ]

    assert [answer.json()["error"] for answer in answers] == ["authorization_already_used"] * 4
    assert {answer.status_code for answer in answers} == {400}


async def test_a_refunded_capture_leaves_its_hold_used(till: Any) -> None:
    authorization_id = await till.hold()
    capture_id = (await till.capture(authorization_id)).json()["capture_id"]
    await till.refund(capture_id)

    assert (await till.void(authorization_id)).json()["error"] == "authorization_already_used"


@pytest.mark.parametrize("path", ["authorizations", "captures", "voids", "refunds"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"Idempotency-Key", b"")],
        [(b"Idempotency-Key", b" \t ")],
        [(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"a")],
        [(b"Idempotency-Key", b"a"), (b"idempotency-key", b"b")],
    ],
)
async def test_a_missing_blank_or_doubled_key_is_a_400_in_plain_text(
    till: Any, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    answer = await till.client.post(f"/api/v1/{path}", headers=headers, json={})

    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")


async def test_a_doubled_key_does_not_replay(till: Any) -> None:
    await till.authorize(key="k")

    answer = await till.client.post("/api/v1/authorizations", headers=[("Idempotency-Key", "k")] * 2, json={})

    assert answer.status_code == 400
