"""Whatever differs between receipts and the bank's books is found, and said of the right order."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.demo.comparison import Comparison, compare
from app.demo.shop import Receipt
from domain.ledger import Capture, Hold, Ledger, Refund, Void
from domain.payment import BankReferences, PaymentState, ReviewReason, Verb

S = PaymentState


def receipt(number: int, state: PaymentState, bank: BankReferences, *reasons: ReviewReason) -> Receipt:
    return Receipt(
        id=f"pay_{number}",
        reference=f"REF-{number}",
        order_id=f"order-{number}",
        customer_id="customer-1",
        amount_minor=100 + number,
        currency="USD",
        formatted="$1",
        state=state,
        brand="VISA",
        last_four="1111",
        history=((S.PENDING, "2026-06-01T12:00:00Z"),),
        bank=bank,
        decline=("INVALID_CVV", "no") if state is S.DECLINED else None,
        review_reasons=frozenset(reasons),
        pending=None,
    )


HELD = receipt(1, S.AUTHORIZED, BankReferences("auth_1"))
TAKEN = receipt(2, S.CAPTURED, BankReferences("auth_2", "cap_2"))
GIVEN_UP = receipt(3, S.VOIDED, BankReferences("auth_3", void="void_3"))
RETURNED = receipt(4, S.REFUNDED, BankReferences("auth_4", "cap_4", refund="ref_4"))
DECLINED = receipt(5, S.DECLINED, BankReferences())
RUN_OUT = receipt(6, S.EXPIRED, BankReferences("auth_6", void="void_6"))
RECEIPTS = [HELD, TAKEN, GIVEN_UP, RETURNED, DECLINED, RUN_OUT]


def hold(number: int, state: str, key: str | None = None, id: str | None = None) -> Hold:  # noqa: A002
    return Hold(id or f"auth_{number}", 100 + number, "USD", "1111", state, key or f"att_{number}")


LEDGER = Ledger(
    holds=(hold(1, "active"), hold(2, "captured"), hold(3, "voided"), hold(4, "captured"), hold(6, "voided")),
    captures=(
        Capture("cap_2", "auth_2", 102, "USD", False, "att_cap_2"),
        Capture("cap_4", "auth_4", 104, "USD", True, "att_cap_4"),
    ),
    voids=(Void("void_3", "auth_3", "att_void_3"), Void("void_6", "auth_6", "att_void_6")),
    refunds=(Refund("ref_4", "cap_4", 104, "USD", "att_ref_4"),),
)


def with_holds(*holds: Hold) -> Ledger:
    """The ledger with these in the place of their namesakes, or in addition."""
    return replace(LEDGER, holds=tuple({each.id: each for each in (*LEDGER.holds, *holds)}.values()))


def found(comparison: Comparison) -> list[tuple[str, str]]:
    return [(each.order_id, each.what) for each in (*comparison.disagreements, *comparison.unaccounted)]


def test_equal_books_agree() -> None:
    assert found(compare(RECEIPTS, [], LEDGER)) == []


PLANTED: list[tuple[str, Ledger, list[tuple[str, str]]]] = [
    ("no hold", replace(LEDGER, holds=LEDGER.holds[1:]), [("order-1", "the hold")]),
    (
        "a second hold under the same key",
        with_holds(hold(1, "active", id="auth_1b")),
        [("order-1", "a second hold, and no flag warns of it")],
    ),
    (
        "a second hold under another key",
        with_holds(hold(1, "active", "att_1b", "auth_1b")),
        [("", "a hold that no receipt knows")],
    ),
    ("a missing capture", replace(LEDGER, captures=LEDGER.captures[1:]), [("order-2", "the capture")]),
    (
        "a capture under another reference",
        replace(LEDGER, captures=(replace(LEDGER.captures[0], id="cap_x"), LEDGER.captures[1])),
        [("order-2", "the capture")],
    ),
    (
        "a capture of another amount",
        replace(LEDGER, captures=(replace(LEDGER.captures[0], amount_minor=1), LEDGER.captures[1])),
        [("order-2", "the capture's amount")],
    ),
    (
        "a capture of a hold that was only authorized",
        replace(LEDGER, captures=(*LEDGER.captures, Capture("cap_1", "auth_1", 101, "USD", False, "att_cap_1"))),
        [("order-1", "the capture")],
    ),
    ("a hold of another amount", with_holds(replace(hold(1, "active"), amount_minor=1)), [("order-1", "the hold's amount")]),
    ("a hold on another card", with_holds(replace(hold(1, "active"), last_four="4242")), [("order-1", "the card")]),
    ("a hold that is still active", with_holds(hold(3, "active")), [("order-3", "the hold")]),
    ("a hold of an expired payment that was not released", with_holds(hold(6, "active")), [("order-6", "the hold")]),
    ("a missing void", replace(LEDGER, voids=LEDGER.voids[1:]), [("order-3", "the void")]),
    ("a missing refund", replace(LEDGER, refunds=()), [("order-4", "the refund")]),
    (
        "a second refund",
        replace(LEDGER, refunds=(*LEDGER.refunds, Refund("ref_4b", "cap_4", 104, "USD", "att_ref_4b"))),
        [("order-4", "the refund")],
    ),
    (
        "a refund of another amount",
        replace(LEDGER, refunds=(Refund("ref_4", "cap_4", 1, "USD", "att_ref_4"),)),
        [("order-4", "the refund's amount")],
    ),
    ("a hold for a declined payment", with_holds(hold(5, "active")), [("", "a hold that no receipt knows")]),
]


@pytest.mark.parametrize(("ledger", "expected"), [case[1:] for case in PLANTED], ids=[case[0] for case in PLANTED])
def test_a_planted_disagreement_is_found(ledger: Ledger, expected: list[tuple[str, str]]) -> None:
    assert found(compare(RECEIPTS, [], ledger)) == expected


def test_a_payment_that_is_not_settled_disagrees() -> None:
    pending = replace(HELD, pending=Verb.CAPTURE)

    assert ("order-1", "is it settled") in found(compare([pending, *RECEIPTS[1:]], [], LEDGER))


def test_one_hold_for_two_receipts_disagrees() -> None:
    twin = replace(HELD, id="pay_9", order_id="order-9")

    assert found(compare([*RECEIPTS, twin], [], LEDGER)) == [("order-9", "whose hold is it")]


@pytest.mark.parametrize(
    ("original", "lost", "reason"),
    [
        (TAKEN, lambda bank: replace(bank, capture=None), ReviewReason.CAPTURE_REFERENCE_UNKNOWN),
        (GIVEN_UP, lambda bank: replace(bank, void=None), ReviewReason.VOID_REFERENCE_UNKNOWN),
        (RUN_OUT, lambda bank: replace(bank, void=None), ReviewReason.VOID_REFERENCE_UNKNOWN),
        (RETURNED, lambda bank: replace(bank, refund=None), ReviewReason.REFUND_REFERENCE_UNKNOWN),
    ],
)
def test_a_lost_reference_agrees_when_the_receipt_is_flagged_and_only_then(
    original: Receipt, lost: Callable[[BankReferences], BankReferences], reason: ReviewReason
) -> None:
    others = [each for each in RECEIPTS if each is not original]
    without = replace(original, bank=lost(original.bank))

    assert found(compare([*others, replace(without, review_reasons=frozenset({reason}))], [], LEDGER)) == []
    assert {order for order, _ in found(compare([*others, without], [], LEDGER))} == {original.order_id}


def test_a_second_hold_agrees_when_the_receipt_warns_of_it() -> None:
    flagged = replace(HELD, review_reasons=frozenset({ReviewReason.POSSIBLE_ORPHAN_HOLD}))

    comparison = compare([flagged, *RECEIPTS[1:]], [], with_holds(hold(1, "active", id="auth_1b")))

    assert found(comparison) == []
    assert comparison.second_holds == {"order-1": ["auth_1b"]}


def test_a_hold_of_a_declined_payment_agrees_when_the_receipt_warns_of_it() -> None:
    flagged = replace(DECLINED, review_reasons=frozenset({ReviewReason.POSSIBLE_ORPHAN_HOLD}))

    comparison = compare([*RECEIPTS[:4], flagged, RUN_OUT], [], with_holds(hold(5, "active")))

    assert found(comparison) == []
    assert comparison.second_holds == {"order-5": ["auth_5"]}


def test_a_receipt_of_another_play_accounts_for_its_hold_and_is_not_judged() -> None:
    elsewhere = replace(receipt(7, S.CAPTURED, BankReferences("auth_7", "cap_7")), pending=Verb.REFUND)

    assert found(compare(RECEIPTS, [elsewhere], with_holds(hold(7, "active")))) == []


def test_what_was_done_to_a_hold_of_before_is_not_judged() -> None:
    ledger = replace(LEDGER, voids=(*LEDGER.voids, Void("void_0", "auth_0", "att_void_0")))

    assert found(compare(RECEIPTS, [], ledger)) == []
