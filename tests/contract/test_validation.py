"""Section 3: what is checked, in which order; the first failure wins."""

from typing import Any

import pytest

from bank.mock import VirtualTime

WRONG_EVERYWHERE = {"card_number": "4111111111111112", "cvv": "x", "amount": 0}
UNKNOWN = "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b"


def refusal(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error", "message"}
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize(
    ("mended", "expected"),
    [
        ({}, "invalid_card"),
        ({"card_number": "4000000000000002"}, "invalid_cvv"),
        ({"card_number": "4000000000000002", "cvv": "999"}, "invalid_amount"),
        ({"card_number": "4000000000000002", "cvv": "999", "amount": 1}, "invalid_card"),
        ({"card_number": "5105105105105100", "cvv": "999", "amount": 600_000}, "invalid_cvv"),
        ({"card_number": "5105105105105100", "cvv": "321", "amount": 600_000}, "card_expired"),
        ({"card_number": "4111111111111111", "cvv": "123", "amount": 1_000_001}, "insufficient_funds"),
    ],
)
async def test_an_authorization_is_checked_in_this_order(till: Any, mended: dict[str, Any], expected: str) -> None:
    answer = await till.authorize(**{**WRONG_EVERYWHERE, **mended})

    assert refusal(answer) == (402 if expected == "insufficient_funds" else 400, expected)


@pytest.mark.parametrize(
    ("card_number", "message_is_of_the_lookup"),
    [
        ("4111 1111 1111 1111", True),
        ("4111-1111-1111-1111", True),
        ("card 4111111111111111", True),
        ("42", False),
        ("00000000000000000000", False),
        ("000000000000", False),
        ("", False),
        ("4111111111111112", False),
        ("٤١١١١١١١١١١١١١١١", False),
    ],
)
async def test_luhn_looks_at_digits_only_and_the_lookup_at_the_literal_text(
    till: Any, card_number: str, message_is_of_the_lookup: bool
) -> None:
    answer = await till.authorize(card_number=card_number)

    assert refusal(answer) == (400, "invalid_card")
    assert (answer.json()["message"] == "card not found or invalid") is message_is_of_the_lookup


@pytest.mark.parametrize("cvv", ["", "12", "12345", "12a", "١٢٣", " 123", "123 "])
async def test_a_cvv_has_three_or_four_ascii_digits(till: Any, cvv: str) -> None:
    answer = await till.authorize(cvv=cvv)

    assert refusal(answer) == (400, "invalid_cvv")
    assert answer.json()["message"] != "CVV does not match"


@pytest.mark.parametrize("cvv", ["124", "1234"])
async def test_a_cvv_equals_the_stored_one(till: Any, cvv: str) -> None:
    answer = await till.authorize(cvv=cvv)

    assert answer.json() == {"error": "invalid_cvv", "message": "CVV does not match"}


@pytest.mark.parametrize("amount", [0, -1, -(2**63)])
async def test_an_amount_is_more_than_zero(till: Any, amount: int) -> None:
    assert refusal(await till.authorize(amount=amount)) == (400, "invalid_amount")


@pytest.mark.parametrize("expiry", [{"expiry_month": 1, "expiry_year": 1999}, {"expiry_month": 77, "expiry_year": -4}])
async def test_the_expiry_in_the_request_is_ignored(till: Any, expiry: dict[str, int]) -> None:
    assert (await till.authorize(**expiry)).status_code == 200


async def test_a_card_is_good_until_its_stored_month_ends(till: Any, time: VirtualTime) -> None:
    """12/2030: the last second of December is fine, the first of January isn't."""
    time.now_ns = 1_924_991_999 * 10**9
    assert (await till.authorize()).status_code == 200

    time.pass_by(1)

    assert refusal(await till.authorize()) == (400, "card_expired")


async def test_the_whole_available_balance_can_be_held_and_no_cent_more(till: Any) -> None:
    assert (await till.authorize(amount=1_000_000)).status_code == 200

    assert refusal(await till.authorize(amount=1)) == (402, "insufficient_funds")


@pytest.mark.parametrize(
    "authorization_id",
    ["", "auth_", "auth_12", UNKNOWN, f"cap_{UNKNOWN}", f"auth_{UNKNOWN}x", f"auth_{UNKNOWN}", f"AUTH_{UNKNOWN}"],
)
async def test_captures_and_voids_refuse_malformed_and_unknown_ids(till: Any, authorization_id: str) -> None:
    answers = [await till.capture(authorization_id), await till.void(authorization_id)]

    assert [refusal(answer) for answer in answers] == [(400, "authorization_not_found")] * 2


async def test_a_capture_is_of_a_hold_not_of_a_capture(till: Any) -> None:
    capture_id = await till.captured()

    answer = await till.capture(capture_id.replace("cap_", "auth_"))

    assert refusal(answer) == (400, "authorization_not_found")


async def test_a_capture_checks_use_then_expiry_then_amount(till: Any, time: VirtualTime) -> None:
    used, unused = await till.hold(), await till.hold()
    await till.void(used)
    mismatch = await till.capture(unused, 4999)
    time.pass_by(8 * 86_400)

    assert refusal(await till.capture(used, 4999)) == (400, "authorization_already_used")
    assert refusal(await till.capture(unused, 4999)) == (400, "authorization_expired")
    assert refusal(mismatch) == (400, "amount_mismatch")


async def test_an_expired_hold_can_be_voided(till: Any, time: VirtualTime) -> None:
    authorization_id = await till.hold()
    time.pass_by(30 * 86_400)

    assert (await till.void(authorization_id)).status_code == 200


@pytest.mark.parametrize("capture_id", ["", "cap_12", f"auth_{UNKNOWN}", f"cap_{UNKNOWN}"])
async def test_a_refund_refuses_malformed_and_unknown_ids(till: Any, capture_id: str) -> None:
    assert refusal(await till.refund(capture_id)) == (400, "capture_not_found")


async def test_a_refund_checks_the_amount_before_an_earlier_refund(till: Any) -> None:
    capture_id = await till.captured()
    await till.refund(capture_id)

    assert refusal(await till.refund(capture_id, 4999)) == (400, "amount_mismatch")
    assert refusal(await till.refund(capture_id)) == (400, "already_refunded")


async def test_a_refund_has_no_time_limit(till: Any, time: VirtualTime) -> None:
    capture_id = await till.captured()
    time.pass_by(3 * 365 * 86_400)

    assert (await till.refund(capture_id)).status_code == 200


VISA_JSON = '{"card_number":"4111111111111111","cvv":"123","amount":%s,"expiry_month":12,"expiry_year":2030}'


@pytest.mark.parametrize(
    "amount",
    ['"5000"', "50.0", "5e3", "9223372036854775808", "1" * 5000, "true", "[]", "{}", "NaN", "Infinity", "05", "+5"],
)
async def test_what_is_no_integer_where_one_belongs_is_a_400_in_plain_text(till: Any, amount: str) -> None:
    answer = await till.post("authorizations", VISA_JSON % amount)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")


@pytest.mark.parametrize("field", ["expiry_month", "expiry_year"])
async def test_ignored_integers_are_decoded_all_the_same(till: Any, field: str) -> None:
    answer = await till.authorize(**{field: "12"})

    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")


@pytest.mark.parametrize("body", ["", " ", "{", "[]", '"text"', "5", "{'a':1}", '{"cvv":123}', "\ufeff{}", "{]", "nul"])
async def test_an_undecodable_body_is_a_400_in_plain_text(till: Any, body: str) -> None:
    answer = await till.post("authorizations", body.encode())

    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "body",
    [
        VISA_JSON % 5000 + "trailing bytes {",
        "\n\t " + VISA_JSON % 5000,
        (VISA_JSON % 5000).replace("{", '{"unknown":{"deep":[1.5,null,99999999999999999999]},'),
        (VISA_JSON % 5000).replace("cvv", "CVV").replace("amount", "Amount"),
        (VISA_JSON % 5000).replace("{", '{"amount":7,'),
        (VISA_JSON % 5000).replace("}", ',"amount":null}'),
        (VISA_JSON % 5000).replace(":12,", ":null,").replace("2030", "null"),
    ],
)
async def test_a_body_is_read_as_a_go_decoder_reads_it(till: Any, body: str) -> None:
    """Trailing bytes, unknown fields, names in any case, repeated fields, null: none of them is an error."""
    answer = await till.post("authorizations", body)

    assert (answer.status_code, answer.json().get("amount")) == (200, 5000)


@pytest.mark.parametrize(("body", "code"), [("null", "invalid_card"), ("{}", "invalid_card")])
async def test_null_and_missing_count_as_zero(till: Any, body: str, code: str) -> None:
    assert refusal(await till.post("authorizations", body)) == (400, code)


async def test_a_null_amount_is_zero(till: Any) -> None:
    assert refusal(await till.authorize(amount=None)) == (400, "invalid_amount")
    assert refusal(await till.capture(await till.hold(), None)) == (400, "amount_mismatch")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/json; charset=latin-1"])
async def test_content_type_is_not_checked(till: Any, content_type: str) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": content_type}

    answer = await till.client.post("/api/v1/authorizations", headers=headers, content=VISA_JSON % 5000)

    assert answer.status_code == 200
