"""What the bank's answers mean: the table is complete, and what it does not hold is never taken for an outcome."""

import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bank.answer import (
    BANK_ERRORS,
    HARMLESS_500,
    NO_SUCH_CARD,
    REFUSALS,
    REPLAYED_HEADER,
    Done,
    Kept,
    NotKept,
    Refused,
    Unclarity,
    Unclear,
    read_answer,
    read_look_up,
)
from domain.card import CardBrand, CardSummary
from domain.discrepancy import HoldStanding
from domain.money import Money
from domain.payment import Payment, PaymentState, Verb
from gateway.interpretation import interpret

EXPECTED = {
    Verb.AUTHORIZE: {"amount": 1999, "currency": "USD"},
    Verb.CAPTURE: {"authorization_id": "auth_1", "amount": 1999},
    Verb.VOID: {"authorization_id": "auth_1"},
    Verb.REFUND: {"capture_id": "cap_1", "amount": 1999},
}
GOOD = {
    Verb.AUTHORIZE: {"authorization_id": "auth_1", "status": "approved", "amount": 1999, "currency": "USD"},
    Verb.CAPTURE: {"capture_id": "cap_1", "authorization_id": "auth_1", "status": "captured", "amount": 1999},
    Verb.VOID: {"void_id": "void_1", "authorization_id": "auth_1", "status": "voided"},
    Verb.REFUND: {"refund_id": "ref_1", "capture_id": "cap_1", "status": "refunded", "amount": 1999},
}
CODES = {  # bank contract §4: every code that occurs
    "invalid_card",
    "invalid_cvv",
    "invalid_amount",
    "card_expired",
    "insufficient_funds",
    "authorization_not_found",
    "authorization_expired",
    "authorization_already_used",
    "already_refunded",
    "amount_mismatch",
    "capture_not_found",
    "internal_error",
}


def read(verb, status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(verb, EXPECTED[verb], status, headers, content)


@pytest.mark.parametrize("verb", Verb)
def test_a_good_answer_is_done_with_the_banks_reference(verb):
    answer = read(verb, 200, GOOD[verb])
    replay = read(verb, 200, GOOD[verb], **{"x-idempotent-replayed": "true"})

    reference = next(iter(GOOD[verb].values()))
    assert answer == Done(reference, replayed=False)
    assert replay == Done(reference, replayed=True)


@pytest.mark.parametrize("verb", Verb)
def test_a_200_that_says_anything_else_than_what_was_asked_is_unclear_and_may_have_acted(verb):
    for field in GOOD[verb]:
        for wrong in (None, "", 7, 1999.0, True, "another", "x" * 256, [], GOOD[verb]):
            answer = read(verb, 200, {**GOOD[verb], field: wrong})
            if field == next(iter(GOOD[verb])) and wrong == "another":
                continue  # the reference is the bank's to choose
            assert isinstance(answer, Unclear), (field, wrong)
            assert answer.may_have_acted


@pytest.mark.parametrize(("verb", "code"), list(product(Verb, sorted(CODES))))
def test_every_code_of_the_contract_is_a_refusal_a_bank_error_or_unintelligible_and_never_two_of_them(verb, code):
    kinds = [code in REFUSALS[verb], code in BANK_ERRORS[verb]]
    answer = read(verb, 402 if code == "insufficient_funds" else 400, {"error": code, "message": "so it is"})

    assert sum(kinds) <= 1
    if kinds[0]:
        assert answer == Refused(code, "so it is")
    else:
        assert isinstance(answer, Unclear)
        assert answer.why is (Unclarity.BANK_ERROR if kinds[1] else Unclarity.UNINTELLIGIBLE)


def test_not_found_for_an_id_that_the_bank_gave_us_proves_nothing():
    for verb, code in (
        (Verb.CAPTURE, "authorization_not_found"),
        (Verb.VOID, "authorization_not_found"),
        (Verb.REFUND, "capture_not_found"),
    ):
        assert isinstance(read(verb, 400, {"error": code}), Unclear)


def test_only_the_injected_500_promises_that_nothing_was_done():
    error, message = HARMLESS_500

    harmless = read(Verb.AUTHORIZE, 500, {"error": error, "message": message})
    other = read(Verb.AUTHORIZE, 500, {"error": error, "message": "out of memory"})
    proxy = read(Verb.AUTHORIZE, 502, b"<html>bad gateway</html>")
    elsewhere = [read(Verb.AUTHORIZE, status, {"error": error, "message": message}) for status in (204, 307, 408, 501, 503)]

    assert not harmless.may_have_acted
    assert other.may_have_acted
    assert proxy.may_have_acted
    assert all(each.may_have_acted for each in elsewhere)


# Every status that is not the contract's, whoever says it: why it is unclear, and whether the bank may have acted.
U, B = Unclarity.UNINTELLIGIBLE, Unclarity.BANK_ERROR
STATUSES = {
    **dict.fromkeys((100, 101, 103, 201, 202, 204, 206, 226, 300, 301, 302, 303, 304, 307, 308, 399), (U, True)),
    **dict.fromkeys((401, 403, 404, 405, 406, 407, 410, 411, 413, 414, 415, 417, 421, 422, 425, 426, 431, 451), (U, False)),
    **dict.fromkeys((408, 409, 499), (U, True)),
    429: (B, False),
    **dict.fromkeys((500, 501, 502, 503, 504, 505, 507, 511, 520, 524, 599), (B, True)),
}
BODIES = {
    "nothing": b"",
    "text": b"404 page not found\n",
    "html": b"<html><title>502 Bad Gateway</title></html>",
    "another object": b"{}",
    "no object": b"[]",
    "an unknown code": b'{"error": "try_later", "message": ""}',
    "a code that is none": b'{"error": {"code": "invalid_card"}, "message": null}',
}
EVERY_BODY = BODIES | {code: json.dumps({"error": code, "message": "so it is"}).encode() for code in sorted(CODES)}


@pytest.mark.parametrize(("verb", "status"), list(product(Verb, STATUSES)))
def test_a_status_of_somebody_in_between_is_unclear_whatever_its_body_says(verb, status):
    why, may_have_acted = STATUSES[status]

    for name, body in EVERY_BODY.items():
        answer = read(verb, status, body)
        assert isinstance(answer, Unclear), name
        assert answer.detail == f"status {status}"
        assert answer.may_have_acted is may_have_acted, name
        assert answer.why is (B if name in BANK_ERRORS[verb] else why), name


@pytest.mark.parametrize(("verb", "status"), list(product(Verb, (400, 402))))
def test_a_status_of_the_contracts_without_a_code_of_the_contracts_is_unintelligible_and_did_nothing(verb, status):
    for name, body in BODIES.items():
        assert read(verb, status, body) == Unclear(U, f"status {status}", may_have_acted=False), name


@pytest.mark.parametrize("verb", Verb)
def test_a_200_without_the_contracts_content_is_unintelligible_and_may_have_acted(verb):
    good = json.dumps(GOOD[verb]).encode()
    for body in [*EVERY_BODY.values(), good[:-1], good[: len(good) // 2], b"[" + good + b"]", good + good, b"\xff" + good]:
        answer = read(verb, 200, body)
        assert isinstance(answer, Unclear), body
        assert (answer.why, answer.may_have_acted) == (U, True), body


@pytest.mark.parametrize("verb", Verb)
def test_an_answer_of_another_operation_is_not_this_ones(verb):
    for other in set(Verb) - {verb}:
        answer = read(verb, 200, GOOD[other])
        assert isinstance(answer, Unclear), other


NOON = "Sat, 21 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "3600"}, 60),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "9" * 5000}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:09 GMT", "date": NOON}, 9),
        ({"retry-after": "Sat, 21 Nov 2026 13:00:00 GMT", "date": NOON}, 60),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT", "date": NOON}, 0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:09 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:09 GMT", "date": "today"}, None),
        ({"retry-after": "Sat, 99 Nov 2026 12:00:09 GMT", "date": NOON}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:09 -0000", "date": NOON}, 9),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_bank_may_say_how_long_to_wait_in_seconds_or_until_when(status, headers, wait_s):
    answer = read_answer(Verb.VOID, EXPECTED[Verb.VOID], status, headers, b"")

    assert answer.retry_after_s == wait_s


# What a look-up's refusal tells; every other one tells nothing.
TELLS = {
    (Verb.AUTHORIZE, "invalid_card", NO_SUCH_CARD): NotKept(),
    (Verb.CAPTURE, "amount_mismatch", ""): NotKept(HoldStanding.ACTIVE),
    (Verb.CAPTURE, "authorization_expired", ""): NotKept(HoldStanding.EXPIRED),
    (Verb.CAPTURE, "authorization_already_used", ""): NotKept(HoldStanding.USED),
    (Verb.VOID, "authorization_not_found", ""): NotKept(),
    (Verb.REFUND, "amount_mismatch", ""): NotKept(),
}


@pytest.mark.parametrize(
    ("verb", "code", "message"), list(product(Verb, sorted(CODES), ["", "card number is invalid", NO_SUCH_CARD]))
)
def test_a_look_up_that_is_refused_tells_what_only_the_banks_database_can_have_said(verb, code, message):
    body = json.dumps({"error": code, "message": message}).encode()

    answer = read_look_up(verb, EXPECTED[verb], 400, {}, body)

    told = TELLS.get((verb, code, message), None if verb is Verb.AUTHORIZE else TELLS.get((verb, code, "")))
    if told is None:
        assert isinstance(answer, Unclear)
        assert not answer.may_have_acted
    else:
        assert answer == told


@pytest.mark.parametrize(("verb", "status"), list(product(Verb, [402, *STATUSES])))
def test_a_look_up_never_acted_and_is_told_nothing_by_any_other_status(verb, status):
    for name, body in EVERY_BODY.items():
        answer = read_look_up(verb, EXPECTED[verb], status, {}, body)
        assert isinstance(answer, Unclear), name
        assert answer.may_have_acted is (status < 300), name


@pytest.mark.parametrize("verb", Verb)
def test_a_kept_answer_is_a_replay_that_says_what_was_asked(verb):
    body = json.dumps(GOOD[verb]).encode()

    kept = read_look_up(verb, EXPECTED[verb], 200, {REPLAYED_HEADER: "true"}, body)
    executed = read_look_up(verb, EXPECTED[verb], 200, {}, body)
    of_another = read_look_up(verb, {**EXPECTED[verb], "status": "another"}, 200, {REPLAYED_HEADER: "true"}, body)

    assert kept == Kept(next(iter(GOOD[verb].values())))
    assert isinstance(executed, Unclear)
    assert executed.why is of_another.why is U
    assert executed.may_have_acted


@given(
    verb=st.sampled_from(Verb),
    status=st.integers(100, 599),
    body=st.binary(max_size=80)
    | st.dictionaries(st.sampled_from(["error", "message", "status"]), st.text() | st.integers()).map(
        lambda content: json.dumps(content).encode()
    ),
    retry_after=st.text(max_size=12),
)
@hypothesis_settings(derandomize=True, max_examples=300, deadline=None)
def test_whatever_the_bank_says_is_answered_and_only_a_known_refusal_is_one(verb, status, body, retry_after):
    answer = read_answer(verb, EXPECTED[verb], status, {"retry-after": retry_after}, body)

    match answer:
        case Done():
            assert status == 200
        case Refused(code):
            assert status in (400, 402)
            assert code in REFUSALS[verb]
        case Unclear(retry_after_s=wait_s):
            assert wait_s is None or 0 <= wait_s <= 60


@pytest.mark.parametrize(("verb", "code", "unanswered"), [(v, c, n) for v in Verb for c in sorted(REFUSALS[v]) for n in (0, 1)])
def test_every_refusal_has_an_interpretation(verb, code, unanswered, some_payment):
    assert interpret(verb, some_payment, Refused(code, ""), unanswered) is not None


@pytest.fixture
def some_payment() -> Payment:
    """A payment that nothing is wrong with."""
    return Payment(
        id=UUID(int=1),
        order_id="o",
        customer_id="c",
        amount=Money(1),
        card=CardSummary(CardBrand.VISA, "1111"),
        state=PaymentState.AUTHORIZED,
        reached={PaymentState.PENDING: datetime(2026, 1, 1, tzinfo=UTC)},
    )


def test_the_codes_here_are_those_that_the_mock_can_give():
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "bank" / "mock").glob("*.py"))

    assert all(f'"{code}"' in source for code in CODES)
