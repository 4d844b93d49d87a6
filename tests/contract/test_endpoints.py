"""Section 2: endpoints, shapes, ids and times."""

import re
from typing import Any

import pytest

from bank.mock import VirtualTime

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


async def test_an_authorization_answers_200_and_this_shape(till: Any) -> None:
    answer = await till.authorize()

    body = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(f"auth_{UUID}", body.pop("authorization_id"))
    assert body == {
        "status": "approved",
        "amount": 5000,
        "currency": "USD",
        "expires_at": "2029-03-11T05:06:07.123456789Z",
        "created_at": "2029-03-04T05:06:07.123456789Z",
    }


async def test_a_capture_answers_200_and_this_shape(till: Any) -> None:
    authorization_id = await till.hold()

    answer = await till.capture(authorization_id)

    body = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(f"cap_{UUID}", body.pop("capture_id"))
    assert body == {
        "authorization_id": authorization_id,
        "status": "captured",
        "amount": 5000,
        "currency": "USD",
        "captured_at": "2029-03-04T05:06:07.123456789Z",
    }


async def test_a_void_answers_200_without_amount_or_currency(till: Any) -> None:
    authorization_id = await till.hold()

    answer = await till.void(authorization_id)

    body = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(f"void_{UUID}", body.pop("void_id"))
    assert body == {
        "authorization_id": authorization_id,
        "status": "voided",
        "voided_at": "2029-03-04T05:06:07.123456789Z",
    }


async def test_a_refund_answers_200_and_this_shape(till: Any) -> None:
    capture_id = await till.captured()

    answer = await till.refund(capture_id)

    body = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(f"ref_{UUID}", body.pop("refund_id"))
    assert body == {
        "capture_id": capture_id,
        "status": "refunded",
        "amount": 5000,
        "currency": "USD",
        "refunded_at": "2029-03-04T05:06:07.123456789Z",
    }


async def test_an_authorization_stays_approved_after_capture_void_and_expiry(till: Any, time: VirtualTime) -> None:
    """A GET proves existence, never state (and see trap 2)."""
    captured, voided, expired = [await till.hold() for _ in range(3)]
    await till.capture(captured)
    await till.void(voided)
    time.pass_by(8 * 86_400)

    answers = [await till.get(f"authorizations/{each}") for each in (captured, voided, expired)]

    assert [answer.json()["status"] for answer in answers] == ["approved"] * 3


async def test_a_capture_stays_captured_after_a_refund(till: Any) -> None:
    capture_id = await till.captured()
    await till.refund(capture_id)

    assert (await till.get(f"captures/{capture_id}")).json()["status"] == "captured"


async def test_a_get_shows_the_shape_of_the_post(till: Any) -> None:
    authorization = (await till.authorize()).json()
    capture = (await till.capture(authorization["authorization_id"])).json()
    refund = (await till.refund(capture["capture_id"])).json()

    found = [
        (await till.get(f"authorizations/{authorization['authorization_id']}")).json(),
        (await till.get(f"captures/{capture['capture_id']}")).json(),
        (await till.get(f"refunds/{refund['refund_id']}")).json(),
    ]

    times = ("expires_at", "created_at", "captured_at", "refunded_at")
    for created, read in zip((authorization, capture, refund), found, strict=True):
        assert list(created) == list(read)
        assert {k: v for k, v in created.items() if k not in times} == {k: v for k, v in read.items() if k not in times}


@pytest.mark.parametrize("path", ["voids/void_6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "voids/", "cards", "authorizations/a/b"])
async def test_there_is_no_get_for_voids_and_no_other_lookup(till: Any, path: str) -> None:
    answer = await till.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["authorizations", "captures", "voids", "refunds"])
async def test_there_is_no_list(till: Any, path: str) -> None:
    answer = await till.get(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/api/v1/authorizations/", "/health/", "/docs/", "/api/v1/nothing", "/API/v1/voids"])
async def test_a_trailing_slash_or_unknown_route_is_a_404_in_plain_text(till: Any, path: str) -> None:
    answers = [await till.client.get(path), await till.client.post(path, headers={"Idempotency-Key": "k"})]

    for answer in answers:
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/captures", "POST"),
        ("DELETE", "/api/v1/refunds/ref_x", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_a_405_with_allow_in_plain_text(till: Any, method: str, path: str, allowed: str) -> None:
    answer = await till.client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_root_moves_to_the_docs(till: Any) -> None:
    answer = await till.client.get("/")

    assert (answer.status_code, answer.headers["location"]) == (301, "/docs")


async def test_the_docs_are_useful_without_the_network(till: Any) -> None:
    page = await till.client.get("/docs")

    assert page.headers["content-type"].startswith("text/html")
    assert 'href="/docs/openapi"' in page.text
    assert "POST /api/v1/authorizations" in page.text


async def test_a_healthy_bank_says_so(till: Any) -> None:
    answer = await till.client.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


async def test_ids_are_accepted_in_four_forms_and_answered_in_canonical_form(till: Any) -> None:
    authorization_id = await till.hold()
    digits = authorization_id.removeprefix("auth_")
    forms = [digits.upper(), digits.replace("-", ""), f"{{{digits}}}", f"{{{digits.upper()}}}"]

    found = [await till.get(f"authorizations/auth_{form}") for form in forms]
    captured = await till.capture(f"auth_{forms[2]}")

    assert [answer.json()["authorization_id"] for answer in found] == [authorization_id] * 4
    assert captured.json()["authorization_id"] == authorization_id


@pytest.mark.parametrize(
    ("fraction_ns", "posted", "read"),
    [
        (123_456_789, ".123456789Z", ".123457Z"),
        (120_000_000, ".12Z", ".12Z"),
        (1, ".000000001Z", "Z"),
        (500, ".0000005Z", ".000001Z"),
        (0, "Z", "Z"),
        (999_999_999, ".999999999Z", "Z"),
    ],
)
async def test_a_post_shows_nanoseconds_and_a_get_rounded_microseconds(
    till: Any, time: VirtualTime, fraction_ns: int, posted: str, read: str
) -> None:
    time.now_ns = time.now_ns // 10**9 * 10**9 + fraction_ns

    created = (await till.authorize()).json()
    found = (await till.get(f"authorizations/{created['authorization_id']}")).json()

    assert created["created_at"] == f"2029-03-04T05:06:07{posted}"
    second = "08" if fraction_ns == 999_999_999 else "07"
    assert found["created_at"] == f"2029-03-04T05:06:{second}{read}"
