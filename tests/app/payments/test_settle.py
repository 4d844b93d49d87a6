"""`partner-api payments settle`: what is said, refused, shown and written down."""

import json

import pytest

from domain.payment import PaymentState, ReviewReason, Verb
from tests.app.payments.office import BY, NOBODY, NOTHING, REFERENCE, pay

S, R = PaymentState, ReviewReason


async def test_a_learned_reference_makes_a_refund_possible_again(office, payments, refused, control):
    payment = await office.captured(accident="lost key")
    (capture,) = (await control.get("/ledger")).json()["captures"]
    command = ("settle", pay(payment), "--partner", office.partner, *BY, "--capture-reference", capture["capture_id"])

    shown = await payments(*command, "--dry-run")
    unchanged = await office.now(payment)
    settled = await payments(*command)
    again = await refused(*command)
    refunded = await office.operate(Verb.REFUND, payment)

    assert unchanged == payment
    changes = f"  capture: unknown → {capture['capture_id']}\n  no longer CAPTURE_REFERENCE_UNKNOWN\n"
    assert (shown, settled) == (f"This would change:\n{changes}", f"Settled. Changed:\n{changes}")
    assert again.startswith(f"Its capture has the reference {capture['capture_id']} already")
    assert "What can be said of it as it stands: nothing." in again
    assert refunded.payment.state is S.REFUNDED


async def test_what_a_program_gets_of_a_settlement_is_before_and_after(office, payments):
    payment = await office.forgotten()
    command = ("settle", pay(payment), "--partner", office.partner, *BY, "--authorized", REFERENCE.format("auth"), "--json")

    shown, done = json.loads(await payments(*command, "--dry-run")), json.loads(await payments(*command))

    assert (shown["dryRun"], done["dryRun"]) == (True, False)
    assert (done["before"]["state"], done["after"]["state"]) == ("PENDING", "AUTHORIZED")
    assert done["after"]["bankReferences"]["authorization"] == REFERENCE.format("auth")
    assert shown["after"]["reviewReasons"] == done["after"]["reviewReasons"] == ["POSSIBLE_ORPHAN_HOLD"]


async def test_asking_again_changes_nothing_and_says_so(office, payments, lines):
    payment = await office.stuck(Verb.VOID)

    settled = await payments("settle", pay(payment), "--partner", office.partner, *BY, "--ask-again")

    assert settled == "Settled. Changed:\n  nothing of the payment\n"
    assert [each["action"] for each in await lines("log", "--payment", pay(payment))] == ["payment.asked_again"]


async def test_what_does_not_fit_is_refused_with_what_does(office, refused, rows):
    payment = await office.stuck(Verb.CAPTURE)
    before = await rows()

    sentence = await refused("settle", pay(payment), "--partner", office.partner, *BY, "--voided", REFERENCE.format("void"))

    assert sentence.startswith("A capture is under way since ")
    assert sentence.endswith("What can be said of it as it stands: --captured cap_…, --not-captured, --ask-again.\n")
    assert await rows() == before


async def test_another_partners_payment_is_not_settled(office, other_office, refused, rows):
    payment = await office.flagged(R.POSSIBLE_ORPHAN_HOLD)
    before = await rows()

    for partner in (other_office.partner, NOBODY, "ptn_x", ""):
        sentence = await refused("settle", pay(payment), "--partner", partner, *BY, "--acknowledge", "POSSIBLE_ORPHAN_HOLD")
        assert sentence.startswith("There is no payment of this partner with this id")
    assert await rows() == before


BAD_INPUT = [
    (("--by", "", "--note", "why"), "Say who you are"),
    (("--by", " ", "--note", "why"), "Say who you are"),
    (("--by", "a" * 101, "--note", "why"), "Say who you are"),
    (("--by", "a\tb", "--note", "why"), "Say who you are"),
    (("--by", "ada", "--note", ""), "A note says why"),
    (("--by", "ada", "--note", " \n"), "A note says why"),
    (("--by", "ada", "--note", "n" * 1001), "The note has 1001 characters"),
    (("--by", "ada", "--note", "a\nb"), "The note has a character that can't be printed"),
    (("--by", "ada", "--note", "\x1b[2J"), "The note has a character that can't be printed"),
    (("--by", "ada", "--note", "it was 4111 1111 1111 1111 12/30"), "The note has what can be a card number in it"),
]


@pytest.mark.parametrize(("given", "sentence"), BAD_INPUT, ids=[sentence for _, sentence in BAD_INPUT])
async def test_bad_input_is_refused_with_a_sentence_that_does_not_repeat_it(office, refused, rows, given, sentence):
    payment = await office.flagged(R.POSSIBLE_ORPHAN_HOLD)
    before = await rows()

    said = await refused("settle", pay(payment), "--partner", office.partner, *given, "--acknowledge", "POSSIBLE_ORPHAN_HOLD")

    assert said.startswith(sentence)
    assert "4111" not in said
    assert "\x1b" not in said
    assert await rows() == before


@pytest.mark.parametrize(
    "reference", ["", "cap_", "cap_1", REFERENCE.format("auth"), REFERENCE.format("cap").upper(), REFERENCE.format("cap") + "\n"]
)
async def test_a_malformed_reference_is_refused_with_an_example(refused, reference):
    sentence = await refused("settle", NOTHING, "--partner", NOBODY, *BY, "--capture-reference", reference)

    assert sentence.startswith("This is not a reference of the bank's: cap_ and a UUID")


@pytest.mark.parametrize(
    "things",
    [
        (),
        ("--ask-again", "--not-captured"),
        ("--acknowledge", "RECONCILED", "--ask-again"),
        ("--captured", REFERENCE.format("cap"), "--capture-reference", REFERENCE.format("cap")),
    ],
    ids=str,
)
async def test_exactly_one_thing_is_said_at_a_time(refused, things):
    sentence = await refused("settle", NOTHING, "--partner", NOBODY, *BY, *things, code=2)

    assert sentence.startswith("Say exactly one thing: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("settle", NOTHING, "--partner", NOBODY, "--by", "ada", "--ask-again"),
        ("settle", NOTHING, "--partner", NOBODY, "--note", "why", "--ask-again"),
        ("settle", NOTHING, *BY, "--ask-again"),
        ("settle", "--partner", NOBODY, *BY, "--ask-again"),
        ("settle", NOTHING, "--partner", NOBODY, *BY, "--acknowledge", "NOTHING"),
        ("list", "--reason", "NOTHING"),
        ("list", "--limit", "0"),
        ("list", "--limit", "1001"),
        ("list", "--older-than", "-1"),
        ("list", "--older-than", "1e9"),
        ("list", "--older-than", "nan"),
        ("inspect",),
        ("log", "--limit", "x"),
    ],
    ids=" ".join,
)
async def test_a_wrong_option_is_refused(refused, arguments):
    assert await refused(*arguments, code=2)
