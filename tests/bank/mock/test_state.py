"""The state outlives the process, however the process ends."""

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bank.mock import Bank, BankSettings, BankStateError, VirtualTime, create_bank

VISA = {"card_number": "4111111111111111", "cvv": "123", "amount": 5000}


def do_everything(call: Callable[..., httpx.Response]) -> dict[str, Any]:
    holds = [call("POST", "/api/v1/authorizations", key=f"a-{n}", json=VISA).json() for n in range(3)]
    capture = call("POST", "/api/v1/captures", key="c", json=holds[0]).json()
    refund = call("POST", "/api/v1/refunds", key="r", json=capture).json()
    void = call("POST", "/api/v1/voids", key="v", json=holds[1]).json()
    return {"a-0": holds[0], "a-1": holds[1], "a-2": holds[2], "c": capture, "r": refund, "v": void}


def test_a_killed_bank_forgets_neither_money_nor_keys(bank_process: Callable[..., Any], tmp_path: Path) -> None:
    """kill -9, a second life: the ledger is the same, old keys replay, and new ids are new though seeded."""
    bank = bank_process(BANK_STATE=str(tmp_path / "deep" / "bank.sqlite3"), BANK_SEED="7")
    done = do_everything(bank.call)
    before = bank.control("GET", "/ledger").json()

    assert bank.stop(signal.SIGKILL) == -signal.SIGKILL
    bank.start()

    after = bank.control("GET", "/ledger").json()
    replay = bank.call("POST", "/api/v1/captures", key="c")
    fresh = bank.call("POST", "/api/v1/authorizations", key="new", json=VISA)
    assert after == before
    assert (replay.json(), replay.headers["x-idempotent-replayed"]) == (done["c"], "true")
    assert fresh.json()["authorization_id"] not in {done[key]["authorization_id"] for key in ("a-0", "a-1", "a-2")}


def test_a_bank_ends_gracefully_at_sigterm(bank_process: Callable[..., Any]) -> None:
    bank = bank_process(BANK_STATE="memory")

    assert bank.stop(signal.SIGTERM) == 0


async def client_of(bank: Bank) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(bank.app), base_url="http://bank")


@pytest.fixture
def durable(settings: BankSettings, tmp_path: Path) -> BankSettings:
    return BankSettings(0, 0, 0, 0, seed=1, state=str(tmp_path / "bank.sqlite3"))


async def test_every_state_of_things_is_read_back(durable: BankSettings, time: VirtualTime) -> None:
    first = create_bank(durable, clock=time.clock, sleep=time.sleep)
    ids = {}
    async with await client_of(first) as client:
        for key in ("captured", "voided", "expired", "refunded"):
            answer = await client.post("/api/v1/authorizations", json=VISA, headers={"Idempotency-Key": key})
            ids[key] = answer.json()
        await client.post("/api/v1/captures", json=ids["captured"], headers={"Idempotency-Key": "c1"})
        taken = await client.post("/api/v1/captures", json=ids["refunded"], headers={"Idempotency-Key": "c2"})
        await client.post("/api/v1/refunds", json=taken.json(), headers={"Idempotency-Key": "r"})
        await client.post("/api/v1/voids", json=ids["voided"], headers={"Idempotency-Key": "v"})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(first.control), base_url="http://c") as control:
        await control.post(f"/authorizations/{ids['expired']['authorization_id']}/expire")
        before = (await control.get("/ledger")).json()
    first.close()

    second = create_bank(durable, clock=time.clock, sleep=time.sleep)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(second.control), base_url="http://c") as control:
        after = (await control.get("/ledger")).json()
        await control.post("/reset")
    second.close()
    third = create_bank(durable, clock=time.clock, sleep=time.sleep)

    assert after == before
    assert third.books.ledger.state.holds == {}
    assert third.books.ledger.state.accounts[VISA["card_number"]].available == 1_000_000
    third.close()


async def test_a_failed_commit_is_a_400_internal_error_and_changes_nothing(durable: BankSettings, time: VirtualTime) -> None:
    bank = create_bank(durable, clock=time.clock, sleep=time.sleep)
    database = bank.books._journal._database  # type: ignore[attr-defined]
    database.execute("create trigger broken before insert on hold begin select raise(abort, 'disk on fire'); end")

    async with await client_of(bank) as client:
        answer = await client.post("/api/v1/authorizations", json=VISA, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["error"]) == (400, "internal_error")
    assert bank.books.ledger.state.holds == {}
    assert bank.books.ledger.state.accounts[VISA["card_number"]].available == 1_000_000
    bank.close()


async def test_a_failed_storing_of_the_key_loses_the_key_alone(durable: BankSettings, time: VirtualTime) -> None:
    bank = create_bank(durable, clock=time.clock, sleep=time.sleep)
    database = bank.books._journal._database  # type: ignore[attr-defined]
    database.execute("create trigger broken before insert on answer begin select raise(abort, 'disk on fire'); end")

    async with await client_of(bank) as client:
        for _ in range(2):
            answer = await client.post("/api/v1/authorizations", json=VISA, headers={"Idempotency-Key": "k"})
            assert answer.status_code == 200

    assert len(bank.books.ledger.state.holds) == 2
    bank.close()


def test_a_second_bank_on_the_same_state_refuses_to_start(durable: BankSettings) -> None:
    first = create_bank(durable)

    with pytest.raises(BankStateError, match="another bank is using it"):
        create_bank(durable)

    first.close()


@pytest.mark.parametrize("content", [b"this is not a database" * 100, None])
def test_a_state_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    state = tmp_path / "state"
    if content is None:
        state.mkdir()
    else:
        state.write_bytes(content)

    with pytest.raises(BankStateError, match="BANK_STATE"):
        create_bank(BankSettings(state=str(state)))


async def test_a_card_that_is_configured_no_more_keeps_its_past(durable: BankSettings, time: VirtualTime) -> None:
    card = {"card_number": "4000000000000002", "cvv": "123", "amount": 7}
    accounts = BankSettings.from_environment({"BANK_ACCOUNTS": '{"prefix":"400000","count":1,"cvv":"123","balance":10}'}).accounts
    first = create_bank(BankSettings(0, 0, 0, 0, state=durable.state, accounts=accounts), clock=time.clock)
    async with await client_of(first) as client:
        hold = await client.post("/api/v1/authorizations", json=card, headers={"Idempotency-Key": "a"})
    first.close()

    second = create_bank(durable, clock=time.clock)
    async with await client_of(second) as client:
        again = await client.post("/api/v1/authorizations", json=card, headers={"Idempotency-Key": "b"})
        void = await client.post("/api/v1/voids", json=hold.json(), headers={"Idempotency-Key": "v"})
    second.close()

    assert again.json()["message"] == "card not found or invalid"
    assert void.status_code == 200


def test_the_state_file_spells_no_card_number(durable: BankSettings) -> None:
    bank = create_bank(durable)
    bank.books.ledger.authorize(VISA["card_number"], "123", 1, "k", bank.books.clock())
    bank.close()

    with sqlite3.connect(durable.state) as database:
        dump = "\n".join(database.iterdump())
    database.close()

    assert "hold" in dump
    assert "411111" not in dump
    assert os.path.getsize(durable.state) > 0  # noqa: PTH202
