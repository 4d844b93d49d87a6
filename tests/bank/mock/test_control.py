"""The control app: what it shows, and what its dials do."""

from typing import Any

import httpx
import pytest

from bank.mock import Bank, BankSettings, VirtualTime, create_bank

VISA = {"card_number": "4111111111111111", "cvv": "123", "amount": 5000}


async def post(client: httpx.AsyncClient, path: str, body: Any, key: str) -> Any:
    return (await client.post(f"/api/v1/{path}", json=body, headers={"Idempotency-Key": key})).json()


async def test_the_ledger_shows_each_effect_with_its_key(client: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    hold = await post(client, "authorizations", VISA, "a-1")
    capture = await post(client, "captures", hold, "c-1")
    refund = await post(client, "refunds", capture, "r-1")
    other = await post(client, "authorizations", VISA, "a-2")
    void = await post(client, "voids", other, "v-1")

    ledger = (await control.get("/ledger")).json()

    assert [(a["authorization_id"], a["state"], a["idempotency_key"]) for a in ledger["authorizations"]] == [
        (hold["authorization_id"], "captured", "a-1"),
        (other["authorization_id"], "voided", "a-2"),
    ]
    assert [(c["capture_id"], c["state"], c["idempotency_key"]) for c in ledger["captures"]] == [
        (capture["capture_id"], "refunded", "c-1")
    ]
    assert [(v["void_id"], v["amount"], v["idempotency_key"]) for v in ledger["voids"]] == [(void["void_id"], 5000, "v-1")]
    assert [(r["refund_id"], r["idempotency_key"]) for r in ledger["refunds"]] == [(refund["refund_id"], "r-1")]
    assert {row["idempotency_key"]: row["reference"] for row in ledger["idempotency_keys"]} == {
        "a-1": hold["authorization_id"],
        "c-1": capture["capture_id"],
        "r-1": refund["refund_id"],
        "a-2": other["authorization_id"],
        "v-1": void["void_id"],
    }


async def test_the_ledger_holds_no_card_data(client: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    await post(client, "authorizations", VISA, "k")

    text = (await control.get("/ledger")).text

    assert '"last4":"1111"' in text
    assert not any(number in text for number in ("411111", "424242", "555555", "510510"))


async def test_the_ledger_can_be_filtered_by_key_and_time(
    client: httpx.AsyncClient, control: httpx.AsyncClient, time: VirtualTime
) -> None:
    await post(client, "authorizations", VISA, "old-1")
    time.pass_by(3600)
    await post(client, "authorizations", VISA, "new-1")

    by_key = (await control.get("/ledger", params={"key_prefix": "old"})).json()
    by_time = (await control.get("/ledger", params={"since": "2029-03-04T06:00:00Z"})).json()
    nonsense = await control.get("/ledger", params={"since": "yesterday"})

    assert [a["idempotency_key"] for a in by_key["authorizations"]] == ["old-1"]
    assert [k["idempotency_key"] for k in by_time["idempotency_keys"]] == ["new-1"]
    assert nonsense.status_code == 400


async def test_an_unstorable_key_still_names_its_effect(client: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    await client.post("/api/v1/authorizations", json=VISA, headers=[(b"Idempotency-Key", b"caf\xe9")])

    ledger = (await control.get("/ledger")).json()

    assert ledger["authorizations"][0]["idempotency_key"] == "caf\\xe9"
    assert ledger["idempotency_keys"] == []


async def test_a_hold_can_be_made_to_expire(client: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    hold = await post(client, "authorizations", VISA, "a")

    answer = await control.post(f"/authorizations/{hold['authorization_id'].upper().replace('AUTH', 'auth')}/expire")

    assert answer.json() == {"authorization_id": hold["authorization_id"], "expires_at": "2029-03-04T05:05:07.123457Z"}
    assert (await post(client, "captures", hold, "c"))["error"] == "authorization_expired"
    assert "void_id" in await post(client, "voids", hold, "v")


async def test_an_unknown_hold_cannot_expire(control: httpx.AsyncClient) -> None:
    assert (await control.post("/authorizations/auth_nothing/expire")).status_code == 404


async def test_chaos_shows_its_dials(control: httpx.AsyncClient) -> None:
    assert (await control.get("/chaos")).json() == {
        "failure_rate": 0,
        "min_latency_ms": 0,
        "max_latency_ms": 0,
        "commit_to_key_delay_ms": 0.0,
        "database_down": False,
        "misleading_errors": False,
        "utc_offset_hours": 0,
        "unreachable": False,
        "faults": [],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"failure_rate": 2},
        {"failure_rate": "0.5"},
        {"failure_rate": True},
        {"min_latency_ms": 5},
        {"min_latency_ms": -1, "max_latency_ms": 1},
        {"max_latency_ms": 1.5},
        {"database_down": 1},
        {"commit_to_key_delay_ms": -1},
        {"utc_offset_hours": 24},
        {"nonsense": 1},
        {"faults": {}},
        {"faults": [{}]},
        {"faults": [{"kind": "flood"}]},
        {"faults": [{"kind": "429", "count": 0}]},
        {"faults": [{"kind": "429", "retry_after_s": -1}]},
        {"faults": [{"kind": "429", "path": 5}]},
        {"faults": [{"kind": "slow_drip", "drip_ms": -1}]},
        {"faults": [{"kind": "hang_after_effect", "bound_s": 601}]},
        {"faults": [{"kind": "429", "speed": 1}]},
        {"faults": [{"kind": "429"}] * 1001},
        {"clear_faults": 1},
        [],
    ],
)
async def test_wrong_changes_are_refused_and_change_nothing(control: httpx.AsyncClient, changes: Any) -> None:
    before = (await control.get("/chaos")).json()

    answer = await control.patch("/chaos", json={"failure_rate": 0.5, **changes} if "nonsense" in changes else changes)

    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)
    assert (await control.get("/chaos")).json() == before


async def test_a_body_that_is_not_json_is_refused(control: httpx.AsyncClient) -> None:
    assert (await control.patch("/chaos", content=b"{")).status_code == 400


async def test_faults_queue_up_and_can_be_cleared(control: httpx.AsyncClient) -> None:
    await control.patch("/chaos", json={"faults": [{"kind": "401"}]})
    both = await control.patch("/chaos", json={"faults": [{"kind": "429", "path": "/api/v1/voids", "count": 3}]})
    cleared = await control.patch("/chaos", json={"clear_faults": True})

    assert [(f["kind"], f["path"], f["count"]) for f in both.json()["faults"]] == [
        ("401", None, 1),
        ("429", "/api/v1/voids", 3),
    ]
    assert cleared.json()["faults"] == []


async def test_a_reset_is_the_first_day_again(client: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    first = await post(client, "authorizations", VISA, "k")
    await control.patch("/chaos", json={"failure_rate": 1, "faults": [{"kind": "401"}]})

    answer = await control.post("/reset")

    ledger, chaos = (await control.get("/ledger")).json(), (await control.get("/chaos")).json()
    again = await post(client, "authorizations", VISA, "k")
    assert answer.json() == {"status": "reset"}
    assert ledger["authorizations"] == ledger["idempotency_keys"] == []
    assert ledger["accounts"][0]["available"] == 1_000_000
    assert (chaos["failure_rate"], chaos["faults"]) == (0, [])
    # Seeded ids must differ all the same: the gateway may still remember the first ones.
    assert again["authorization_id"] != first["authorization_id"]


async def test_the_control_app_is_not_on_the_banks_address(client: httpx.AsyncClient) -> None:
    for path in ("/ledger", "/chaos", "/reset", "/healthz"):
        assert (await client.get(path)).status_code == 404


async def test_one_seed_makes_one_sequence_of_ids_and_failures(settings: BankSettings) -> None:
    runs = []
    for _ in range(2):
        time = VirtualTime()
        bank = create_bank(settings, clock=time.clock, sleep=time.sleep)
        bank.books.weather = bank.books.weather.changed({"failure_rate": 0.5})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(bank.app), base_url="http://bank") as client:
            runs.append([await post(client, "authorizations", VISA, f"k-{n}") for n in range(10)])

    assert runs[0] == runs[1]
    assert {"error" in answer for answer in runs[0]} == {True, False}


async def test_two_banks_of_one_settings_share_no_money(settings: BankSettings, bank: Bank) -> None:
    ranged = BankSettings(state="memory", accounts=settings.accounts)

    first, second = create_bank(ranged), create_bank(ranged)

    first_account = first.books.ledger.state.accounts[VISA["card_number"]]
    assert first_account is not second.books.ledger.state.accounts[VISA["card_number"]]
