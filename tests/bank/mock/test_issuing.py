"""The extension by which the bank makes cards; and a bank without it."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bank.mock import Bank, BankSettings, VirtualTime, create_bank
from bank.mock.settings import BankSettingsError

CARDS = "/issuing/v1/cards"
QUIET = {"FAILURE_RATE": "0", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0", "BANK_STATE": "memory", "BANK_SEED": "1"}


def bank_with(**variables: str) -> tuple[Bank, VirtualTime]:
    time = VirtualTime()
    return create_bank(BankSettings.from_environment(QUIET | variables), clock=time.clock, sleep=time.sleep), time


def client_of(bank: Bank) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(bank.app), base_url="http://bank")


async def issue(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.post(CARDS, headers={"Idempotency-Key": key})


async def details(client: httpx.AsyncClient, card_id: str) -> httpx.Response:
    return await client.get(f"{CARDS}/{card_id}/details")


async def test_an_issued_card_is_one_that_authorizations_work_with() -> None:
    bank, _ = bank_with()
    async with client_of(bank) as client:
        issued = (await issue(client, "k")).json()
        shown = (await details(client, issued["card_id"])).json()
        charge = {"card_number": shown["card_number"], "cvv": shown["cvv"], "amount": 1_000_000}
        first, second = [
            await client.post("/api/v1/authorizations", json=charge, headers={"Idempotency-Key": f"a-{n}"}) for n in range(2)
        ]

    assert re.fullmatch(r"icard_[0-9a-f-]{36}", issued["card_id"])
    assert set(issued) == {"card_id", "status", "last4", "expiry_month", "expiry_year", "issued_at"}
    assert set(shown) == {"card_id", "card_number", "cvv", "expiry_month", "expiry_year"}
    assert shown["card_number"].endswith(issued["last4"])
    assert (shown["expiry_month"], shown["expiry_year"]) == (issued["expiry_month"], issued["expiry_year"])
    assert first.status_code == 200
    assert second.json()["error"] == "insufficient_funds"


async def test_a_key_is_one_card_for_ever() -> None:
    """Also when the bank has forgotten the answer: after a day, or because its client hung up."""
    bank, time = bank_with()
    async with client_of(bank) as client:
        first = (await issue(client, "k")).json()
        bank.books.answers._answers.clear()
        time.pass_by(25 * 3600)
        again, other = (await issue(client, "k")).json(), (await issue(client, "l")).json()

    assert again == first
    assert other["card_id"] != first["card_id"]


async def test_it_needs_a_key_and_knows_no_cards_but_its_own() -> None:
    bank, _ = bank_with()
    async with client_of(bank) as client:
        without = await client.post(CARDS)
        nobodys = await details(client, "icard_00000000-0000-4000-8000-000000000000")
        nonsense = await details(client, "4111111111111111")
        wrong = await client.get(CARDS)

    assert [each.status_code for each in (without, nobodys, nonsense, wrong)] == [400, 404, 404, 405]
    assert nobodys.json()["error"] == "not_found"


async def test_the_banks_weather_is_the_same_there() -> None:
    bank, _ = bank_with()
    bank.books.weather = bank.books.weather.changed({"database_down": True})
    async with client_of(bank) as client:
        down = await issue(client, "k")
        bank.books.weather = bank.books.weather.changed({"database_down": False, "failure_rate": 1.0})
        failed = await issue(client, "k")

    assert (down.status_code, down.json()["error"]) == (400, "internal_error")
    assert failed.status_code == 500
    assert bank.books.ledger.state.issued == {}


async def test_a_bank_that_can_not_issue_has_no_such_paths() -> None:
    bank, _ = bank_with(BANK_ISSUING="off")
    async with client_of(bank) as client:
        answers = [await issue(client, "k"), await details(client, "icard_x"), await client.get(CARDS)]
        unknown = await client.post("/nowhere", headers={"Idempotency-Key": "k"})

    assert {(each.status_code, each.text) for each in answers} == {(unknown.status_code, unknown.text)}
    assert unknown.status_code == 404


def test_the_switch_is_on_or_off() -> None:
    with pytest.raises(BankSettingsError, match="BANK_ISSUING must be on or off"):
        BankSettings.from_environment({"BANK_ISSUING": "yes"})


def test_issued_cards_and_their_money_outlive_the_process_and_their_numbers_are_in_no_file(
    bank_process: Callable[..., Any], tmp_path: Path
) -> None:
    state = tmp_path / "bank.sqlite3"
    bank = bank_process(BANK_STATE=str(state), BANK_SEED="7")
    issued = bank.call("POST", CARDS, key="k").json()
    shown = bank.call("GET", f"{CARDS}/{issued['card_id']}/details").json()
    charge = {"card_number": shown["card_number"], "cvv": shown["cvv"], "amount": 400_000}
    bank.call("POST", "/api/v1/authorizations", key="a", json=charge)
    before = bank.control("GET", "/ledger").json()

    bank.stop(signal.SIGKILL)
    bank.start()

    assert bank.control("GET", "/ledger").json() == before
    assert bank.call("GET", f"{CARDS}/{issued['card_id']}/details").json() == shown
    assert [each["card_id"] for each in before["issued_cards"]] == [issued["card_id"]]
    (account,) = (each for each in before["accounts"] if each["last4"] == issued["last4"])
    assert (account["balance"], account["available"]) == (1_000_000, 600_000)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert shown["card_number"].encode() not in files
