"""Section 5: what a key does, and what it doesn't."""

import asyncio
from typing import Any

import pytest

from bank.mock import VirtualTime

DAY_S = 86_400


async def test_a_replay_is_200_byte_identical_and_marked(till: Any) -> None:
    first = await till.authorize(key="k")

    replay = await till.authorize(key="k")

    assert "x-idempotent-replayed" not in first.headers
    assert (replay.status_code, replay.content) == (200, first.content)
    assert replay.headers["x-idempotent-replayed"] == "true"
    assert len((await till.ledger())["authorizations"]) == 1


async def test_a_replay_shows_the_state_of_then(till: Any) -> None:
    first = await till.authorize(key="k")
    await till.void(first.json()["authorization_id"])

    assert (await till.authorize(key="k")).content == first.content


@pytest.mark.parametrize("body", ["not json at all", "", b"\xff\xfe", '{"amount":1}'])
async def test_the_body_of_a_replay_is_not_compared(till: Any, body: str | bytes) -> None:
    first = await till.authorize(key="k")

    replay = await till.post("authorizations", body, key="k")

    assert (replay.status_code, replay.content) == (200, first.content)


async def test_every_creation_replays(till: Any) -> None:
    captured, voided = await till.hold(), await till.hold()
    capture = await till.capture(captured, key="c")
    capture_id = capture.json()["capture_id"]
    firsts = [capture, await till.void(voided, key="v"), await till.refund(capture_id, key="r")]

    replays = [
        await till.capture(captured, key="c"),
        await till.void(voided, key="v"),
        await till.refund(capture_id, key="r"),
    ]

    assert [replay.content for replay in replays] == [first.content for first in firsts]


async def test_a_key_is_scoped_to_its_path(till: Any) -> None:
    authorization_id = (await till.authorize(key="k")).json()["authorization_id"]

    answer = await till.capture(authorization_id, key="k")

    assert answer.json()["capture_id"]
    assert "x-idempotent-replayed" not in answer.headers


async def test_a_key_is_case_sensitive(till: Any) -> None:
    first, second = await till.authorize(key="key"), await till.authorize(key="KEY")

    assert first.json()["authorization_id"] != second.json()["authorization_id"]


@pytest.mark.parametrize("key", ["k", "k" * 255, "ключ", "é" * 255])
async def test_a_key_of_1_to_255_characters_is_stored(till: Any, key: str) -> None:
    await till.authorize(key=key)

    assert (await till.authorize(key=key)).headers["x-idempotent-replayed"] == "true"


@pytest.mark.parametrize("key", ["k" * 256, "k" * 4000, b"caf\xe9"])
async def test_a_key_of_256_characters_or_of_other_bytes_is_not_stored(till: Any, key: str | bytes) -> None:
    """The work is done, and a retry does it again."""
    first, second = await till.authorize(key=key), await till.authorize(key=key)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["authorization_id"] != second.json()["authorization_id"]
    ledger = await till.ledger()
    assert (len(ledger["authorizations"]), ledger["idempotency_keys"]) == (2, [])


async def test_a_refusal_is_not_stored(till: Any) -> None:
    """400: the same key with a mended request does the work."""
    assert (await till.authorize(key="k", cvv="999")).status_code == 400

    assert (await till.authorize(key="k")).status_code == 200


async def test_a_decline_is_not_stored_and_can_later_succeed(till: Any) -> None:
    everything = await till.hold(1_000_000)
    assert (await till.authorize(key="k")).status_code == 402
    await till.void(everything)

    assert (await till.authorize(key="k")).status_code == 200


async def test_nothing_locks_a_key_in_flight(till: Any) -> None:
    """Eight concurrent authorizations with one key are eight 200s and more than one hold."""
    answers = await asyncio.gather(*(till.authorize(key="k") for _ in range(8)))

    holds = {answer.json()["authorization_id"] for answer in answers}
    assert {answer.status_code for answer in answers} == {200}
    assert len(holds) == 8
    assert await till.money() == (1_000_000, 1_000_000 - 8 * 5000)


async def test_after_a_race_the_first_stored_answer_is_replayed(till: Any) -> None:
    answers = await asyncio.gather(*(till.authorize(key="k") for _ in range(3)))

    replays = [await till.authorize(key="k") for _ in range(2)]

    assert replays[0].content == replays[1].content
    assert replays[0].content in {answer.content for answer in answers}


async def test_concurrent_captures_with_one_key_take_the_money_once(till: Any) -> None:
    authorization_id = await till.hold()

    answers = await asyncio.gather(*(till.capture(authorization_id, key="k") for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    assert len((await till.ledger())["captures"]) == 1


async def test_a_key_is_kept_for_24_hours_and_then_a_new_operation(till: Any, time: VirtualTime) -> None:
    first = await till.authorize(key="k")
    time.pass_by(DAY_S - 1)
    replay = await till.authorize(key="k")
    time.pass_by(1)

    late = await till.authorize(key="k")

    assert replay.content == first.content
    assert late.json()["authorization_id"] != first.json()["authorization_id"]
    assert (await till.authorize(key="k")).content == late.content


async def test_old_keys_are_forgotten(till: Any, time: VirtualTime) -> None:
    for number in range(3):
        await till.authorize(key=f"old-{number}", amount=1)
    time.pass_by(DAY_S)

    for number in range(2):
        await till.authorize(key=f"new-{number}", amount=1)

    keys = [row["idempotency_key"] for row in (await till.ledger())["idempotency_keys"]]
    assert keys == ["new-0", "new-1"]


async def test_a_key_on_a_get_means_nothing(till: Any) -> None:
    authorization_id = await till.hold()

    answer = await till.client.get(f"/api/v1/authorizations/{authorization_id}", headers={"Idempotency-Key": "key-1"})

    assert "x-idempotent-replayed" not in answer.headers
