"""Scripted faults over real sockets: what a client sees, and what the bank did."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bank.mock import AnswerDropped, Bank, BankSettings

VISA = {"card_number": "4111111111111111", "cvv": "123", "amount": 5000}
PATH = "/api/v1/authorizations"
RealBank = tuple[Bank, httpx.AsyncClient, int]


async def script(bank: Bank, *faults: dict[str, Any], **dials: Any) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bank.control), base_url="http://control") as control:
        answer = await control.patch("/chaos", json={"faults": list(faults), **dials})
        assert answer.status_code == 200, answer.text


async def authorize(client: httpx.AsyncClient, key: str = "k", **options: Any) -> httpx.Response:
    return await client.post(PATH, json=VISA, headers={"Idempotency-Key": key}, **options)


def holds(bank: Bank) -> int:
    return len(bank.books.ledger.state.holds)


async def leave_when(client: httpx.AsyncClient, it_is_time: Callable[[], bool]) -> None:
    """Authorize, and hang up as soon as it is time: at a point in the bank's work, not at a point in time."""
    call = asyncio.create_task(authorize(client, timeout=None))
    for _ in range(2500):
        if it_is_time():
            break
        await asyncio.sleep(0.002)
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize(
    ("kind", "status", "effects"),
    [
        ("500_before_effect", 500, 0),
        ("500_after_effect", 500, 1),
        ("429", 429, 0),
        ("401", 401, 0),
        ("database_error", 400, 0),
        ("misleading_error", 400, 0),
    ],
)
async def test_statuses_on_demand(real_bank: RealBank, kind: str, status: int, effects: int) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": kind, "retry_after_s": 7})

    answer = await authorize(client)
    after = holds(bank)
    retry = await authorize(client)

    assert (answer.status_code, after) == (status, effects)
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)
    assert (retry.status_code, holds(bank)) == (200, 1)
    assert ("x-idempotent-replayed" in retry.headers) is (effects == 1)


@pytest.mark.parametrize(("kind", "effects"), [("hang_before_effect", 0), ("hang_after_effect", 1)])
async def test_no_answer_until_the_client_hangs_up(real_bank: RealBank, kind: str, effects: int) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": kind})

    await leave_when(client, lambda: holds(bank) == effects and not bank.books.faults.queued())
    retry = await authorize(client)

    assert ("x-idempotent-replayed" in retry.headers) is (effects == 1)
    assert holds(bank) == 1


@pytest.mark.parametrize("kind", ["hang_before_effect", "hang_after_effect"])
async def test_no_answer_until_a_bound_and_then_none_either(real_bank: RealBank, kind: str) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": kind, "bound_s": 0.02})

    with pytest.raises(httpx.RemoteProtocolError):
        await authorize(client)


async def test_a_reset_before_the_effect(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "reset_before_effect"})

    with pytest.raises(httpx.ReadError):
        await authorize(client)

    assert holds(bank) == 0


async def test_a_reset_in_mid_body(real_bank: RealBank) -> None:
    """The head has come, half of the body too, and then the connection is reset."""
    bank, client, _ = real_bank
    await script(bank, {"kind": "reset_mid_body"})

    got = b""
    with pytest.raises(httpx.ReadError):  # noqa: PT012 - the error comes out of the reading
        async with client.stream("POST", PATH, json=VISA, headers={"Idempotency-Key": "k"}) as answer:
            assert answer.status_code == 200
            async for chunk in answer.aiter_raw():
                got += chunk
    retry = await authorize(client)

    assert 0 < len(got) < int(answer.headers["content-length"])
    assert retry.content.startswith(got)


async def test_a_200_with_truncated_json(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "truncated_json"})

    answer = await authorize(client)

    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(("kind", "field"), [("other_id", "authorization_id"), ("other_amount", "amount")])
async def test_a_200_with_another_id_or_amount(real_bank: RealBank, kind: str, field: str) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": kind})

    wrong, right = (await authorize(client)).json(), (await authorize(client)).json()

    assert wrong.pop(field) != right.pop(field)
    assert wrong == right


async def test_a_refusal_has_no_id_or_amount_to_falsify(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "other_id"}, {"kind": "other_amount"})

    answers = [await client.post(PATH, json={}, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert {answer.json()["error"] for answer in answers} == {"invalid_card"}


async def test_a_slow_drip_arrives_whole_byte_by_byte(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "slow_drip", "drip_ms": 0})

    slow, fast = await authorize(client), await authorize(client)

    assert slow.content == fast.content


async def test_the_hang_up_window_loses_the_key_of_a_client_that_leaves(real_bank: RealBank) -> None:
    """Trap 1 of the contract, over a real socket: the same key, tried again, is a second hold."""
    bank, client, _ = real_bank
    await script(bank, {"kind": "hang_up_window"})

    await leave_when(client, lambda: holds(bank) == 1)
    retry = await authorize(client)

    assert retry.status_code == 200
    assert "x-idempotent-replayed" not in retry.headers
    assert holds(bank) == 2


async def test_the_hang_up_window_stores_the_key_of_a_client_that_stays(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "hang_up_window", "bound_s": 0.02})

    first, retry = await authorize(client), await authorize(client)

    assert retry.content == first.content
    assert retry.headers["x-idempotent-replayed"] == "true"


async def test_the_window_can_be_held_open_for_every_call(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, commit_to_key_delay_ms=150)

    await leave_when(client, lambda: holds(bank) == 1)
    await script(bank, commit_to_key_delay_ms=0)
    await asyncio.sleep(0.2)
    await authorize(client)

    assert holds(bank) == 2


async def test_an_after_effect_fault_can_lose_the_key_too(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "500_after_effect", "stores_key": False})

    await authorize(client)
    await authorize(client)

    assert holds(bank) == 2


@pytest.mark.parametrize(("kind", "promises_nothing_was_done"), [("500_before_effect", True), ("500_after_effect", False)])
async def test_only_an_error_before_the_effect_has_the_text_that_promises_so(
    real_bank: RealBank, kind: str, promises_nothing_was_done: bool
) -> None:
    """Contract §1: the failure that the bank injects comes before any work, and is known by its text."""
    bank, client, _ = real_bank
    await script(bank, {"kind": kind})

    answer = await authorize(client)

    assert answer.json()["error"] == "internal_error"
    assert (answer.json()["message"] == "Random failure injection") is promises_nothing_was_done


async def test_faults_are_of_a_path_and_a_count(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "401", "path": "/api/v1/voids"}, {"kind": "429", "count": 2})

    authorizations = [(await authorize(client, f"k-{n}")).status_code for n in range(3)]
    voids = [(await client.post("/api/v1/voids", json={}, headers={"Idempotency-Key": "v"})).status_code for _ in range(2)]

    assert authorizations == [429, 429, 200]
    assert voids == [401, 400]


async def test_gets_use_no_fault_up(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, {"kind": "401"})

    found = await client.get(f"{PATH}/auth_x")

    assert found.status_code == 404
    assert (await authorize(client)).status_code == 401


async def test_an_unreachable_bank_answers_nobody(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, unreachable=True)

    for path in ("/health", "/docs", PATH):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(path)


@pytest.mark.parametrize("settings", [BankSettings(0, 0, 0, 0, state="memory", write_timeout_s=0.25)])
async def test_latency_of_the_write_timeout_drops_the_answer(real_bank: RealBank) -> None:
    """Trap 6 over a real socket, with a bank whose write timeout is short."""
    bank, client, _ = real_bank
    await script(bank, min_latency_ms=300, max_latency_ms=300)

    with pytest.raises(httpx.RemoteProtocolError):
        await authorize(client)

    assert (await authorize(client)).headers["x-idempotent-replayed"] == "true"


async def test_eight_connections_with_one_key_hold_eight_times(real_bank: RealBank) -> None:
    bank, client, _ = real_bank
    await script(bank, min_latency_ms=20, max_latency_ms=20)

    answers = await asyncio.gather(*(authorize(client) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert holds(bank) == 8


async def test_without_sockets_a_dropped_answer_is_an_exception(bank: Bank, client: httpx.AsyncClient) -> None:
    await script(bank, {"kind": "hang_after_effect"}, {"kind": "reset_mid_body"})

    for key in ("a", "b"):
        with pytest.raises(AnswerDropped):
            await authorize(client, key)

    assert holds(bank) == 2
